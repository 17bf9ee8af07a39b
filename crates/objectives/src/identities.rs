//! Every identity of `docs/mathematics.md`, left side and right side, on random models.
//!
//! Discrete models are enumerated, Gaussian ones integrated by quadrature; nothing is sampled but the models themselves, so a difference is
//! an error and not noise. Both sides are computed from their own definitions in plain f64. Where the library has the quantity (the
//! estimators' weights, the Gaussian KLs, the likelihoods) its own code is one of the sides.
//!
//! | module | what |
//! |---|---|
//! | [`claim`] | [`Claim`], [`Ledger`], [`Check`]: what is compared, and the worst case of all comparisons |
//! | [`random`], [`discrete`], [`quadrature`] | the models, and exact expectations under them |
//!
//! ```
//! use elbo_objectives::identities::{Options, check_all};
//! let checks = check_all(&Options { seed: 1, models: 5, tolerance: None });
//! assert!(checks.iter().all(|check| check.holds));
//! ```

mod adversarial;
mod adversarial_gaussian;
mod aggregate;
mod annealing;
mod appendix;
mod bound;
pub mod claim;
pub mod discrete;
mod divergences;
mod hierarchy;
mod info_vae;
mod library;
mod likelihoods;
mod linear_gaussian;
mod minibatch;
mod mixture;
pub mod quadrature;
pub mod random;
mod sampler_gradients;

pub use claim::{Check, Claim, Kind, Ledger, Method};

use discrete::Discrete;
use random::Random;

/// What to check.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Seed of the random models.
    pub seed: u64,
    /// Random models of each cheap family; the families that need a grid in two dimensions get a tenth of it, at least one.
    /// From 5 on every refutation finds its counterexample; in a single model a wrong form may be nearly right by chance.
    pub models: usize,
    /// Greatest relative difference of an identity; `None` for [`Method::tolerance`].
    pub tolerance: Option<f64>,
}

/// Evaluates every claim and returns them in the order of the sections.
pub fn check_all(options: &Options) -> Vec<Check> {
    let mut ledger = Ledger::new(options.tolerance);
    let mut random = Random::new(options.seed);
    for _ in 0..options.models {
        ledger.next_model();
        enumerated(&mut ledger, &mut random);
        integrated(&mut ledger, &mut random);
    }
    for _ in 0..options.models.div_ceil(10) {
        ledger.next_model();
        mixture::check_plane(&mut ledger, &mut random);
        linear_gaussian::check_two_samples(&mut ledger, &mut random);
        sampler_gradients::check(&mut ledger, &mut random);
    }
    ledger.next_model();
    appendix::check_example(&mut ledger);
    sampler_gradients::check_printed(&mut ledger);
    ledger.into_checks()
}

/// One model of each discrete family.
fn enumerated(ledger: &mut Ledger, random: &mut Random) {
    let model = Discrete::random(random);
    bound::check(ledger, &model);
    aggregate::check(ledger, &model, random);
    info_vae::check(ledger, &model, random);
    divergences::check(ledger, &model, random);
    adversarial::check(ledger, &model, random);
    appendix::check(ledger, &model, random);

    let small = Discrete::small(random);
    bound::check_samples(ledger, &small);
    annealing::check(ledger, &small);
    adversarial::check_gradients(ledger, &small);
    divergences::check_factor(ledger, &small);

    minibatch::check(ledger, random);
    hierarchy::check(ledger, &Discrete::with_levels(&[2, 2, 3, 2], random));
    likelihoods::check(ledger, random);
}

/// One model of each Gaussian family on the line.
fn integrated(ledger: &mut Ledger, random: &mut Random) {
    likelihoods::check_densities(ledger, random);
    linear_gaussian::check(ledger, random);
    mixture::check_line(ledger, random);
    adversarial_gaussian::check(ledger, random);
}
