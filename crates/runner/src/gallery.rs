//! The pictures of a model: the same during training and afterwards.

use crate::seed::{Stream, generator};
use elbo_core::{Generator, Vae};
use elbo_data::Images;
use elbo_evaluation::encode;
use elbo_evaluation::pictures::Canvas;
use elbo_evaluation::{statistics, traversal};
use tch::{Device, Tensor};

/// Pictures to a row of reconstructions and prior samples.
const COLUMNS: usize = 12;
/// Images whose codes give the KL by dimension.
const CODED: i64 = 1024;

/// A model, with some examples of its data.
#[derive(Debug)]
pub struct Gallery<'a> {
    vae: &'a Vae,
    images: &'a Images,
    examples: Tensor,
    base: Tensor,
    kl_per_dimension: Option<Vec<f64>>,
    noise: &'a Generator,
}

impl<'a> Gallery<'a> {
    /// Encodes some of the images at `rows` (Int64 `[n]`), the same ones at every call.
    ///
    /// The traversals start from the code of the image at `base`, else from the encoded one nearest the middle of the prior, where every
    /// dimension has room on both sides.
    ///
    /// # Errors
    /// When libtorch makes no generator.
    pub fn new(
        vae: &'a Vae,
        images: &'a Images,
        rows: &Tensor,
        base: Option<i64>,
        noise: &'a Generator,
    ) -> elbo_native::Result<Self> {
        let codes = encode::encode(vae, images, Some(&spread(rows, CODED)?), 128, noise);
        let base = if let Some(row) = base {
            let row = rows.narrow(0, 0, 1).full_like(row);
            encode::encode(vae, images, Some(&row), 1, noise).representatives().shallow_clone()
        } else {
            let representatives = codes.representatives();
            let distance = representatives.square().sum_dim_intlist(-1, false, None);
            representatives.index_select(0, &distance.argmin(0, true))
        };
        Ok(Self {
            vae,
            images,
            examples: spread(rows, 2 * COLUMNS as i64)?,
            base: base.squeeze_dim(0),
            kl_per_dimension: statistics::kl_per_dimension(&codes),
            noise,
        })
    }

    /// Data over reconstructions.
    pub fn reconstructions(&self) -> Canvas {
        traversal::reconstructions(self.vae, &self.images.gather(&self.examples, self.noise), COLUMNS, self.noise)
    }

    /// Decoded from the prior.
    pub fn prior_samples(&self) -> Canvas {
        traversal::prior_samples(self.vae, 4, COLUMNS, self.noise)
    }

    /// One row a latent dimension, ordered by its KL.
    pub fn traversals(&self, options: &traversal::Options<'_>) -> Canvas {
        traversal::sheet(self.vae, &self.base, self.kl_per_dimension.as_deref(), options)
    }

    /// All dimensions moving, as a GIF.
    pub fn animation(&self, options: &traversal::Options<'_>) -> Vec<u8> {
        traversal::animation(self.vae, &self.base, self.kl_per_dimension.as_deref(), options)
    }
}

/// At most `count` of the rows, in their order: drawn once and for all, because in a grid of factors equal steps meet the same levels.
fn spread(rows: &Tensor, count: i64) -> elbo_native::Result<Tensor> {
    let length = rows.size()[0];
    let places = generator(Device::Cpu, 0, Stream::Pictures(0))?.permutation(length).narrow(0, 0, count.min(length));
    Ok(rows.index_select(0, &places.sort(0, false).0.to_device(rows.device())))
}
