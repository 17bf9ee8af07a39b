//! Every objective holds the exported suite: one line each.

use crate::setting::beta_tcvae;
use elbo_core::Weight;
use elbo_objectives::testing::Conformance;
use elbo_objectives::{BetaVae, Elbo, Estimator, Objective};
use serde::de::DeserializeOwned;

const README: &str = include_str!("../../README.md");

/// An objective as a configuration has it.
fn read<O: DeserializeOwned + Objective + 'static>(json: &str) -> Box<dyn Objective> {
    Box::new(serde_json::from_str::<O>(json).unwrap_or_else(|error| panic!("{json}: {error}")))
}

#[track_caller]
fn holds(objective: &dyn Objective) {
    Conformance::of(objective).documented_in(README).holds();
}

#[test]
fn the_elbo() {
    holds(&Elbo);
}

#[test]
fn beta_vae() {
    for beta in [0.0, 0.5, 4.0] {
        holds(&BetaVae { beta: Weight::constant(beta).expect("a weight") });
    }
    for shape in ["linear", "cosine", "cyclical"] {
        holds(&*read::<BetaVae>(&format!(r#"{{"beta":{{"schedule":"{shape}","from":0,"to":4,"steps":1000}}}}"#)));
    }
}

#[test]
fn beta_tcvae_under_every_estimator() {
    for &estimator in Estimator::ALL {
        let objective = beta_tcvae(1.0, 6.0, 1.0, estimator);
        holds(&objective);
        // Where the batch is the data set.
        Conformance::of(&objective).dataset_len(6).documented_in(README).holds();
    }
}
