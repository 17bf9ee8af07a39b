//! What a minibatch makes of codes whose exact decomposition is known: the size of the artefact.
//!
//! A training loss sees the terms through an estimator of q(z) from one batch, and reports what that says. Beside the exact terms, the same
//! estimator's values at the training batch size tell how much of a published figure is the estimator (docs/mathematics.md §3.1).

use super::{Estimate, MemoryBudget};
use elbo_core::{Gaussian, Generator};
use elbo_objectives::Estimator;
use elbo_objectives::estimator::{Densities, Points};
use serde::Serialize;
use tch::{Kind, Tensor};

/// One estimator's terms at a batch size, over several batches, in nats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MinibatchTerms {
    /// The estimator's name.
    pub estimator: &'static str,
    /// What it says of I(x; z).
    pub mutual_information: Estimate,
    /// What it says of `KL(q(z) ‖ Π_d q(z_d))`.
    pub total_correlation: Estimate,
    /// What it says of `Σ_d KL(q(z_d) ‖ p(z_d))`.
    pub dimension_wise_kl: Estimate,
}

/// The terms under [`Estimator::MINIBATCH`] and uniform weights, from `batches` batches of `batch` rows of `encodings` `[N, D]`.
///
/// The same batches and samples for every estimator. Estimators that refuse the batch (a single row, fewer rows than the batch) are left out.
pub fn minibatch_terms(encodings: &Gaussian, batch: i64, batches: usize, noise: &Generator) -> Vec<MinibatchTerms> {
    assert!(batches >= 2, "a standard error needs at least 2 batches, got {batches}");
    let rows = encodings.mean.size()[0];
    let fitting: Vec<Estimator> =
        Estimator::MINIBATCH.into_iter().filter(|estimator| estimator.check(batch, rows).is_ok()).collect();
    if fitting.is_empty() || batch > rows {
        return Vec::new();
    }
    let mut terms: Vec<[Vec<f64>; 3]> = fitting.iter().map(|_| Default::default()).collect();
    tch::no_grad(|| {
        for _ in 0..batches {
            let chosen = noise.permutation(rows).narrow(0, 0, batch);
            let row = |t: &Tensor| t.detach().index_select(0, &chosen).to_kind(Kind::Double);
            let posterior = Gaussian::new(row(&encodings.mean), row(&encodings.log_var));
            let z = posterior.sample(noise, 1);
            let budget = MemoryBudget::of(z.device());
            for (estimator, [information, correlation, dimension_wise]) in fitting.iter().zip(&mut terms) {
                let points = Points::of_each_row(&z);
                let found = Densities::estimate_at(*estimator, &posterior, points, rows, budget).terms();
                let [mi, tc, dw_kl] = found.named().map(|(_, value)| value.double_value(&[]));
                information.push(mi);
                correlation.push(tc);
                dimension_wise.push(dw_kl);
            }
        }
    });
    let named =
        |(estimator, [information, correlation, dimension_wise]): (&Estimator, &[Vec<f64>; 3])| MinibatchTerms {
            estimator: estimator.name(),
            mutual_information: Estimate::of(information),
            total_correlation: Estimate::of(correlation),
            dimension_wise_kl: Estimate::of(dimension_wise),
        };
    fitting.iter().zip(&terms).map(named).collect()
}
