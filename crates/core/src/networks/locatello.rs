//! The network of the large study (Locatello et al. 2019), for 64×64 pictures there.
//!
//! ```text
//! encoder  x → conv 32 4×4 → conv 32 4×4 → conv 64 2×2 → conv 64 2×2 (stride 2) → FC 256 → head 2 D
//! decoder  z → FC 256 → FC 1024 (64·h·w) → transposed conv 64, 32, 32, C of 4×4, stride 2
//! ```
//! `ReLU` between layers. The study's padding (`same`) is 1 for kernel 4 and 0 for kernel 2. To start as the study did, set
//! `"initialisation": "glorot-uniform"`.

use super::{ConvolutionalDecoder, ConvolutionalEncoder};
use crate::initialisation::Initialiser;
use crate::layers::Window;

/// How often the encoder halves a picture.
pub(super) const HALVINGS: usize = 4;

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
    let convolutions: [_; HALVINGS] =
        [(32, Window::HALVING), (32, Window::HALVING), (64, Window::PAIRING), (64, Window::PAIRING)];
    ConvolutionalEncoder::with_head(initialiser, image, noise, (&convolutions, &[256]), head)
}

pub(super) fn decoder(initialiser: &Initialiser<'_>, image: [i64; 3], latent: i64) -> ConvolutionalDecoder {
    let channels: [_; HALVINGS] = [64, 64, 32, 32];
    ConvolutionalDecoder::new(initialiser, image, latent, &[256], &channels)
}
