//! Directions of the latent space: an attribute's, and random ones to compare with.
//!
//! The **plain** difference of means is what the papers call an attribute vector. It answers "how do pictures with the attribute differ
//! from those without?", in everything that goes with it: where people with sunglasses happen to look to the left more often, it turns
//! heads. The **balanced** vector is the attribute's coefficient in the least-squares fit of the code to the attribute and to all else that
//! is known of the picture:
//!
//! ```text
//! z ≈ a + v·attribute + Σ_j w_j·other_j          v = Σ_n r_n z_n / Σ_n r_n²,  r = what the others do not tell of the attribute
//! ```
//!
//! (Frisch & Waugh 1933). It is the difference between pictures that agree in the others, as far as their effects on the code add up. In a
//! grid of factors, such as dSprites, the others are independent of the attribute, and both vectors are the same but for sampling.

use elbo_native::Generator;
use tch::{Device, Kind, Tensor};

/// A smaller share than this of an attribute's variance left by the others is a rounding error: they determine it.
const DETERMINED: f64 = 1e-9;

/// The mean code of pictures with the attribute minus that of pictures without.
///
/// Shapes: `codes` `[n, D]`, `has` `[n]`, 0 or 1 of any kind, both of which occur; result `[D]`, on the device and of the kind of `codes`.
pub fn difference(codes: &Tensor, has: &Tensor) -> Tensor {
    let has = has.to_device(codes.device()).to_kind(Kind::Double);
    coefficient(codes, &(&has - has.mean(None)))
}

/// The attribute's coefficient with `others` (`[n, J]`, float64) held fixed; `None` where these determine the attribute.
///
/// Shapes as for [`difference`]. Without others it is that.
pub fn balanced(codes: &Tensor, has: &Tensor, others: &Tensor) -> Option<Tensor> {
    let has = has.to_device(Device::Cpu).to_kind(Kind::Double);
    let others = others.to_device(Device::Cpu).to_kind(Kind::Double);
    let ones = Tensor::ones([has.size()[0], 1], (Kind::Double, Device::Cpu));
    let others = Tensor::cat(&[ones, others], 1);
    // The driver for matrices of any rank: levels that do not occur leave columns of zeros.
    let (weights, ..) = others.linalg_lstsq(&has.unsqueeze(1), None::<f64>, "gelsd");
    let rest = &has - others.matmul(&weights).squeeze_dim(1);
    let left = rest.square().sum(None).double_value(&[]);
    let variance = (&has - has.mean(None)).square().sum(None).double_value(&[]);
    (left > DETERMINED * variance).then(|| coefficient(codes, &rest.to_device(codes.device())))
}

/// `Σ_n r_n z_n / Σ_n r_n²`.
fn coefficient(codes: &Tensor, rest: &Tensor) -> Tensor {
    let sum = rest.unsqueeze(0).matmul(&codes.to_kind(Kind::Double)).squeeze_dim(0);
    (sum / rest.square().sum(None)).to_kind(codes.kind())
}

/// `count` directions of length `length`, uniform on the sphere: `[count, D]` on the generator's device.
pub fn random(count: i64, latent: i64, length: f64, noise: &Generator) -> Tensor {
    scaled(&noise.normal(&[count, latent], Kind::Float), length)
}

/// `count` directions of length `length`, each from the code of one picture to that of another: `[count, D]`.
///
/// A step along one of them goes where data differ from each other, while much of a uniform direction may lie in dimensions that the
/// decoder does not use. So this is the stricter comparison. `codes` (`[n, D]`, n ≥ 2) are of pictures that are alike in the attribute.
pub fn between(codes: &Tensor, count: i64, length: f64, noise: &Generator) -> Tensor {
    let pictures = codes.size()[0];
    assert!(pictures >= 2, "a direction between pictures needs two, got {pictures}");
    let from = noise.integers(pictures, &[count]);
    // 1 to n − 1 further on: never the picture itself.
    let to = (&from + noise.integers(pictures - 1, &[count]) + 1).remainder(pictures);
    scaled(&(codes.index_select(0, &to) - codes.index_select(0, &from)), length)
}

fn scaled(directions: &Tensor, length: f64) -> Tensor {
    let norm = directions.square().sum_dim_intlist(-1, true, None).sqrt();
    directions / norm.clamp_min(f64::from(f32::MIN_POSITIVE)) * length
}
