//! Hamiltonian Monte Carlo on the path from a standard normal to a target: Neal 2011, "MCMC using Hamiltonian
//! dynamics".
//!
//! Everything is float64: trajectories return to their start to 1e-12, and what a float32 model adds is the rounding of
//! its log-likelihood.

use elbo_core::posterior::standard_normal_log_density;
use elbo_native::Generator;
use tch::{Kind, Tensor};

/// A trajectory's step is the frozen one times U(1 − 0.2, 1 + 0.2): ten steps of one length can bring a Gaussian
/// coordinate back to where it began, every time (Neal 2011, §5.4.2.2). The factor is drawn without looking at the
/// chain, so that the kernel leaves its target alone.
const JITTER: f64 = 0.2;

/// An unnormalised log-density on `[D]` for each of B images, at the end of a path that begins at N(0, I).
pub trait Target {
    /// `[B, D]`.
    fn size(&self) -> [i64; 2];

    /// Log-density (nats) and its gradient: float64 `[K, B, D]` → `[K, B]` and `[K, B, D]`.
    ///
    /// # Errors
    /// Where the gradient cannot be taken.
    fn evaluate(&self, position: &Tensor) -> anyhow::Result<(Tensor, Tensor)>;
}

/// Where K chains for each of B images are, and what is known of the target there.
#[derive(Debug)]
pub struct Point {
    /// `[K, B, D]`.
    pub position: Tensor,
    /// Log-density of the target, `[K, B]`.
    pub log_target: Tensor,
    /// Its gradient, `[K, B, D]`.
    pub gradient: Tensor,
}

/// A kernel that leaves one distribution of the path invariant: `p_β(u) ∝ N(u; 0, I)^(1−β) · target(u)^β`.
#[derive(Debug)]
pub struct Kernel {
    /// β, from 0 (standard normal) to 1 (target).
    pub beta: f64,
    /// Length of a leapfrog step for each image, `[B]`, before jitter.
    pub step: Tensor,
    /// Leapfrog steps of a trajectory.
    pub leapfrog_steps: usize,
}

impl Point {
    /// Asks `target` about `position`.
    ///
    /// # Errors
    /// The target's.
    pub fn new(target: &dyn Target, position: Tensor) -> anyhow::Result<Self> {
        let (log_target, gradient) = target.evaluate(&position)?;
        Ok(Self { position, log_target, gradient })
    }

    /// `log target(u) − log N(u; 0, I)`, `[K, B]`: what a weight gains along the path, per unit of β.
    pub fn log_ratio(&self) -> Tensor {
        &self.log_target - standard_normal_log_density(&self.position)
    }

    /// `log p_β(u)` without its constant, `[K, B]`.
    fn log_density(&self, beta: f64) -> Tensor {
        &self.log_target * beta + standard_normal_log_density(&self.position) * (1.0 - beta)
    }

    /// `∇ log p_β(u)`, `[K, B, D]`.
    fn slope(&self, beta: f64) -> Tensor {
        &self.gradient * beta - &self.position * (1.0 - beta)
    }

    /// `proposal` where `accepted` (`[K, B]`), this point elsewhere.
    fn moved(&self, accepted: &Tensor, proposal: &Self) -> Self {
        let wide = accepted.unsqueeze(-1);
        Self {
            position: proposal.position.where_self(&wide, &self.position),
            log_target: proposal.log_target.where_self(accepted, &self.log_target),
            gradient: proposal.gradient.where_self(&wide, &self.gradient),
        }
    }
}

/// A trajectory of `steps` leapfrog steps at β: where it ends, and with which momentum `[K, B, D]`.
///
/// ```text
/// v ← v + ½ ε ∇log p_β(u),   u ← u + ε v,   v ← v + ½ ε ∇log p_β(u)          Neal 2011, Eq. 2.28–2.30
/// ```
///
/// It preserves volume and runs back to its start under −v; its energy `−log p_β(u) + ½ v²` is off by O(ε²). `step`
/// broadcasts to `[K, B]`.
///
/// # Errors
/// The target's.
pub fn leapfrog(
    target: &dyn Target,
    from: &Point,
    momentum: &Tensor,
    beta: f64,
    step: &Tensor,
    steps: usize,
) -> anyhow::Result<(Point, Tensor)> {
    assert!(steps >= 1, "a trajectory has at least 1 step");
    let step = step.unsqueeze(-1);
    let half = &step * 0.5;
    let mut momentum = momentum + from.slope(beta) * &half;
    let mut point = Point::new(target, &from.position + &momentum * &step)?;
    for _ in 1..steps {
        momentum += point.slope(beta) * &step;
        point = Point::new(target, &point.position + &momentum * &step)?;
    }
    momentum += point.slope(beta) * half;
    Ok((point, momentum))
}

impl Kernel {
    /// One transition: a fresh momentum, a trajectory, and its acceptance by the Metropolis rule. Also the probability
    /// of acceptance, `[K, B]`. A trajectory that leaves the finite numbers is refused.
    ///
    /// It is reversible with respect to `p_β`, so that it is its own reversal.
    ///
    /// # Errors
    /// The target's.
    pub fn transition(&self, target: &dyn Target, from: &Point, noise: &Generator) -> anyhow::Result<(Point, Tensor)> {
        let chains = from.log_target.size();
        let jitter = noise.uniform(&chains, Kind::Double) * (2.0 * JITTER) + (1.0 - JITTER);
        let momentum = noise.normal(&from.position.size(), Kind::Double);
        let threshold = noise.uniform(&chains, Kind::Double);
        let step = &self.step * jitter;
        let (to, end) = leapfrog(target, from, &momentum, self.beta, &step, self.leapfrog_steps)?;
        let kinetic = |v: &Tensor| v.square().sum_dim_intlist(-1, false, None) * 0.5;
        let gain = to.log_density(self.beta) - from.log_density(self.beta) + kinetic(&momentum) - kinetic(&end);
        // NaN, from a trajectory that diverged, is 0 here: never above the threshold.
        let probability = gain.clamp_max(0.0).exp().nan_to_num(0.0, None, None);
        let accepted = threshold.lt_tensor(&probability);
        Ok((from.moved(&accepted, &to), probability))
    }
}
