//! Likelihoods with a scale of their own train under every objective.

use crate::setting::{generator, number};
use crate::step::{objectives, read};
use elbo_core::networks::ModelConfig;
use elbo_core::optimizer::OptimizerName;
use elbo_core::{Algorithm, BatchContext, OptimizerConfig, Weight};
use elbo_objectives::{Iwae, SingleObjective};
use serde_json::json;
use tch::{Device, Kind, Tensor};

const IMAGE: [i64; 3] = [1, 3, 3];

/// σ and b start at 1, far above what grey pixels need: after 20 steps each objective has lowered it, moved every other parameter, and found
/// nothing that is not finite on the way.
#[test]
fn every_objective_learns_the_scale_of_gaussian_and_laplace_pixels() {
    for likelihood in ["gaussian", "laplace"] {
        let model = json!({ "network": "mlp", "latent": 3, "likelihood": likelihood, "sigma": "learnt", "encoder_hidden": [8],
            "encoder_activation": "tanh", "decoder_hidden": [8], "decoder_activation": "tanh" });
        let model: ModelConfig = serde_json::from_value(model).expect("a model");
        let mut all = objectives();
        all.push(("iwae of many samples".to_owned(), read::<Iwae>(r#"{"samples":20,"gradient":"dreg"}"#)));
        for (name, objective) in all {
            let vae = model.build(IMAGE, &generator(1), Device::Cpu).expect("a model");
            let adam = OptimizerConfig::new(OptimizerName::Adam, Weight::constant(0.02).expect("positive"));
            let mut algorithm = SingleObjective::new(vae, objective, &adam).expect("an algorithm");
            let start: Vec<Tensor> = algorithm.vae().parameters().iter().map(|(_, t)| t.detach().copy()).collect();
            let (noise, mut step) = (generator(2), Tensor::from(0_i64));
            for _ in 0..20 {
                let x = noise.uniform(&[6, 1, 3, 3], Kind::Float) * 0.2;
                let context = BatchContext { step: &step, dataset_len: 50, noise: &noise };
                let scalars = algorithm.train_step(&x, &context).expect("a step");
                assert!(number(scalars.non_finite().expect("a flag")) < 0.5, "{likelihood}, {name}: not finite");
                let _ = step.g_add_scalar_(1);
            }
            for ((parameter, now), start) in algorithm.vae().parameters().iter().zip(&start) {
                assert_ne!(now, start, "{likelihood}, {name} leaves {parameter} as it was");
                if parameter == "likelihood.log_scale" {
                    assert!(number(now) < -0.2, "{likelihood}, {name}: log scale {}", number(now));
                }
            }
        }
    }
}
