//! The step contract: consecutive steps issue the same operators with the same shapes and host numbers, and none that makes the host
//! wait for the device.

use elbo_native::testing::single_thread;
use elbo_tests::contract::check;
use elbo_tests::{refusal, shipped, shrunk};
use serde_json::{Value, json};

/// Every shipped configuration with its own networks, method and optimiser; the data are a part of dSprites, so that it runs anywhere.
#[test]
fn every_shipped_configuration_keeps_the_step_contract() {
    single_thread();
    let shipped = shipped();
    for (name, config) in &shipped {
        check(name, &shrunk(config.clone()));
    }
    assert!(shipped.len() >= 30, "{} configurations", shipped.len());
}

/// Every method of the shipped configurations with the likelihoods that have a scale to learn, on a small network.
#[test]
fn every_method_works_with_learnt_scales() {
    single_thread();
    let mut methods: Vec<Value> = Vec::new();
    for (_, config) in shipped() {
        if !methods.iter().any(|method| method == &config["method"]) {
            methods.push(config["method"].clone());
        }
    }
    assert!(methods.len() >= 14, "{} methods", methods.len());
    for method in methods {
        for likelihood in ["gaussian", "laplace"] {
            let model = json!({ "network": "mlp", "latent": 10, "likelihood": likelihood, "sigma": "learnt", "encoder_hidden": [16],
                "encoder_activation": "relu", "decoder_hidden": [16], "decoder_activation": "tanh" });
            let config = json!({ "name": "scale", "seed": 1, "precision": "float32", "data": {}, "method": method, "model": model,
                "optimizer": { "name": "adam", "learning_rate": 1e-3 } });
            let config = shrunk(config);
            if method["name"] == "vae-gan" {
                // Its decoder is taught by features and by the discriminator: nothing would train a scale of the pixels.
                let refused = refusal(&config);
                assert!(refused.contains("model.sigma: expected a number"), "{refused}");
            } else {
                check(&format!("{} with a learnt {likelihood}", method["name"]), &config);
            }
        }
    }
}

/// Each estimator, optimiser and likelihood, and weights on schedules.
#[test]
fn every_choice_keeps_the_step_contract() {
    single_thread();
    let base = |method: &Value, model: &Value, optimizer: &Value| {
        shrunk(
            json!({ "name": "choice", "seed": 1, "precision": "float32", "data": {}, "method": method, "model": model, "optimizer": optimizer }),
        )
    };
    let mlp = |likelihood: &str, sigma: Value| {
        let mut model = json!({ "network": "mlp", "latent": 3, "likelihood": likelihood, "encoder_hidden": [16],
            "encoder_activation": "relu", "decoder_hidden": [16], "decoder_activation": "tanh" });
        if !sigma.is_null() {
            model["sigma"] = sigma;
        }
        model
    };
    let ramp = |shape: &str| json!({ "schedule": shape, "from": 0.5, "to": 4.0, "steps": 7 });
    let adam = json!({ "name": "adam", "learning_rate": 1e-3 });
    for estimator in ["mws", "uniform", "mss", "balanced"] {
        for shape in ["linear", "cosine", "cyclical", "exponential"] {
            let method = json!({ "name": "beta-tcvae", "mi_weight": 1.0, "tc_weight": ramp(shape), "dw_kl_weight": 1.0, "estimator": estimator });
            check(estimator, &base(&method, &mlp("bernoulli", Value::Null), &adam));
        }
    }
    // The exact estimator takes the whole data set as its batch: eight pictures.
    let method =
        json!({ "name": "beta-tcvae", "mi_weight": 1.0, "tc_weight": 6.0, "dw_kl_weight": 1.0, "estimator": "exact" });
    let mut exact = base(&method, &mlp("bernoulli", Value::Null), &adam);
    exact["data"]["subset"] =
        json!({ "shape": "0", "scale": "0,5", "orientation": "0", "position_x": "0,31", "position_y": "0,31" });
    exact["train"]["evaluate_subset"] = json!(8);
    check("exact", &exact);
    let elbo = json!({ "name": "elbo" });
    for (likelihood, sigma) in [("gaussian", json!(0.1)), ("gaussian", json!("learnt")), ("laplace", json!("learnt"))] {
        check(likelihood, &base(&elbo, &mlp(likelihood, sigma), &adam));
    }
    for optimizer in ["adamw", "rmsprop", "sgd"] {
        let mut settings = json!({ "name": optimizer, "learning_rate": ramp("cosine"), "clip_norm": 1.0 });
        if optimizer == "adamw" {
            settings["weight_decay"] = json!(0.01);
        }
        check(optimizer, &base(&elbo, &mlp("bernoulli", Value::Null), &settings));
    }
}

/// Adversarial variational Bayes with every posterior, contrast and critic, and several critic steps.
#[test]
fn every_contrast_keeps_the_step_contract() {
    single_thread();
    let concatenation =
        json!({ "network": "concatenation", "hidden": [16], "blocks": 2, "activation": "elu", "square": 1.0 });
    let inner_product = json!({ "network": "inner-product", "hidden": [16], "features": 32, "activation": "leaky-relu-0.2", "square": 0.5 });
    let implicit = json!({ "family": "implicit", "noise": 5 });
    let moment_tractable = json!({ "family": "moment-tractable", "noise": 4, "terms": 3, "hidden": [8], "activation": "elu", "moment_samples": 16 });
    for (posterior, contrast, critic) in [
        (Value::Null, "moments", &concatenation),
        (implicit.clone(), "prior", &concatenation),
        (implicit, "batch-moments", &inner_product),
        (moment_tractable, "moments", &inner_product),
    ] {
        let mut model = json!({ "network": "mlp", "latent": 3, "likelihood": "bernoulli", "encoder_hidden": [16],
            "encoder_activation": "relu", "decoder_hidden": [16], "decoder_activation": "tanh" });
        if !posterior.is_null() {
            model["posterior"] = posterior;
        }
        let rate = json!({ "schedule": "cosine", "from": 1e-3, "to": 1e-4, "steps": 7 });
        let method = json!({ "name": "avb", "contrast": contrast, "critic_steps": 3, "critic": critic,
            "critic_optimizer": { "name": "adam", "learning_rate": rate } });
        let config = json!({ "name": "contrast", "seed": 1, "precision": "float32", "data": {}, "method": method, "model": model,
            "optimizer": { "name": "adam", "learning_rate": 1e-3 } });
        check(&format!("avb with {contrast}"), &shrunk(config));
    }
}
