//! What an objective is: a pure function from a forward pass to one loss and its named parts.

use elbo_core::{BatchContext, ForwardPass, Scalars, Weight};
use std::borrow::Borrow;
use tch::Tensor;

/// A loss over a forward pass.
///
/// The struct that implements it holds the weights and is the configuration (`serde`, `deny_unknown_fields`). No state: what changes with
/// the step is arithmetic on [`BatchContext::step`], on the device.
///
/// All it takes to add one, in any crate; [`SingleObjective`](crate::SingleObjective) trains it:
///
/// ```
/// use elbo_core::{BatchContext, ForwardPass, NonNegative};
/// use elbo_objectives::{ElboParts, Objective, Terms};
/// use serde::{Deserialize, Serialize};
///
/// /// Stops pressing on a dimension whose KL has fallen to a floor: `loss = E_q[−log p(x|z)] + Σ_d max(KL_d, floor)`.
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// pub struct Floor {
///     /// Nats that each dimension has for nothing.
///     pub floor: NonNegative,
/// }
///
/// impl Objective for Floor {
///     fn evaluate(&self, pass: &ForwardPass, _context: &BatchContext<'_>) -> Terms {
///         let parts = ElboParts::of(pass);
///         let floored = parts.kl_per_dimension.clamp_min(self.floor.get()).sum(None::<tch::Kind>);
///         Terms::new(&parts.reconstruction + &floored).with_elbo(&parts).with("floored_kl", floored)
///     }
/// }
/// ```
pub trait Objective {
    /// The loss of a batch and the terms it is made of.
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms;

    /// Refuses a run whose batch, data set or number of latent dimensions does not fit, before it starts.
    ///
    /// # Errors
    /// What batch would fit, as in `expected a batch of at least 2, …; got 1`; or, where a field of the objective itself is wrong, a
    /// [`FieldError`](elbo_core::FieldError) that names it.
    fn check(&self, batch: i64, dataset_len: i64, latent: i64) -> anyhow::Result<()> {
        let _ = (batch, dataset_len, latent);
        Ok(())
    }

    /// Samples of z per example that [`Objective::evaluate`] wants in its pass.
    fn samples(&self) -> i64 {
        1
    }
}

impl<O: Objective + ?Sized> Objective for Box<O> {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        (**self).evaluate(pass, context)
    }

    fn check(&self, batch: i64, dataset_len: i64, latent: i64) -> anyhow::Result<()> {
        (**self).check(batch, dataset_len, latent)
    }

    fn samples(&self) -> i64 {
        (**self).samples()
    }
}

/// One loss, and what it is made of.
#[derive(Debug)]
pub struct Terms {
    /// What is minimised: a scalar in nats, with its graph.
    pub loss: Tensor,
    /// The parts, **unweighted**, in nats, without graph: a curve must be what its name says.
    pub scalars: Scalars,
}

impl Terms {
    /// Terms without parts yet.
    pub fn new(loss: Tensor) -> Self {
        assert_eq!(loss.dim(), 0, "a loss must be a scalar, got {:?}", loss.size());
        Self { loss, scalars: Scalars::new() }
    }

    /// Adds a part, unweighted: a scalar, or `[D]`, which is logged as `<name>/0`, `<name>/1`, ….
    pub fn with(mut self, name: impl Into<String>, value: impl Borrow<Tensor>) -> Self {
        self.scalars.push(name, value.borrow());
        self
    }

    /// Adds a setting that changes with the step, logged as `schedule/<name>`.
    pub fn with_schedule(self, name: &str, value: impl Borrow<Tensor>) -> Self {
        self.with(format!("schedule/{name}"), value)
    }

    /// Adds `schedule/<name>` for a weight that changes; a constant is in the configuration and needs no curve.
    pub fn with_weight(self, name: &str, weight: &Weight, context: &BatchContext<'_>) -> Self {
        if weight.schedule().constant().is_some() {
            return self;
        }
        self.with_schedule(name, weight.schedule().at(context.step))
    }

    /// Adds `reconstruction`, `kl`, `kl_per_dimension` and `elbo`.
    pub fn with_elbo(self, parts: &ElboParts) -> Self {
        self.with("reconstruction", &parts.reconstruction)
            .with("kl", &parts.kl)
            .with("kl_per_dimension", &parts.kl_per_dimension)
            .with("elbo", parts.elbo())
    }
}

/// The two sides of the ELBO of a batch, in nats, averaged over it.
///
/// ```text
/// ELBO = E_q[log p(x|z)] − KL(q(z|x) ‖ p(z))                                           docs/mathematics.md §1
/// ```
#[derive(Debug)]
pub struct ElboParts {
    /// −log p(x|z), summed over pixels.
    pub reconstruction: Tensor,
    /// KL(q(z|x) ‖ p(z)) in closed form, summed over latent dimensions.
    pub kl: Tensor,
    /// The summands of [`ElboParts::kl`], `[D]`.
    pub kl_per_dimension: Tensor,
}

impl ElboParts {
    /// The parts of a pass.
    ///
    /// # Panics
    /// For an implicit posterior, whose KL has no closed form.
    pub fn of(pass: &ForwardPass) -> Self {
        let kl_per_dimension = pass.posterior.kl_to_prior_per_dimension().mean_dim(0, false, None);
        Self { reconstruction: -pass.log_likelihood().mean(None), kl: kl_per_dimension.sum(None), kl_per_dimension }
    }

    /// −reconstruction − kl.
    pub fn elbo(&self) -> Tensor {
        -(&self.reconstruction + &self.kl)
    }
}
