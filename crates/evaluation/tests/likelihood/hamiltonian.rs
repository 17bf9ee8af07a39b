use crate::model::{DOUBLE, distance, generator, number, values};
use elbo_core::posterior::standard_normal_log_density;
use elbo_evaluation::likelihood::hamiltonian::{Kernel, Point, Target, leapfrog};
use tch::{Kind, Tensor};

/// N(mean, precision⁻¹) in two dimensions, for one image.
struct Correlated;

const MEAN: [f64; 2] = [1.0, -0.5];
/// Its inverse is [[1, 0.6], [0.6, 0.5]] / 0.14.
const PRECISION: [[f64; 2]; 2] = [[0.5, -0.6], [-0.6, 1.0]];

impl Target for Correlated {
    fn size(&self) -> [i64; 2] {
        [1, 2]
    }

    fn evaluate(&self, position: &Tensor) -> anyhow::Result<(Tensor, Tensor)> {
        let centred = position - Tensor::from_slice(&MEAN);
        let slope = -centred.matmul(&Tensor::from_slice2(&PRECISION));
        Ok(((&slope * centred).sum_dim_intlist(-1, false, None) * 0.5, slope))
    }
}

/// −u⁴/4 in every coordinate: no Gaussian, so that leapfrog is not linear.
struct Quartic;

impl Target for Quartic {
    fn size(&self) -> [i64; 2] {
        [1, 1]
    }

    fn evaluate(&self, position: &Tensor) -> anyhow::Result<(Tensor, Tensor)> {
        let value: Tensor = position.square().square().sum_dim_intlist(-1, false, None) * -0.25;
        Ok((value, -position * position.square()))
    }
}

/// Infinite slope to the right of 1: trajectories that get there are lost.
struct Cliff;

impl Target for Cliff {
    fn size(&self) -> [i64; 2] {
        [1, 1]
    }

    fn evaluate(&self, position: &Tensor) -> anyhow::Result<(Tensor, Tensor)> {
        let nan = position.ones_like() * f64::NAN;
        let inside = position.lt(1.0);
        let value = (position.square() * -0.5).where_self(&inside, &nan).squeeze_dim(-1);
        Ok((value, (-position).where_self(&inside, &nan)))
    }
}

fn step(value: f64) -> Tensor {
    Tensor::full([1], value, DOUBLE)
}

fn energy(target: &dyn Target, point: &Point, momentum: &Tensor, beta: f64) -> Tensor {
    let log_target = target.evaluate(&point.position).expect("a density").0;
    let log_density = log_target * beta + standard_normal_log_density(&point.position) * (1.0 - beta);
    momentum.square().sum_dim_intlist(-1, false, None) * 0.5 - log_density
}

/// Turned around at its end, a trajectory runs back to where it began: exactly in exact arithmetic, so to rounding
/// here.
#[test]
fn leapfrog_runs_back_to_its_start() {
    for beta in [0.0, 0.3, 1.0] {
        for target in [&Correlated as &dyn Target, &Quartic] {
            let noise = generator(1);
            let size = [50, target.size()[0], target.size()[1]];
            let start = Point::new(target, noise.normal(&size, Kind::Double)).expect("a point");
            let momentum = noise.normal(&size, Kind::Double);
            let (there, end) = leapfrog(target, &start, &momentum, beta, &step(0.1), 20).expect("a trajectory");
            let (back, turned) = leapfrog(target, &there, &-end, beta, &step(0.1), 20).expect("a trajectory");
            assert!(distance(&there.position, &start.position) > 0.5, "it went somewhere");
            assert!(distance(&back.position, &start.position) < 1e-10);
            assert!(distance(&-turned, &momentum) < 1e-10);
        }
    }
}

/// The determinant of the map (u, v) → (u', v') is 1, by central differences; a rule that kicks before and after with
/// the first slope has another.
#[test]
fn leapfrog_preserves_volume() {
    let noise = generator(2);
    let (count, shift) = (40, 1e-5);
    let (u, v) = (noise.normal(&[count, 1, 1], Kind::Double), noise.normal(&[count, 1, 1], Kind::Double));
    let mapped = |du: f64, dv: f64| {
        let start = Point::new(&Quartic, &u + du).expect("a point");
        let (end, momentum) = leapfrog(&Quartic, &start, &(&v + dv), 0.7, &step(0.25), 6).expect("a trajectory");
        [end.position, momentum]
    };
    let slopes = |du: f64, dv: f64| {
        let ([u_up, v_up], [u_down, v_down]) = (mapped(du, dv), mapped(-du, -dv));
        [(u_up - u_down) / (2.0 * shift), (v_up - v_down) / (2.0 * shift)]
    };
    let ([a, c], [b, d]) = (slopes(shift, 0.0), slopes(0.0, shift));
    let determinant = &a * d - b * c;
    // Central differences are off by shift² times third derivatives, and by rounding over shift.
    assert!(distance(&determinant, &determinant.ones_like()) < 1e-6);
    assert!(number(&(a - 1.0).abs().max()) > 0.5, "the map is far from the identity");
}

/// Second order: over one length of trajectory, half the step makes a quarter of the energy's error.
#[test]
fn the_energy_error_falls_with_the_square_of_the_step() {
    let noise = generator(3);
    for target in [&Correlated as &dyn Target, &Quartic] {
        let size = [200, target.size()[0], target.size()[1]];
        let start = Point::new(target, noise.normal(&size, Kind::Double)).expect("a point");
        let momentum = noise.normal(&size, Kind::Double);
        let error = |length: f64, steps: usize| {
            let (end, turned) = leapfrog(target, &start, &momentum, 0.8, &step(length), steps).expect("a trajectory");
            let change = energy(target, &end, &turned, 0.8) - energy(target, &start, &momentum, 0.8);
            number(&change.abs().mean(None))
        };
        let ratio = error(0.04, 25) / error(0.02, 50);
        // The next order of the error is ε² again, here below a percent.
        assert!((ratio - 4.0).abs() < 0.05, "{ratio}");
    }
}

/// Chains that start in the target stay in it. At this step a quarter of the proposals are refused; taking them all
/// makes the variances grow, which the bounds (four standard errors of 40 000 chains) notice.
#[test]
fn a_transition_leaves_a_gaussian_alone() {
    let (noise, chains) = (generator(4), 40_000);
    for beta in [0.4, 1.0] {
        // p_β = N(0, I)^(1−β) N(m, P⁻¹)^β has precision (1−β) I + β P and mean β precision⁻¹ P m.
        let target_precision = Tensor::from_slice2(&PRECISION);
        let precision = Tensor::eye(2, DOUBLE) * (1.0 - beta) + &target_precision * beta;
        let covariance = precision.inverse();
        let mean = covariance.matmul(&target_precision).mv(&Tensor::from_slice(&MEAN)) * beta;
        let root = covariance.linalg_cholesky(false);
        let start = noise.normal(&[chains, 1, 2], Kind::Double).matmul(&root.tr()) + &mean;
        let mut point = Point::new(&Correlated, start).expect("a point");
        let begin = point.position.copy();
        let kernel = Kernel { beta, step: step(1.3), leapfrog_steps: 4 };
        let mut acceptance = 0.0;
        for _ in 0..4 {
            let (next, probability) = kernel.transition(&Correlated, &point, &noise).expect("a transition");
            (point, acceptance) = (next, acceptance + number(&probability.mean(None)) / 4.0);
        }
        assert!((0.5..0.9).contains(&acceptance), "{acceptance}");
        assert!(number(&(&point.position - begin).abs().mean(None)) > 0.3, "the chains move");
        let centred = point.position.view([-1, 2]) - &mean;
        let found = values(&(centred.tr().matmul(&centred) / chains as f64));
        let (expected, count) = (values(&covariance), (chains as f64).sqrt());
        for (index, (found, expected_here)) in found.iter().zip(&expected).enumerate() {
            let (i, j) = (index / 2, index % 2);
            // Variance of a product of Gaussians: C_ii C_jj + C_ij².
            let error = (expected[3 * i] * expected[3 * j] + expected_here.powi(2)).sqrt() / count;
            assert!((found - expected_here).abs() < 4.0 * error, "{index}: {found}, not {expected_here} ± {error}");
        }
        for (d, found) in values(&centred.mean_dim(0, false, None)).iter().enumerate() {
            assert!(found.abs() < 4.0 * expected[3 * d].sqrt() / count, "mean {d} is off by {found}");
        }
    }
}

/// A point keeps what the target says of it through acceptance and refusal alike: values and gradients are those of the
/// position.
#[test]
fn what_is_kept_of_the_target_belongs_to_the_position() {
    let noise = generator(5);
    let mut point = Point::new(&Correlated, noise.normal(&[300, 1, 2], Kind::Double)).expect("a point");
    for _ in 0..3 {
        let kernel = Kernel { beta: 0.7, step: step(1.4), leapfrog_steps: 3 };
        point = kernel.transition(&Correlated, &point, &noise).expect("a transition").0;
    }
    let (log_target, gradient) = Correlated.evaluate(&point.position).expect("a density");
    assert!(distance(&point.log_target, &log_target) < 1e-12 && distance(&point.gradient, &gradient) < 1e-12);
    let ratio = log_target - standard_normal_log_density(&point.position);
    assert!(distance(&point.log_ratio(), &ratio) < 1e-12);
}

/// A trajectory that ends in NaN is refused with probability 1, and its chain stays; the others go on.
#[test]
fn trajectories_that_diverge_are_refused() {
    let noise = generator(6);
    let start = Point::new(&Cliff, Tensor::full([400, 1, 1], 0.9, DOUBLE)).expect("a point");
    let kernel = Kernel { beta: 1.0, step: step(0.3), leapfrog_steps: 3 };
    let (end, probability) = kernel.transition(&Cliff, &start, &noise).expect("a transition");
    assert!(end.position.isfinite().all().int64_value(&[]) == 1);
    let refused = probability.eq(0.0);
    let share = number(&refused.to_kind(Kind::Double).mean(None));
    assert!((0.2..0.8).contains(&share), "{share}");
    let stayed = end.position.squeeze_dim(-1).eq(0.9);
    assert!(stayed.logical_or(&refused.logical_not()).all().int64_value(&[]) == 1);
    assert!(stayed.logical_not().any().int64_value(&[]) == 1, "some move");
}
