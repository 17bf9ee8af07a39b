//! The ELBO and its parts over every image of a split.

use super::importance::in_float64;
use elbo_core::posterior::kl_to_standard_normal_per_dimension;
use elbo_core::{Generator, Vae};
use elbo_data::Images;
use tch::{Kind, Tensor};

/// Which z the reconstruction is taken at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// One draw from q(z|x): an unbiased estimate of the ELBO.
    Sample,
    /// The mean of q(z|x): what many papers print as reconstruction. Its "ELBO" is no bound.
    Mean,
}

/// Means over the images of a split, in nats per image.
#[derive(Debug, Clone, PartialEq)]
pub struct Elbo {
    /// −`reconstruction` − `kl`.
    pub elbo: f64,
    /// −log p(x|z), summed over pixels.
    pub reconstruction: f64,
    /// KL(q(z|x) ‖ p(z)) in closed form, summed over latent dimensions.
    pub kl: f64,
    /// Its summands, D of them.
    pub kl_per_dimension: Vec<f64>,
    /// Number of images.
    pub images: i64,
}

/// The ELBO of the images at `rows` (Int64 `[n]`; all of them for `None`), `batch` at a time: each image counts once,
/// those of the short last batch too.
///
/// ```text
/// ELBO(x) = E_q(z|x)[log p(x|z)] − KL(q(z|x) ‖ p(z))          docs/mathematics.md §1
/// ```
///
/// Sums are in float64; the host reads them once, at the end. `noise` draws z, and the pixels of images that are
/// binarised dynamically. `progress` is told the number of images done after each batch. `None` for an implicit
/// posterior, whose KL has no closed form.
///
/// # Errors
/// The error of `progress`, which ends the work.
pub fn elbo(
    vae: &Vae,
    images: &Images,
    rows: Option<&Tensor>,
    batch: i64,
    code: Code,
    noise: &Generator,
    progress: &mut dyn FnMut(i64) -> anyhow::Result<()>,
) -> anyhow::Result<Option<Elbo>> {
    let rows = rows.map_or_else(
        || Tensor::arange(images.len(), (Kind::Int64, images.device())),
        |rows| rows.to_device(images.device()),
    );
    assert!(rows.dim() == 1 && rows.size()[0] > 0, "rows must be Int64 [n], n ≥ 1, got {:?}", rows.size());
    assert!(batch >= 1, "the batch size must be at least 1, got {batch}");
    tch::no_grad(|| {
        // The reconstruction, then the KL of each dimension.
        let mut sums = Tensor::zeros([1 + vae.latent()], (Kind::Double, images.device()));
        let mut done = 0;
        for indices in rows.split(batch, 0) {
            let Some(of_batch) = batch_sums(vae, &images.gather(&indices, noise), code, noise) else {
                return Ok(None);
            };
            sums += of_batch;
            done += indices.size()[0];
            progress(done)?;
        }
        let means: Vec<f64> = Vec::try_from(sums / done as f64).expect("float64 values");
        let (reconstruction, kl) = (means[0], means[1..].iter().sum::<f64>());
        let kl_per_dimension = means[1..].to_vec();
        Ok(Some(Elbo { elbo: -reconstruction - kl, reconstruction, kl, kl_per_dimension, images: done }))
    })
}

/// Sums over a batch, `[1 + D]`.
fn batch_sums(vae: &Vae, x: &Tensor, code: Code, noise: &Generator) -> Option<Tensor> {
    let (posterior, sample) = vae.encode(x, noise);
    let gaussian = posterior.gaussian()?;
    let z = match code {
        Code::Sample => &sample,
        Code::Mean => &gaussian.mean,
    };
    let log_likelihood = vae.likelihood().log_likelihood(x, &vae.decode(z)).to_kind(Kind::Double);
    let wide = in_float64(gaussian);
    let kl = kl_to_standard_normal_per_dimension(&wide.mean, &wide.log_var);
    let reconstruction = -log_likelihood.sum(None::<Kind>).view(1);
    Some(Tensor::cat(&[reconstruction, kl.sum_dim_intlist(0, false, None)], 0))
}
