//! Multinomial logistic regression, as scikit-learn's `LogisticRegression(C=1)`: the intercepts are not penalised.
//!
//! ```text
//! 1/2 Σ_k |w_k|² − Σ_i log p(y_i | x_i),     p(k | x) = softmax_k(w_k·x + b_k)            Bishop 2006, §4.3.4
//! ```
//!
//! With two classes scikit-learn fits one weight vector w, the log-odds; as ±w/2 under a softmax it has the same probabilities, and its
//! penalty `½|w|²` is twice `½ Σ_k |w_k|²`. A class that is missing from the training rows has probability 0; where there is one class, it
//! has probability 1.
//!
//! L-BFGS (Nocedal & Wright 2006, Algorithm 7.4) from 0, preconditioned with the Hessian there, block by block of classes, so that neither
//! the scale of the features nor their correlation slows it down. It ends where a step promises to lower the objective by less than
//! 1e-10 of it (gradients of the mean loss are then some 1e-6, where scikit-learn stops at 1e-4), or after 1000 steps, which only
//! separable classes of large features come near.
//!
//! Written here because linfa-logistic 0.8, which minimises the same objective for more than two classes, subtracts the largest logit of
//! the whole matrix before it exponentiates and holds each row's sum above 1e-15: where the largest logits of two rows differ by more
//! than 35, its probabilities and gradients are wrong, and it stops far from the minimum. Codes ten times as wide as their prior are
//! enough.

use super::{Classes, largest};
use rayon::prelude::*;

/// Pairs of steps and gradients that L-BFGS remembers.
const MEMORY: usize = 20;
const MAX_STEPS: usize = 1000;
const TOLERANCE: f64 = 1e-10;
/// Rows whose loss and gradient one task sums up; fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 512;

/// A classifier of rows of features.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticRegression {
    labels: Vec<usize>,
    /// `[D + 1, C]`: weights, and intercepts in the last row.
    parameters: Vec<f64>,
}

impl LogisticRegression {
    /// From rows of `width` features each, and their labels.
    pub fn fit(features: &[f64], width: usize, labels: &[usize]) -> Self {
        assert_eq!(features.len(), width * labels.len(), "{width} features and one label a row");
        let classes = Classes::of(labels);
        let problem = Problem {
            features,
            width,
            of_row: &classes.of_row,
            classes: classes.len(),
            penalty: if classes.len() == 2 { 2.0 } else { 1.0 },
        };
        let parameters = problem.solve(&Preconditioner::new(&problem, &classes.counts(None)));
        Self { labels: classes.labels, parameters }
    }

    /// The labels that came in the training rows, ascending.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Weights `[D, C]` of the labels in the softmax, which add up to 0 over them.
    pub fn weights(&self) -> &[f64] {
        &self.parameters[..self.parameters.len() - self.labels.len()]
    }

    /// Intercepts of the labels in the softmax, C numbers.
    pub fn intercepts(&self) -> &[f64] {
        &self.parameters[self.parameters.len() - self.labels.len()..]
    }

    /// Probability of each of the [`labels`](Self::labels) for one row of features.
    pub fn probabilities(&self, features: &[f64]) -> Vec<f64> {
        let mut values = self.logits(features);
        let log_sum = log_sum_exp(&values);
        for value in &mut values {
            *value = (*value - log_sum).exp();
        }
        values
    }

    /// The most probable label for one row of features.
    pub fn predict(&self, features: &[f64]) -> usize {
        self.labels[largest(&self.logits(features))]
    }

    fn logits(&self, features: &[f64]) -> Vec<f64> {
        let mut values = vec![0.0; self.labels.len()];
        logits(&self.parameters, features, &mut values);
        values
    }
}

/// `w_k·x + b_k` for all classes k.
fn logits(parameters: &[f64], features: &[f64], values: &mut [f64]) {
    let mut rows = parameters.chunks_exact(values.len());
    for (&feature, weights) in features.iter().zip(&mut rows) {
        values.iter_mut().zip(weights).for_each(|(value, weight)| *value += feature * weight);
    }
    let intercepts = rows.next().expect("intercepts follow the weights");
    values.iter_mut().zip(intercepts).for_each(|(value, intercept)| *value += intercept);
}

fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + values.iter().map(|value| (value - largest).exp()).sum::<f64>().ln()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `to += scale · from`.
fn add_scaled(to: &mut [f64], scale: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += scale * from);
}

struct Problem<'a> {
    features: &'a [f64],
    width: usize,
    of_row: &'a [usize],
    classes: usize,
    penalty: f64,
}

impl Problem<'_> {
    /// The objective and its gradient.
    fn evaluate(&self, parameters: &[f64]) -> (f64, Vec<f64>) {
        let blocks: Vec<(f64, Vec<f64>)> = self
            .of_row
            .par_chunks(BLOCK)
            .zip(self.features.par_chunks(BLOCK * self.width))
            .map(|(of_row, features)| self.block(parameters, of_row, features))
            .collect();
        let weights = &parameters[..self.width * self.classes];
        let mut objective = 0.5 * self.penalty * dot(weights, weights);
        let mut gradient = vec![0.0; parameters.len()];
        add_scaled(&mut gradient, self.penalty, weights);
        for (loss, part) in &blocks {
            objective += loss;
            add_scaled(&mut gradient, 1.0, part);
        }
        (objective, gradient)
    }

    /// Σ −log p(y|x) over some rows, and its gradient.
    fn block(&self, parameters: &[f64], of_row: &[usize], features: &[f64]) -> (f64, Vec<f64>) {
        let mut loss = 0.0;
        let mut gradient = vec![0.0; parameters.len()];
        let mut values = vec![0.0; self.classes];
        for (&class, features) in of_row.iter().zip(features.chunks_exact(self.width)) {
            values.fill(0.0);
            logits(parameters, features, &mut values);
            let logit = values[class];
            let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for value in &mut values {
                *value = (*value - largest).exp();
            }
            let sum: f64 = values.iter().sum();
            loss += largest + sum.ln() - logit;
            // Now p − 1[y = k], the gradient with respect to the logits.
            for value in &mut values {
                *value /= sum;
            }
            values[class] -= 1.0;
            let mut rows = gradient.chunks_exact_mut(self.classes);
            for (&feature, row) in features.iter().zip(&mut rows) {
                add_scaled(row, feature, &values);
            }
            add_scaled(rows.next().expect("intercepts follow the weights"), 1.0, &values);
        }
        (loss, gradient)
    }

    fn solve(&self, preconditioner: &Preconditioner) -> Vec<f64> {
        let mut parameters = vec![0.0; (self.width + 1) * self.classes];
        let (mut objective, mut gradient) = self.evaluate(&parameters);
        let mut memory: Vec<Pair> = Vec::new();
        for _ in 0..MAX_STEPS {
            let direction = direction(&gradient, &memory, preconditioner);
            let slope = dot(&gradient, &direction);
            // The second where features are not finite.
            if -slope <= TOLERANCE * objective.max(1.0) || slope.is_nan() {
                break;
            }
            let mut size = 1.0;
            let accepted = loop {
                let mut to = parameters.clone();
                add_scaled(&mut to, size, &direction);
                let (there, gradient) = self.evaluate(&to);
                if there <= objective + 1e-4 * size * slope {
                    break Some((to, there, gradient));
                }
                size *= 0.5;
                if size < 1e-10 {
                    break None;
                }
            };
            let Some((to, there, next)) = accepted else { break };
            let difference = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
            memory.extend(Pair::new(difference(&to, &parameters), difference(&next, &gradient)));
            if memory.len() > MEMORY {
                memory.remove(0);
            }
            (parameters, objective, gradient) = (to, there, next);
        }
        parameters
    }
}

/// A step and what it did to the gradient.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

impl Pair {
    /// `None` where rounding has left nothing of the curvature, which is positive for a convex objective.
    fn new(step: Vec<f64>, change: Vec<f64>) -> Option<Self> {
        let curvature = dot(&step, &change);
        (curvature > 1e-14 * dot(&change, &change).sqrt() * dot(&step, &step).sqrt()).then_some(Self {
            step,
            change,
            curvature,
        })
    }
}

/// −H g, where H is the inverse Hessian that the pairs suggest.
fn direction(gradient: &[f64], memory: &[Pair], preconditioner: &Preconditioner) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|value| -value).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let share = dot(&pair.step, &direction) / pair.curvature;
        add_scaled(&mut direction, -share, &pair.change);
        shares.push(share);
    }
    direction = preconditioner.apply(&direction);
    if let Some(last) = memory.last() {
        let scale = last.curvature / dot(&last.change, &preconditioner.apply(&last.change));
        for value in &mut direction {
            *value *= scale;
        }
    }
    for (pair, share) in memory.iter().zip(shares.iter().rev()) {
        let back = dot(&pair.change, &direction) / pair.curvature;
        add_scaled(&mut direction, share - back, &pair.step);
    }
    direction
}

/// Inverse of the Hessian's diagonal blocks where p(k|x) is the frequency π of class k: π (1 − π) Σ x xᵀ + penalty, x with a 1 at its
/// end.
struct Preconditioner {
    side: usize,
    /// One lower Cholesky factor `[D + 1, D + 1]` a class.
    factors: Vec<Vec<f64>>,
}

impl Preconditioner {
    fn new(problem: &Problem<'_>, counts: &[f64]) -> Self {
        let side = problem.width + 1;
        let mut second_moments = vec![0.0; side * side];
        for features in problem.features.chunks_exact(problem.width) {
            for (i, row) in second_moments.chunks_exact_mut(side).enumerate() {
                let at = |j: usize| features.get(j).copied().unwrap_or(1.0);
                row.iter_mut().enumerate().for_each(|(j, entry)| *entry += at(i) * at(j));
            }
        }
        let rows: f64 = counts.iter().sum();
        let factor = |count: &f64| {
            // With a single class nothing depends on the intercept; any positive number does.
            let curvature = (count / rows * (1.0 - count / rows)).max(1e-3 / rows);
            let mut block: Vec<f64> = second_moments.iter().map(|entry| curvature * entry).collect();
            (0..problem.width).for_each(|j| block[j * side + j] += problem.penalty);
            cholesky(block, side)
        };
        Self { side, factors: counts.iter().map(factor).collect() }
    }

    fn apply(&self, gradient: &[f64]) -> Vec<f64> {
        let classes = self.factors.len();
        let mut result = vec![0.0; gradient.len()];
        for (class, factor) in self.factors.iter().enumerate() {
            let column: Vec<f64> = gradient.iter().skip(class).step_by(classes).copied().collect();
            let solved = solve(factor, self.side, column);
            solved.into_iter().enumerate().for_each(|(row, value)| result[row * classes + class] = value);
        }
        result
    }
}

/// Lower factor of a positive definite matrix, in its lower half.
fn cholesky(mut matrix: Vec<f64>, side: usize) -> Vec<f64> {
    for j in 0..side {
        let diagonal = matrix[j * side + j];
        let pivot = diagonal - (0..j).map(|k| matrix[j * side + k].powi(2)).sum::<f64>();
        // Rounding may take all of it where features repeat each other at a large scale.
        let pivot = pivot.max(1e-14 * diagonal).sqrt();
        matrix[j * side + j] = pivot;
        for i in j + 1..side {
            let rest = (0..j).map(|k| matrix[i * side + k] * matrix[j * side + k]).sum::<f64>();
            matrix[i * side + j] = (matrix[i * side + j] - rest) / pivot;
        }
    }
    matrix
}

/// x where L Lᵀ x = `right`.
fn solve(factor: &[f64], side: usize, mut right: Vec<f64>) -> Vec<f64> {
    for i in 0..side {
        let rest: f64 = (0..i).map(|k| factor[i * side + k] * right[k]).sum();
        right[i] = (right[i] - rest) / factor[i * side + i];
    }
    for i in (0..side).rev() {
        let rest: f64 = (i + 1..side).map(|k| factor[k * side + i] * right[k]).sum();
        right[i] = (right[i] - rest) / factor[i * side + i];
    }
    right
}
