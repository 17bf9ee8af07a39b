//! The network of Burgess et al. 2018, which most published disentanglement figures on dSprites use.
//!
//! ```text
//! encoder  x → [conv 32, 4×4, stride 2, padding 1] × 4 (× 3 below 64 pixels) → FC 256 → FC 256 → head 2 D
//! decoder  z → FC 256 → FC 256 → FC 32·h·w → the same convolutions, transposed → C channels of logits or means
//! ```
//! `ReLU` between layers; h and w are what the convolutions leave of the picture, 4 at both 64 and 32 pixels.

use super::{ConvolutionalDecoder, ConvolutionalEncoder};
use crate::initialisation::Initialiser;
use crate::layers::Window;

/// How often the encoder halves a picture.
pub(super) fn halvings([_, height, width]: [i64; 3]) -> usize {
    if height.min(width) >= 64 { 4 } else { 3 }
}

pub(super) fn encoder(initialiser: &Initialiser<'_>, image: [i64; 3], latent: i64) -> ConvolutionalEncoder {
    encoder_with_head(initialiser, image, 0, (latent, 2))
}

/// As [`ConvolutionalEncoder::with_head`].
pub(super) fn encoder_with_head(
    initialiser: &Initialiser<'_>,
    image: [i64; 3],
    noise: i64,
    head: (i64, i64),
) -> ConvolutionalEncoder {
    let convolutions = vec![(32, Window::HALVING); halvings(image)];
    ConvolutionalEncoder::with_head(initialiser, image, noise, (&convolutions, &[256, 256]), head)
}

pub(super) fn decoder(initialiser: &Initialiser<'_>, image: [i64; 3], latent: i64) -> ConvolutionalDecoder {
    let channels = vec![32; halvings(image)];
    ConvolutionalDecoder::new(initialiser, image, latent, &[256, 256], &channels)
}
