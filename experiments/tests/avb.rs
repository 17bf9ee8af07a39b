//! Runs with posteriors that have no density: trained, resumed, evaluated, and refused where a density is needed.

mod common;

use common::{Bench, binary, newest_state, refusal};
use serde_json::{Value, json};
use std::path::Path;

fn method(contrast: &str) -> Value {
    json!({ "name": "avb", "contrast": contrast, "critic_steps": 2,
        "critic": { "network": "inner-product", "hidden": [16], "features": 32, "activation": "leaky-relu-0.2", "square": 0.5 },
        "critic_optimizer": { "name": "adam", "learning_rate": 1e-3, "betas": [0.5, 0.999] } })
}

fn implicit() -> Value {
    json!({ "family": "implicit", "noise": 5 })
}

fn moment_tractable() -> Value {
    json!({ "family": "moment-tractable", "noise": 4, "terms": 3, "hidden": [8, 8], "activation": "elu", "moment_samples": 16 })
}

fn bench(posterior: &Value, contrast: &str) -> Bench {
    let bench = Bench::new();
    bench.configure(&[("model.posterior", posterior.clone()), ("method", method(contrast))]);
    bench
}

fn json_of(name: &str, run: &Path, more: &[&str]) -> Value {
    let output = binary(name).arg(run).args(more).args(["--json", "--quiet"]).assert().success();
    serde_json::from_slice(&output.get_output().stdout).expect("one JSON object")
}

#[test]
fn a_run_that_is_interrupted_by_its_length_goes_on_as_if_it_had_not_been() {
    for (posterior, contrast) in [(implicit(), "prior"), (moment_tractable(), "moments")] {
        let bench = bench(&posterior, contrast);
        bench.train("whole").arg("--quiet").assert().success();
        bench.train("parts").args(["--quiet", "--set", "train.steps=9"]).assert().success();
        let resume = ["--quiet", "--resume", "--set", "train.steps=20"];
        bench.train("parts").args(resume).assert().success();
        let (whole, parts) = (newest_state(&bench.path("whole")), newest_state(&bench.path("parts")));
        assert!(whole.keys().any(|name| name.starts_with("optimizer.critic.")), "{:?}", whole.keys());
        assert_eq!(whole, parts, "{contrast}");
    }
}

/// AIS starts from the moments where there are any, and from the prior where there are none; either way it is an estimate of log p(x).
#[test]
fn annealing_scores_and_traversals_take_an_implicit_posterior() {
    for (posterior, contrast) in [(implicit(), "prior"), (moment_tractable(), "moments")] {
        let bench = bench(&posterior, contrast);
        bench.train("run").arg("--quiet").assert().success();
        let run = bench.path("run");
        let found = json_of("evaluate", &run, &["--likelihood", "ais:20:4", "--first", "20"]);
        let annealed = found["ais"].as_f64().unwrap_or_else(|| panic!("a number: {found}"));
        // An untrained Bernoulli model of 64×64 pixels: near −4096 ln 2, and finite.
        assert!((-4000.0..-1000.0).contains(&annealed), "{found}");
        let scores = json_of("evaluate", &run, &["--scores", "mig_histogram,active_units"]);
        assert!(scores["mig_histogram"]["value"].is_number(), "{scores}");
        binary("traverse").arg(&run).arg("--out").arg(bench.path("pictures")).assert().success();
    }
}

#[test]
fn methods_that_need_a_density_refuse_a_posterior_without() {
    let factor_vae = json!({ "name": "factor-vae", "tc_weight": 1.0, "critic": { "hidden": [8], "activation": "relu" },
        "critic_optimizer": { "name": "adam", "learning_rate": 1e-3 } });
    for method in [json!({ "name": "elbo" }), factor_vae] {
        let bench = Bench::new();
        bench.configure(&[("model.posterior", moment_tractable()), ("method", method)]);
        let line = refusal(bench.train("run").arg("--quiet"), 2);
        let expected = "model.posterior: expected none, for the method needs the density of q(z|x), which an implicit posterior has not";
        assert!(line.ends_with(expected), "{line}");
    }
    let bench = bench(&implicit(), "moments");
    let line = refusal(bench.train("run").arg("--quiet"), 2);
    assert!(line.contains("method.contrast: expected prior or batch-moments"), "{line}");
}
