//! A run along the path, over frozen kernels: from the start to the posterior, or back.

use super::annealing::Settings;
use super::hamiltonian::{Point, Target};
use super::pilot::Steps;
use elbo_native::Generator;
use tch::{Kind, Tensor};

/// What K chains for each of B images brought home.
#[derive(Debug)]
pub struct Run {
    /// Logarithm of each chain's weight, `[K, B]`: p(x) in the mean over forward runs, 1/p(x) with the sign turned over
    /// backward ones.
    pub log_weights: Tensor,
    /// Mean probability of acceptance, a scalar on the device; NaN where nothing moved.
    pub acceptance: Tensor,
}

/// Which way a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// From K draws of N(0, I) to the target.
///
/// ```text
/// log w = Σ_{t=1..T} (β_t − β_{t−1}) f(u_{t−1}),   u_0 ~ N(0, I),   u_t ~ T_t(· | u_{t−1})
/// f = log target − log N(·; 0, I)                                  docs/mathematics.md §10; Neal 2001, Eq. 11
/// ```
///
/// The mean of w is the target's integral for **any** kernels `T_t` that leave their `p_β` invariant and do not depend
/// on the chains; so the mean of log mean w is at most its logarithm. `tick` is called after each of the T intervals.
///
/// # Errors
/// The target's, or an interruption.
pub fn forward(
    target: &dyn Target,
    steps: &Steps,
    settings: &Settings,
    noise: &Generator,
    tick: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Run> {
    let [images, latent] = target.size();
    let start = noise.normal(&[settings.chains, images, latent], Kind::Double);
    run(target, start, Direction::Forward, steps, settings, noise, tick)
}

/// From one exact draw of the target for each image, `exact` `[B, D]`, to N(0, I), with the same kernels in reverse
/// order.
///
/// All K chains of an image start at its one draw. E[1/w] is one over the target's integral, so that E[−log mean 1/w]
/// is at least its logarithm (Grosse, Ghahramani & Adams 2015, §3).
///
/// # Errors
/// The target's, or an interruption.
pub fn backward(
    target: &dyn Target,
    exact: &Tensor,
    steps: &Steps,
    settings: &Settings,
    noise: &Generator,
    tick: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Run> {
    let [images, latent] = target.size();
    let start = exact.expand([settings.chains, images, latent], false).contiguous();
    run(target, start, Direction::Backward, steps, settings, noise, tick)
}

fn run(
    target: &dyn Target,
    start: Tensor,
    direction: Direction,
    steps: &Steps,
    settings: &Settings,
    noise: &Generator,
    tick: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Run> {
    tch::no_grad(|| {
        let mut point = Point::new(target, start)?;
        let mut log_weights = point.log_target.zeros_like();
        let mut acceptance = Tensor::zeros([], (Kind::Double, noise.device()));
        let intervals = settings.temperatures;
        for done in 1..=intervals {
            // β_t − β_{t−1} = 1/T.
            log_weights += point.log_ratio() / intervals as f64;
            if done < intervals {
                let temperature = match direction {
                    Direction::Forward => done,
                    Direction::Backward => intervals - done,
                };
                let kernel = settings.kernel(temperature, steps.at(temperature));
                let (next, probability) = kernel.transition(target, &point, noise)?;
                point = next;
                acceptance += probability.mean(None::<Kind>);
            }
            tick()?;
        }
        Ok(Run { log_weights, acceptance: acceptance / (intervals - 1) as f64 })
    })
}
