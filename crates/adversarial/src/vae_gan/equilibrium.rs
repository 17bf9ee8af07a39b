//! Who sits a step out, so that neither discriminator nor decoder runs away.

use elbo_core::NonNegative;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// The gate of the authors' code: the discriminator sits out where one of its costs is below `target − margin`, the decoder where one is above
/// `target + margin`; where both would, neither does. Published: 0.68 and 0.35.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equilibrium {
    /// What a discriminator in balance costs, in nats: near log 2, where it cannot tell.
    pub target: NonNegative,
    /// How far from it both still play, in nats.
    pub margin: NonNegative,
}

/// Float32 scalars on the device, 1 where the player sits out.
#[derive(Debug)]
pub struct Gates {
    /// Of the decoder.
    pub decoder: Tensor,
    /// Of the discriminator.
    pub discriminator: Tensor,
}

impl Equilibrium {
    /// From the discriminator's costs, batch means of −log: scalars.
    pub fn gates(&self, costs: &[&Tensor]) -> Gates {
        let costs: Vec<Tensor> = costs.iter().map(|cost| cost.detach()).collect();
        let costs = Tensor::stack(&costs, 0);
        let (target, margin) = (self.target.get(), self.margin.get());
        let kind = tch::Kind::Float;
        let discriminator = costs.lt(target - margin).any().to_kind(kind);
        let decoder = costs.gt(target + margin).any().to_kind(kind);
        let both = &discriminator * &decoder;
        Gates { decoder: decoder - &both, discriminator: discriminator - both }
    }
}
