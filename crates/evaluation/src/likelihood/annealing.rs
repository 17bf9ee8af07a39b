//! Annealed importance sampling of log p(x).

use super::hamiltonian::Kernel;
use super::whitened::Whitened;
use super::{pilot, runs};
use elbo_core::{Generator, Vae};
use tch::{Kind, Tensor};

pub use super::bidirectional::{Bidirectional, bidirectional};

/// How chains walk from r(z|x) to p(z|x).
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Intervals of the linear schedule `β_t = t/T`, T ≥ 1. One is importance sampling from r.
    pub temperatures: usize,
    /// Independent chains for each image (K).
    pub chains: i64,
    /// Leapfrog steps of a trajectory.
    pub leapfrog_steps: usize,
    /// Probability of acceptance that the pilot run adapts to.
    pub target_acceptance: f64,
    /// Step that the pilot run begins with, in units of σ(x).
    pub initial_step: f64,
    /// Temperatures at which the pilot run adapts (see [`pilot`](mod@super::pilot)).
    pub pilot_temperatures: usize,
    /// Transitions of the pilot run at each of them.
    pub pilot_transitions: usize,
}

impl Settings {
    /// The sampler of Mescheder et al. 2017 (10 leapfrog steps, first step 0.01, acceptance 0.6–0.7), with the steps
    /// frozen before the run.
    pub fn new(temperatures: usize, chains: i64) -> Self {
        Self {
            temperatures,
            chains,
            leapfrog_steps: 10,
            target_acceptance: 0.65,
            initial_step: 0.01,
            pilot_temperatures: 40,
            pilot_transitions: 6,
        }
    }

    /// The kernel that leaves `β = temperature/T` alone.
    pub(super) fn kernel(&self, temperature: usize, step: Tensor) -> Kernel {
        let beta = temperature as f64 / self.temperatures as f64;
        Kernel { beta, step, leapfrog_steps: self.leapfrog_steps }
    }

    pub(super) fn check(&self) {
        let counts = [self.temperatures, self.leapfrog_steps, self.pilot_temperatures, self.pilot_transitions];
        assert!(counts.iter().all(|&count| count >= 1) && self.chains >= 1, "counts must be at least 1, got {self:?}");
        assert!(self.initial_step > 0.0, "the first step must be positive, got {}", self.initial_step);
        assert!(
            self.target_acceptance > 0.0 && self.target_acceptance < 1.0,
            "the acceptance must be between 0 and 1, got {}",
            self.target_acceptance
        );
    }
}

/// What annealing says of log p(x).
#[derive(Debug)]
pub struct Annealed {
    /// Estimate of log p(x) in nats, `[B]`, float64: at most log p(x) in expectation.
    pub log_likelihood: Tensor,
    /// `1/Σ_k w̃_k²` of the chains' normalised weights, `[B]`, between 1 and K: near 1, a single chain speaks for all
    /// and the estimate is low.
    pub effective_sample_size: Tensor,
    /// Mean probability of acceptance in the run; NaN for one temperature, where nothing moves.
    pub acceptance: f64,
}

/// Estimates log p(x) by annealing from r(z|x), the encoder's Gaussian, to p(x, z) along a geometric path.
///
/// ```text
/// log p̂(x) = log (1/K) Σ_k w_k,   p_β(z) ∝ r(z|x)^(1−β) p(x, z)^β
///                                                    docs/mathematics.md §10; Neal 2001; Wu et al. 2017
/// ```
///
/// For any model, implicit posteriors included (see [`Whitened`] for their start). The kernels are Hamiltonian, with
/// steps that a pilot run found and the run takes as constants. Shapes: `x` `[B, C, H, W]` in the model's kind, on the
/// model's and the generator's device. `progress` is told the transitions done and their number.
///
/// # Errors
/// The error of `progress`, which ends the work; libtorch's, where log p(x|z) has no gradient along z.
pub fn annealed(
    vae: &Vae,
    x: &Tensor,
    settings: &Settings,
    noise: &Generator,
    progress: &mut dyn FnMut(usize, usize) -> anyhow::Result<()>,
) -> anyhow::Result<Annealed> {
    settings.check();
    let total = pilot::transitions(settings) + settings.temperatures;
    let mut done = 0;
    let mut tick = || {
        done += 1;
        progress(done, total)
    };
    let target = Whitened::new(vae, x, noise);
    let steps = pilot::pilot(&target, settings, noise, &mut tick)?;
    let run = runs::forward(&target, &steps, settings, noise, &mut tick)?;
    Ok(Annealed {
        log_likelihood: log_mean_exp(&run.log_weights),
        effective_sample_size: effective_sample_size(&run.log_weights),
        acceptance: run.acceptance.double_value(&[]),
    })
}

/// `log (1/K) Σ_k exp(l_k)`: `[K, B]` → `[B]`.
pub(super) fn log_mean_exp(log_weights: &Tensor) -> Tensor {
    log_weights.logsumexp(0, false) - (log_weights.size()[0] as f64).ln()
}

/// `1/Σ_k w̃_k²`: `[K, B]` → `[B]`.
fn effective_sample_size(log_weights: &Tensor) -> Tensor {
    log_weights.softmax(0, None::<Kind>).square().sum_dim_intlist(0, false, None).reciprocal()
}
