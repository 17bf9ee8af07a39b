//! T(x, z) by the inner product of what two networks make of x and of z.

use super::Critic;
use elbo_core::NamedTensors;
use elbo_core::initialisation::Initialiser;
use elbo_core::layers::{Activation, Linear};
use elbo_core::named::prefixed;
use elbo_native::{autocast, autocast_raw, widened};
use tch::Tensor;

/// The critic of Mescheder et al. 2017 on pictures (docs/mathematics.md §7).
///
/// ```text
/// T(x, z) = ⟨a(x), b(z)⟩ + T_x(x) + T_z(z) + c ‖z‖²
/// ```
/// a and `T_x` are heads of one network, b and `T_z` of another. The heads of a, `T_x` and `T_z` start at 0, so T starts as c ‖z‖²: −log
/// p(z) up to a constant where c = ½, which leaves log q(z|x) to learn; 0 where c = 0, which is near the truth where the contrast has the
/// moments of q.
#[derive(Debug)]
pub struct InnerProductCritic {
    observed: Vec<Linear>,
    latent: Vec<Linear>,
    /// a and `T_x`: features + 1 outputs.
    observed_head: Linear,
    /// b.
    latent_head: Linear,
    latent_term: Linear,
    activation: Activation,
    square: f64,
}

impl InnerProductCritic {
    /// For `observed` numbers of x and `latent` of z, each through `hidden` layers to `features` numbers; `square` is c.
    pub fn new(
        initialiser: &Initialiser<'_>,
        [observed, latent]: [i64; 2],
        hidden: &[i64],
        features: i64,
        activation: Activation,
        square: f64,
    ) -> Self {
        let chain = |mut inputs: i64| -> (Vec<Linear>, i64) {
            let layer = |&outputs: &i64| Linear::new(initialiser, std::mem::replace(&mut inputs, outputs), outputs);
            (hidden.iter().map(layer).collect(), hidden.last().copied().unwrap_or(inputs))
        };
        let (observed, observed_width) = chain(observed);
        let (latent, latent_width) = chain(latent);
        Self {
            observed,
            latent,
            observed_head: Linear::zero(initialiser, observed_width, features + 1),
            latent_head: Linear::new(initialiser, latent_width, features),
            latent_term: Linear::zero(initialiser, latent_width, 1),
            activation,
            square,
        }
    }

    fn through(&self, layers: &[Linear], input: &Tensor) -> Tensor {
        layers.iter().fold(input.flatten(1, -1), |input, layer| self.activation.forward(layer.forward(&input)))
    }
}

impl Critic for InnerProductCritic {
    fn log_ratio(&self, x: &Tensor, z: &Tensor) -> Tensor {
        let observed = autocast(|| self.observed_head.forward(&self.through(&self.observed, x)));
        let (latent, latent_term) = autocast_raw(|| {
            let hidden = self.through(&self.latent, z);
            (self.latent_head.forward(&hidden), self.latent_term.forward(&hidden))
        });
        let features = observed.size()[1] - 1;
        let product = observed.narrow(1, 0, features) * widened(latent);
        product.sum_dim_intlist(-1, false, None)
            + observed.select(1, features)
            + widened(latent_term).squeeze_dim(-1)
            + z.square().sum_dim_intlist(-1, false, None) * self.square
    }

    fn parameters(&self) -> NamedTensors {
        let numbered = |name: &str, layers: &[Linear]| -> NamedTensors {
            let named =
                |(index, layer): (usize, &Linear)| prefixed(&format!("{name}{}", index + 1), layer.parameters());
            layers.iter().enumerate().flat_map(named).collect()
        };
        let mut all = numbered("x_fc", &self.observed);
        all.extend(prefixed("x_head", self.observed_head.parameters()));
        all.extend(numbered("z_fc", &self.latent));
        all.extend(prefixed("z_head", self.latent_head.parameters()));
        all.extend(prefixed("z_term", self.latent_term.parameters()));
        all
    }
}
