//! Estimates and gradients over many batches, beside the exact ones.

use super::StudyCodes;
use anyhow::Result;
use elbo_core::{Gaussian, Generator};
use elbo_evaluation::exact::{self, Samples};
use elbo_objectives::Estimator;
use elbo_objectives::estimator::Densities;
use serde::Serialize;
use tch::{Kind, Tensor};

/// The terms, in the order of the decomposition.
pub const TERMS: [&str; 3] = ["mutual_information", "total_correlation", "dimension_wise_kl"];

/// How much to measure.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// Batch sizes B, ascending.
    pub batch_sizes: Vec<i64>,
    /// Rows drawn for each batch size: the number of batches is this over B, within [`Settings::batches`].
    pub rows: i64,
    /// Draws of noise for the exact gradient.
    pub exact_draws: i64,
}

impl Settings {
    /// Number of batches of size `batch`.
    pub fn batches(&self, batch: i64) -> i64 {
        (self.rows / batch).clamp(4, 512)
    }
}

/// One estimator of one term at one batch size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// Name of the codes.
    pub codes: String,
    /// The estimator.
    pub estimator: &'static str,
    /// B.
    pub batch: i64,
    /// Batches that means and spreads are taken over.
    pub batches: i64,
    /// One of [`TERMS`].
    pub term: &'static str,
    /// The exact term over all codes, in nats, and its standard error.
    pub exact: f64,
    /// See [`Measurement::exact`].
    pub exact_standard_error: f64,
    /// Mean estimate − exact term, in nats.
    pub bias: f64,
    /// Standard deviation of the estimate between batches, in nats.
    pub spread: f64,
    /// Length of the exact gradient.
    pub exact_gradient_norm: f64,
    /// Standard error of that gradient, as a length.
    pub exact_gradient_error: f64,
    /// Cosine between the mean gradient and the exact one. `None`, as are the next three, where the exact gradient is zero within three of
    /// its standard errors.
    pub gradient_cosine: Option<f64>,
    /// Length of the mean gradient over that of the exact one.
    pub gradient_norm: Option<f64>,
    /// Mean cosine between the gradient of a single batch and the exact one.
    pub single_gradient_cosine: Option<f64>,
    /// Root mean square distance of single gradients from their mean, over the length of the exact one.
    pub gradient_spread: Option<f64>,
}

/// Measures every estimator on `codes`; `progress` hears what is being done.
///
/// # Errors
/// When libtorch does.
pub fn measure(
    codes: &StudyCodes,
    settings: &Settings,
    noise: &Generator,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Measurement>> {
    let examples = codes.examples();
    progress(&format!("{}: exact terms and gradients over {examples} codes", codes.name));
    let exact = Exact::of(codes, settings, noise)?;
    let mut measured = Vec::new();
    for &batch in settings.batch_sizes.iter().filter(|&&batch| batch <= examples) {
        let batches = settings.batches(batch);
        progress(&format!("{}: {batches} batches of {batch}", codes.name));
        let mut draws: Vec<Vec<Draw>> = ESTIMATORS.iter().map(|_| Vec::new()).collect();
        for _ in 0..batches {
            let rows = noise.permutation(examples).narrow(0, 0, batch);
            let part = |t: &Tensor| t.index_select(0, &rows);
            let rows = Gaussian::new(part(&codes.posterior.mean), part(&codes.posterior.log_var));
            let epsilon = noise.normal(&rows.mean.size(), Kind::Float);
            for (estimator, draws) in ESTIMATORS.iter().zip(&mut draws) {
                draws.push(Draw::of(*estimator, &rows, &epsilon, examples));
            }
        }
        for (estimator, draws) in ESTIMATORS.iter().zip(&draws) {
            measured.extend(summarise(codes, *estimator, batch, draws, &exact));
            if *estimator == Estimator::Mws {
                // Constants apart, the same estimate with the same gradient: measured once.
                let moved =
                    draws.iter().map(|draw| draw.shifted((examples as f64).ln(), codes.posterior.mean.size()[1]));
                measured.extend(summarise(codes, Estimator::Uniform, batch, &moved.collect::<Vec<_>>(), &exact));
            }
        }
    }
    Ok(measured)
}

/// Those with gradients of their own; Uniform has that of MWS.
const ESTIMATORS: [Estimator; 3] = [Estimator::Mws, Estimator::Mss, Estimator::Balanced];

/// The terms of one batch and their gradients, float64 on the CPU.
#[derive(Debug)]
struct Draw {
    /// `[3]`.
    values: Tensor,
    /// `[3, P]`.
    gradients: Tensor,
}

impl Draw {
    fn of(estimator: Estimator, rows: &Gaussian, epsilon: &Tensor, examples: i64) -> Self {
        let (mean, log_var) = (rows.mean.detach(), rows.log_var.detach());
        let (latent, options) = (mean.size()[1], (mean.kind(), mean.device()));
        let matrix = Tensor::eye(latent, options).set_requires_grad(true);
        let offsets = Tensor::zeros([2, latent], options).set_requires_grad(true);
        let mean = mean.matmul(&matrix.transpose(0, 1)) + offsets.get(0);
        let log_var = log_var + offsets.get(1);
        let z = &mean + (&log_var * 0.5).exp() * epsilon;
        let densities = Densities::estimate(estimator, &Gaussian::new(mean, log_var), &z, examples);
        let product = densities.marginals.sum_dim_intlist(-1, false, None);
        // The terms are differences of these four, and so are their gradients: each is taken once.
        let parts = [&densities.conditional, &densities.joint, &product, &densities.prior].map(|part| part.mean(None));
        let flat = |part: &Tensor| {
            let gradients = Tensor::run_backward(&[part], &[&matrix, &offsets], true, false);
            Tensor::cat(&[gradients[0].reshape(-1), gradients[1].reshape(-1)], 0)
        };
        let gradients = Tensor::stack(&parts.each_ref().map(flat), 0);
        let values = Tensor::stack(&parts.map(|part| part.detach()), 0);
        Self { values: differences(&values), gradients: differences(&gradients) }
    }

    /// The draw under weights multiplied by `exp(log_factor)`.
    fn shifted(&self, log_factor: f64, latent: i64) -> Self {
        let latent = latent as f64;
        let shift = Tensor::from_slice(&[-log_factor, (1.0 - latent) * log_factor, latent * log_factor]);
        Self { values: &self.values + shift, gradients: self.gradients.shallow_clone() }
    }
}

/// Conditional − joint, joint − product, product − prior.
fn differences(parts: &Tensor) -> Tensor {
    let parts = parts.detach().to_device(tch::Device::Cpu).to_kind(Kind::Double);
    parts.narrow(0, 0, 3) - parts.narrow(0, 1, 3)
}

/// The exact terms and gradients of one data set.
#[derive(Debug)]
struct Exact {
    values: [exact::Estimate; 3],
    /// `[3, P]`.
    gradients: Tensor,
    /// Standard error of each gradient, as a length.
    errors: [f64; 3],
}

impl Exact {
    fn of(codes: &StudyCodes, settings: &Settings, noise: &Generator) -> Result<Self> {
        let examples = codes.examples();
        let own = Tensor::arange(examples, (Kind::Int64, codes.device()));
        let samples = Samples { z: codes.posterior.sample(noise, 1), own };
        let terms = exact::decompose(&codes.posterior, &samples, exact::MemoryBudget::of(codes.device()));
        let draws: Vec<Tensor> = (0..settings.exact_draws)
            .map(|_| {
                let epsilon = noise.normal(&codes.posterior.mean.size(), Kind::Float);
                Draw::of(Estimator::Exact, &codes.posterior, &epsilon, examples).gradients
            })
            .collect();
        let draws = Tensor::stack(&draws, 0);
        let errors = draws.var_dim(0, true, false).sum_dim_intlist(-1, false, None) / settings.exact_draws as f64;
        let errors: Vec<f64> = errors.sqrt().try_into()?;
        Ok(Self {
            values: [terms.mutual_information, terms.total_correlation, terms.dimension_wise_kl],
            gradients: draws.mean_dim(0, false, None),
            errors: [errors[0], errors[1], errors[2]],
        })
    }
}

fn summarise(codes: &StudyCodes, estimator: Estimator, batch: i64, draws: &[Draw], exact: &Exact) -> Vec<Measurement> {
    let stacked = |part: fn(&Draw) -> &Tensor| Tensor::stack(&draws.iter().map(part).collect::<Vec<_>>(), 0);
    let (values, gradients) = (stacked(|draw| &draw.values), stacked(|draw| &draw.gradients));
    TERMS
        .iter()
        .enumerate()
        .map(|(index, &term)| {
            let at = index as i64;
            let (values, gradients, truth) = (values.select(1, at), gradients.select(1, at), exact.gradients.get(at));
            let truth_norm = scalar(&truth.norm());
            let mean = gradients.mean_dim(0, false, None);
            let is_zero = truth_norm <= 3.0 * exact.errors[index];
            let known = |value: f64| (!is_zero && value.is_finite()).then_some(value);
            let distance = (&gradients - &mean).square().sum_dim_intlist(-1, false, None).mean(None).sqrt();
            Measurement {
                codes: codes.name.clone(),
                estimator: estimator.name(),
                batch,
                batches: draws.len() as i64,
                term,
                exact: exact.values[index].value,
                exact_standard_error: exact.values[index].standard_error,
                bias: scalar(&values.mean(None)) - exact.values[index].value,
                spread: scalar(&values.std(true)),
                exact_gradient_norm: truth_norm,
                exact_gradient_error: exact.errors[index],
                gradient_cosine: known(scalar(&Tensor::cosine_similarity(&mean, &truth, 0, 1e-30))),
                gradient_norm: known(scalar(&mean.norm()) / truth_norm),
                single_gradient_cosine: known(scalar(
                    &Tensor::cosine_similarity(&gradients, &truth.unsqueeze(0), 1, 1e-30).mean(None),
                )),
                gradient_spread: known(scalar(&distance) / truth_norm),
            }
        })
        .collect()
}

fn scalar(value: &Tensor) -> f64 {
    value.double_value(&[])
}
