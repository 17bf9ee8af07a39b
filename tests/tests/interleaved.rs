//! Runs that share a process share nothing else.

use elbo_native::testing::single_thread;
use elbo_tests::{finish, open, part_of_sprites, shrunk, state};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn config(seed: u64, method: &Value) -> Value {
    let mut config = shrunk(json!({
        "name": "pair", "seed": seed, "precision": "float32", "data": {}, "method": method,
        "model": { "network": "mlp", "latent": 3, "likelihood": "bernoulli", "encoder_hidden": [16], "encoder_activation": "relu",
                   "decoder_hidden": [16], "decoder_activation": "tanh" },
        "optimizer": { "name": "adam", "learning_rate": 1e-3 }
    }));
    config["data"]["subset"] = part_of_sprites();
    config
}

/// The curves but speeds.
fn metrics(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("metrics.csv")).expect("metrics");
    text.lines().filter(|line| !line.contains("speed/")).map(str::to_owned).collect()
}

/// Evaluations, pictures and checkpoints included: each run owns its generator, and an evaluation has its own.
#[test]
fn two_runs_in_turn_equal_the_two_alone() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    let first = config(1, &json!({ "name": "elbo" }));
    let second = config(
        2,
        &json!({ "name": "beta-tcvae", "mi_weight": 1.0, "tc_weight": 4.0, "dw_kl_weight": 1.0, "estimator": "mss" }),
    );

    let mut alone = [open(&first, &place("first")), open(&second, &place("second"))];
    alone.iter_mut().for_each(finish);

    let mut together = [open(&first, &place("first-of-two")), open(&second, &place("second-of-two"))];
    // Out of step with each other, and with noise from the process-wide generator in between.
    for _ in 0..3 {
        together[0].advance().expect("a step");
    }
    for _ in 0..20 {
        tch::manual_seed(1);
        let _ = tch::Tensor::randn([3], (tch::Kind::Float, tch::Device::Cpu));
        for run in &mut together {
            run.advance().expect("a step");
        }
    }
    for (name, run, expected) in [("first", &together[0], &alone[0]), ("second", &together[1], &alone[1])] {
        assert!(state(run) == state(expected), "{name}");
        assert_eq!(metrics(&place(&format!("{name}-of-two"))), metrics(&place(name)));
    }
    assert!(state(&alone[0]) != state(&alone[1]), "the two differ, so that the test can fail");
}

#[test]
fn evaluations_do_not_disturb_training() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let method = json!({ "name": "beta-vae", "beta": 2.0 });
    let often = config(5, &method);
    let mut never = often.clone();
    never["train"]["evaluate_every"] = json!(0);
    let mut pictures = often.clone();
    pictures["train"]["images_every"] = json!(3);
    pictures["train"]["evaluate_every"] = json!(1);
    let states: Vec<_> = [("often", often), ("never", never), ("pictures", pictures)]
        .into_iter()
        .map(|(name, config)| {
            let mut run = open(&config, &folder.path().join(name));
            finish(&mut run);
            state(&run)
        })
        .collect();
    assert!(states[0] == states[1] && states[1] == states[2]);
}
