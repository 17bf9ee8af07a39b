//! log p(x|z) of many codes, in blocks of bounded size, with or without its gradient along z.

use elbo_core::Vae;
use tch::{Device, Kind, Tensor};

/// Values (pixels times channels) decoded at a time: 16 MiB in float32, 5349 pictures of MNIST, 1024 of dSprites. A
/// decoder's hidden layers take perhaps ten times that.
const VALUES_AT_ONCE: i64 = 1 << 22;

/// p(x|·) for a batch of pictures. Codes are float64; they are decoded in the pictures' kind, which is the model's.
#[derive(Debug)]
pub(super) struct Conditional<'a> {
    vae: &'a Vae,
    x: &'a Tensor,
}

impl<'a> Conditional<'a> {
    /// For `x` `[B, C, H, W]`.
    pub(super) fn new(vae: &'a Vae, x: &'a Tensor) -> Self {
        Self { vae, x }
    }

    pub(super) fn images(&self) -> i64 {
        self.x.size()[0]
    }

    pub(super) fn device(&self) -> Device {
        self.x.device()
    }

    /// Samples per image that fit one block, at least 1.
    pub(super) fn samples_at_once(&self) -> i64 {
        (pictures_at_once(self.vae) / self.images()).max(1)
    }

    /// log p(x|z), `[K, B, D]` → `[K, B]` in float64, without a graph.
    pub(super) fn log_likelihood(&self, z: &Tensor) -> Tensor {
        tch::no_grad(|| {
            let log_likelihood = Tensor::empty(&z.size()[..2], (Kind::Double, z.device()));
            for block in self.blocks(z) {
                block.of(&log_likelihood).copy_(&self.density(&block, &block.of(z).to_kind(self.x.kind())));
            }
            log_likelihood
        })
    }

    /// log p(x|z) and its gradient along z: `[K, B, D]` → `[K, B]` and `[K, B, D]`, both float64. The model's own
    /// gradients are untouched.
    pub(super) fn with_gradient(&self, z: &Tensor) -> anyhow::Result<(Tensor, Tensor)> {
        let log_likelihood = Tensor::empty(&z.size()[..2], (Kind::Double, z.device()));
        let gradient = z.zeros_like();
        for block in self.blocks(z) {
            let leaf = block.of(z).to_kind(self.x.kind()).detach().copy().set_requires_grad(true);
            // Pictures do not meet in the decoder, so that the gradient of the sum is each picture's own.
            let (values, sum) = tch::with_grad(|| {
                let values = self.density(&block, &leaf);
                let sum = values.sum(None::<Kind>);
                (values.detach(), sum)
            });
            block.of(&log_likelihood).copy_(&values);
            let slope = elbo_native::gradients(&sum, &[("z".to_owned(), leaf)])?.remove(0);
            block.of(&gradient).copy_(&slope);
        }
        Ok((log_likelihood, gradient))
    }

    fn density(&self, block: &Block, z: &Tensor) -> Tensor {
        let x = self.x.narrow(0, block.images.0, block.images.1);
        self.vae.likelihood().log_likelihood(&x, &self.vae.decode(z))
    }

    /// All samples of some images, or some samples of all: what fits.
    fn blocks(&self, z: &Tensor) -> impl Iterator<Item = Block> + use<> {
        let (samples, images) = (z.size()[0], z.size()[1]);
        assert_eq!(images, self.images(), "z must be [K, {}, D], got {:?}", self.images(), z.size());
        let (many_samples, many_images) = (self.samples_at_once(), images.min(pictures_at_once(self.vae)));
        pieces(samples, many_samples)
            .flat_map(move |samples| pieces(images, many_images).map(move |images| Block { samples, images }))
    }
}

fn pictures_at_once(vae: &Vae) -> i64 {
    let values: i64 = vae.image().iter().product();
    (VALUES_AT_ONCE / values).max(1)
}

/// `0..count` in pieces of `most`: where each starts, how long it is.
pub(super) fn pieces(count: i64, most: i64) -> impl Iterator<Item = (i64, i64)> {
    (0..count).step_by(most as usize).map(move |start| (start, most.min(count - start)))
}

/// Some samples of some images: start and length along each axis.
struct Block {
    samples: (i64, i64),
    images: (i64, i64),
}

impl Block {
    /// This part of `[K, B, ..]`, sharing its memory.
    fn of(&self, whole: &Tensor) -> Tensor {
        whole.narrow(0, self.samples.0, self.samples.1).narrow(1, self.images.0, self.images.1)
    }
}
