//! Linear support vector machine on a single feature, as scikit-learn's `LinearSVC(C, class_weight="balanced")`: squared hinge loss, one
//! class against the rest, the bias regularised like the weight (liblinear sees it as the weight of a feature that is always 1).
//!
//! ```text
//! 1/2 (w² + b²) + C Σ_i c_i max(0, 1 − y_i (w x_i + b))²         Fan et al. 2008 (liblinear), Eq. 2, L2-loss
//! ```
//!
//! The weight of a class is n / (classes · its rows). As in liblinear, with two classes each row has the weight of its class; with more,
//! the rows of the class that is held against the rest have its weight, and all others weight 1.
//!
//! Written here because there are but two unknowns: Newton's method ends at the exact minimum after a few passes over the rows, where
//! liblinear stops short of it. linfa-svm solves for one unknown a row, from a kernel of all pairs of rows, and has no squared hinge.

use super::{Classes, largest};

/// Newton steps at most; the objective is quadratic between kinks, so that a dozen end it.
const MAX_STEPS: usize = 100;

/// A line w x + b.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plane {
    /// w.
    pub weight: f64,
    /// b.
    pub bias: f64,
}

impl Plane {
    /// w x + b.
    pub fn at(&self, x: f64) -> f64 {
        self.weight * x + self.bias
    }
}

/// A classifier of one feature.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearSvm {
    labels: Vec<usize>,
    planes: Vec<Plane>,
}

impl LinearSvm {
    /// From the feature `x` and the label of each row; `cost` is C.
    pub fn fit(x: &[f64], labels: &[usize], cost: f64) -> Self {
        assert_eq!(x.len(), labels.len(), "one label a row");
        let classes = Classes::of(labels);
        let counts = classes.counts(None);
        let weight = |class: usize| x.len() as f64 / (classes.len() as f64 * counts[class]);
        let planes = match classes.len() {
            1 => Vec::new(),
            2 => vec![Problem::new(x, &classes, 1, cost * weight(1), cost * weight(0)).solve()],
            all => (0..all).map(|class| Problem::new(x, &classes, class, cost * weight(class), cost).solve()).collect(),
        };
        Self { labels: classes.labels, planes }
    }

    /// The labels that came in the training rows, ascending.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// One plane a label, which holds it against the rest; with two labels one plane, positive for the second; with one label none.
    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }

    /// The label for a value of the feature.
    pub fn predict(&self, x: f64) -> usize {
        match self.planes.as_slice() {
            [] => self.labels[0],
            [plane] => self.labels[usize::from(plane.at(x) > 0.0)],
            planes => self.labels[largest(&planes.iter().map(|plane| plane.at(x)).collect::<Vec<_>>())],
        }
    }
}

/// One class against the rest.
struct Problem<'a> {
    x: &'a [f64],
    of_row: &'a [usize],
    class: usize,
    /// C c for rows of the class, and for the others.
    costs: [f64; 2],
}

/// The objective at a point, its gradient and its (generalised) Hessian.
struct Local {
    objective: f64,
    gradient: [f64; 2],
    /// Entries ww, wb, bb.
    hessian: [f64; 3],
}

impl<'a> Problem<'a> {
    fn new(x: &'a [f64], classes: &'a Classes, class: usize, cost: f64, rest: f64) -> Self {
        Self { x, of_row: &classes.of_row, class, costs: [cost, rest] }
    }

    fn local(&self, plane: Plane) -> Local {
        let Plane { weight, bias } = plane;
        // For the class and for the rest: Σ margin², Σ margin x, Σ margin, Σ x², Σ x, Σ 1 over rows whose margin is positive.
        let mut sums = [[0.0; 6]; 2];
        for (&x, &class) in self.x.iter().zip(self.of_row) {
            let (side, sign) = if class == self.class { (0, 1.0) } else { (1, -1.0) };
            let margin = 1.0 - sign * plane.at(x);
            if margin > 0.0 {
                for (sum, term) in sums[side].iter_mut().zip([margin * margin, margin * x, margin, x * x, x, 1.0]) {
                    *sum += term;
                }
            }
        }
        let [cost, rest] = self.costs;
        let both = |term: usize| cost * sums[0][term] + rest * sums[1][term];
        let signed = |term: usize| cost * sums[0][term] - rest * sums[1][term];
        Local {
            objective: 0.5 * (weight * weight + bias * bias) + both(0),
            gradient: [weight - 2.0 * signed(1), bias - 2.0 * signed(2)],
            hessian: [1.0 + 2.0 * both(3), 2.0 * both(4), 1.0 + 2.0 * both(5)],
        }
    }

    /// Newton's method with step halving: the objective is strictly convex, so that it ends at the minimum.
    fn solve(&self) -> Plane {
        let mut plane = Plane { weight: 0.0, bias: 0.0 };
        let mut here = self.local(plane);
        for _ in 0..MAX_STEPS {
            let [dw, db] = here.newton_step();
            let slope = here.gradient[0] * dw + here.gradient[1] * db;
            let mut size = 1.0;
            let next = loop {
                let to = Plane { weight: plane.weight + size * dw, bias: plane.bias + size * db };
                let there = self.local(to);
                if there.objective <= here.objective + 1e-4 * size * slope {
                    break Some((to, there));
                }
                size *= 0.5;
                if size < 1e-6 {
                    break None;
                }
            };
            // No step descends any more, or none did beyond rounding: this is the minimum.
            let Some((to, there)) = next else { break };
            let done = there.objective >= here.objective * (1.0 - 1e-15);
            (plane, here) = (to, there);
            if done {
                break;
            }
        }
        plane
    }
}

impl Local {
    fn newton_step(&self) -> [f64; 2] {
        let ([gw, gb], [ww, wb, bb]) = (self.gradient, self.hessian);
        let determinant = ww * bb - wb * wb;
        [-(bb * gw - wb * gb) / determinant, -(ww * gb - wb * gw) / determinant]
    }
}
