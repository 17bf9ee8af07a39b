//! What the experiment binaries share: the methods they train, and the archives they write.
//!
//! A method is a struct of weights under its name in a configuration's `method`. To add one that lives in a crate of its own, see
//! `experiments/extension`; nothing here has to change for it.

pub mod archive;
pub mod attributes;
pub mod avb_toy;
pub mod bench;
pub mod codes;
pub mod eight_schools;
pub mod estimator_study;
pub mod evaluation;
pub mod proposition_1;
pub mod sharpness;
pub mod sweep;

use anyhow::Result;
use elbo_adversarial::game::with_density;
use elbo_adversarial::{Aae, Avb, FactorVae, InfoVaeGan, Parts, VaeGan, WaeGan};
use elbo_core::{Algorithm, FieldError};
use elbo_objectives::{
    BetaTcVae, BetaVae, Capacity, DipVae, Elbo, FreeBits, Hfvae, HsicVae, InfoVae, Iwae, Objective, SingleObjective,
    StickingTheLanding, WaeMmd,
};
use elbo_runner::{BuildContext, Method};

elbo_runner::methods! {
    /// Every built-in method.
    pub enum BuiltIn {
        "elbo" => Elbo(Elbo),
        "beta-vae" => BetaVae(BetaVae),
        "beta-tcvae" => BetaTcVae(BetaTcVae),
        "capacity" => Capacity(Capacity),
        "free-bits" => FreeBits(FreeBits),
        "iwae" => Iwae(Iwae),
        "sticking-the-landing" => StickingTheLanding(StickingTheLanding),
        "info-vae" => InfoVae(InfoVae),
        "wae-mmd" => WaeMmd(WaeMmd),
        "dip-vae" => DipVae(DipVae),
        "hsic-vae" => HsicVae(HsicVae),
        "hfvae" => Hfvae(Hfvae),
        "factor-vae" => FactorVae(FactorVae),
        "vae-gan" => VaeGan(VaeGan),
        "aae" => Aae(Aae),
        "wae-gan" => WaeGan(WaeGan),
        "info-vae-gan" => InfoVaeGan(InfoVaeGan),
        "avb" => Avb(Avb),
    }
}

impl Method for BuiltIn {
    fn build(&self, context: &BuildContext<'_>) -> Result<Box<dyn Algorithm>> {
        match self.clone() {
            Self::Elbo(objective) => single(objective, context),
            Self::BetaVae(objective) => single(objective, context),
            Self::BetaTcVae(objective) => single(objective, context),
            Self::Capacity(objective) => single(objective, context),
            Self::FreeBits(objective) => single(objective, context),
            Self::Iwae(objective) => single(objective, context),
            Self::StickingTheLanding(objective) => single(objective, context),
            Self::InfoVae(objective) => single(objective, context),
            Self::WaeMmd(objective) => single(objective, context),
            Self::DipVae(objective) => single(objective, context),
            Self::HsicVae(objective) => single(objective, context),
            Self::Hfvae(objective) => single(objective, context),
            Self::FactorVae(config) => game(context, |parts| config.build(parts)),
            Self::VaeGan(config) => game(context, |parts| config.build(parts)),
            Self::Aae(config) => game(context, |parts| config.build(parts)),
            Self::WaeGan(config) => game(context, |parts| config.build(parts)),
            Self::InfoVaeGan(config) => game(context, |parts| config.build(parts)),
            Self::Avb(config) => game(context, |parts| config.build(parts)),
        }
    }
}

/// A model and those who play against it, each with an optimiser.
fn game<G: Algorithm + 'static>(
    context: &BuildContext<'_>,
    build: impl FnOnce(Parts<'_>) -> Result<G, FieldError>,
) -> Result<Box<dyn Algorithm>> {
    let BuildContext { optimizer, initialisation, device, .. } = *context;
    let parts = Parts { vae: context.vae()?, optimizer, initialisation, device };
    Ok(Box::new(build(parts)?))
}

/// One VAE, one objective, one optimiser.
fn single<O: Objective + 'static>(objective: O, context: &BuildContext<'_>) -> Result<Box<dyn Algorithm>> {
    let optimizer = |error: FieldError| FieldError::new(format!("optimizer.{}", error.field), error.message);
    let vae = context.vae()?;
    with_density(&vae)?;
    let algorithm = SingleObjective::new(vae, objective, context.optimizer).map_err(optimizer)?;
    Ok(Box::new(algorithm))
}
