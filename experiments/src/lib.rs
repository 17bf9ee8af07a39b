//! What the experiment binaries share: the methods they train, and the archives they write.
//!
//! A method is a struct of weights under its name in a configuration's `method`. To add one that lives in a crate of its own, see
//! `experiments/extension`; nothing here has to change for it.

pub mod archive;
pub mod codes;
pub mod estimator_study;

use anyhow::Result;
use elbo_core::{Algorithm, FieldError};
use elbo_objectives::{BetaTcVae, BetaVae, Elbo, Objective, SingleObjective};
use elbo_runner::{BuildContext, Method};

elbo_runner::methods! {
    /// Every built-in method.
    pub enum BuiltIn {
        "elbo" => Elbo(Elbo),
        "beta-vae" => BetaVae(BetaVae),
        "beta-tcvae" => BetaTcVae(BetaTcVae),
    }
}

impl Method for BuiltIn {
    fn build(&self, context: &BuildContext<'_>) -> Result<Box<dyn Algorithm>> {
        match self.clone() {
            Self::Elbo(objective) => single(objective, context),
            Self::BetaVae(objective) => single(objective, context),
            Self::BetaTcVae(objective) => single(objective, context),
        }
    }
}

/// One VAE, one objective, one optimiser.
fn single<O: Objective + 'static>(objective: O, context: &BuildContext<'_>) -> Result<Box<dyn Algorithm>> {
    let optimizer = |error: FieldError| FieldError::new(format!("optimizer.{}", error.field), error.message);
    let algorithm = SingleObjective::new(context.vae()?, objective, context.optimizer).map_err(optimizer)?;
    Ok(Box::new(algorithm))
}
