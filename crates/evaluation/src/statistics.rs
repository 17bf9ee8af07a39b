//! What a posterior looks like over a data set: KL by dimension, and the values behind histograms.

use crate::encode::Codes;
use elbo_core::posterior::kl_to_standard_normal_per_dimension;
use tch::{Kind, Tensor};

/// Means and scales of `q(z_d|x)` over the images, one list of values for each latent dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct PosteriorValues {
    /// `μ_d(x)`: `means[d]` has one value per image.
    pub means: Vec<Vec<f32>>,
    /// `σ_d(x)`, the standard deviation.
    pub scales: Vec<Vec<f32>>,
}

/// `KL(q(z_d|x) ‖ p(z_d))` averaged over the images, in nats, one value for each latent dimension; `None` where q(z|x) is not Gaussian.
pub fn kl_per_dimension(codes: &Codes) -> Option<Vec<f64>> {
    let gaussian = codes.gaussian()?;
    let wide = |t: &Tensor| t.detach().to_kind(Kind::Double);
    let kl = kl_to_standard_normal_per_dimension(&wide(&gaussian.mean), &wide(&gaussian.log_var));
    Some(host(&kl.mean_dim(0, false, None)))
}

/// Means and scales of q(z|x); `None` where they are not known. One transfer to the host.
pub fn posterior_values(codes: &Codes) -> Option<PosteriorValues> {
    let moments = codes.moments()?;
    let both = Tensor::stack(&[moments.mean.detach(), (moments.log_var.detach() * 0.5).exp()], 0);
    let size = both.size();
    let values: Vec<f32> = host(&both.to_kind(Kind::Float).transpose(1, 2).reshape(-1));
    let mut rows = values.chunks(size[1] as usize).map(<[f32]>::to_vec);
    let means = rows.by_ref().take(size[2] as usize).collect();
    Some(PosteriorValues { means, scales: rows.collect() })
}

fn host<T: tch::kind::Element>(values: &Tensor) -> Vec<T>
where
    Vec<T>: for<'a> TryFrom<&'a Tensor, Error = tch::TchError>,
{
    Vec::try_from(values).expect("values of the kind asked for")
}
