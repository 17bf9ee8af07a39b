//! The mutual information gap as Chen et al. 2018 define it, from exact mixture densities instead of histograms.
//!
//! ```text
//! q(z_d) = 1/N Σ_n q(z_d|x_n)          q(z_d | v_k) = the same over the images with that level
//! I(z_d; v_k) = E[log q(z_d | v_k) − log q(z_d)], z ~ q(z|x_n), n uniform                Chen et al. 2018, App. C
//! MIG = mean_k (I(z_{d*}; v_k) − max_{d ≠ d*} I(z_d; v_k)) / ln(levels of v_k)            docs/mathematics.md §11
//! ```
//!
//! Protocol: samples of q(z|x), not means; every density over the whole data set; information clamped at 0; on dSprites without the factor
//! shape, as in the paper. The expectation is over the same samples for both densities, so that the error of their difference is small. A
//! widely used implementation reshapes the code table where it should transpose it, and takes means; its figures are another quantity.

use super::information::gap;
use super::{Score, bootstrap};
use crate::exact::{MemoryBudget, Progress, Samples, mixture_log_density};
use elbo_core::Gaussian;
use elbo_data::Factors;
use tch::{Device, Kind, Tensor};

/// Mutual information between samples of every latent dimension and every factor, with the gap.
#[derive(Debug, Clone, PartialEq)]
pub struct MigChen {
    /// The score.
    pub score: Score,
    /// `I(z_d; v_k)` in nats, `[D][K]`, clamped at 0.
    pub mutual_information: Vec<Vec<f64>>,
}

/// The score of `encodings` `[N, D]` with the factors of the same images, over `samples` of q(z); `left_out` factors do not count.
///
/// `marginals` are the `log q(z_d)` `[S, D]` of the samples where they are known already ([`crate::exact::Densities`]).
///
/// # Errors
/// `progress`'s own.
pub fn mig_chen(
    encodings: &Gaussian,
    factors: &Factors,
    left_out: &[usize],
    samples: (&Samples, Option<&Tensor>),
    (resamples, seed): (usize, u64),
    progress: &mut Progress<'_>,
) -> anyhow::Result<MigChen> {
    let (samples, marginals) = samples;
    let budget = MemoryBudget::of(samples.z.device());
    let marginals = match marginals {
        Some(marginals) => marginals.shallow_clone(),
        None => mixture_log_density(encodings, &samples.z, budget, progress)?.1,
    };
    let kept: Vec<usize> = (0..factors.sizes.len()).filter(|k| !left_out.contains(k)).collect();
    assert!(!kept.is_empty(), "at least one factor must count");
    // [K][S, D]: what each sample says.
    let differences: Vec<Tensor> = kept
        .iter()
        .map(|&k| Ok(conditional(encodings, factors, k, samples, budget, progress)? - &marginals))
        .collect::<anyhow::Result<_>>()?;
    let values: Vec<Vec<f64>> = differences
        .iter()
        .map(|difference| Vec::try_from(difference.to_device(Device::Cpu).reshape(-1)).expect("float64 values"))
        .collect();
    let (count, dimensions) = (samples.z.size()[0] as usize, samples.z.size()[1] as usize);
    let normalisers: Vec<f64> = kept.iter().map(|&k| (factors.sizes[k] as f64).ln()).collect();
    let information = |rows: &[usize]| -> Vec<Vec<f64>> {
        let mean = |k: usize, d: usize| {
            rows.iter().map(|&row| values[k][row * dimensions + d]).sum::<f64>() / rows.len() as f64
        };
        (0..dimensions).map(|d| (0..values.len()).map(|k| mean(k, d).max(0.0)).collect()).collect()
    };
    let all: Vec<usize> = (0..count).collect();
    let mutual_information = information(&all);
    let value = gap(&mutual_information, &normalisers);
    let resamples = bootstrap(count, resamples, seed, |rows| gap(&information(rows), &normalisers));
    Ok(MigChen { score: Score::with_resamples(value, &resamples), mutual_information })
}

/// `log q(z_d | v_k)` of every sample under the mixture of the images that share its level of factor k, `[S, D]`, float64.
fn conditional(
    encodings: &Gaussian,
    factors: &Factors,
    k: usize,
    samples: &Samples,
    budget: MemoryBudget,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Tensor> {
    let device = samples.z.device();
    let levels = factors.classes.select(1, k as i64).to_device(device);
    let own = levels.index_select(0, &samples.own);
    let result = samples.z.zeros_like().to_kind(Kind::Double);
    for level in 0..factors.sizes[k] {
        let places = own.eq(level).nonzero().squeeze_dim(1);
        if places.size()[0] == 0 {
            continue;
        }
        let rows = levels.eq(level).nonzero().squeeze_dim(1);
        let of = |t: &Tensor| t.index_select(0, &rows);
        let mixture = Gaussian::new(of(&encodings.mean), of(&encodings.log_var));
        let z = samples.z.index_select(0, &places);
        let (_, marginals) = mixture_log_density(&mixture, &z, budget, progress)?;
        let _ = result.shallow_clone().index_copy_(0, &places, &marginals);
    }
    Ok(result)
}
