//! `bench`: what it times, and what it hands to another program.

mod common;

use common::{binary, refusal, small};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tch::Tensor;

fn config(folder: &Path, network: &Value) -> std::path::PathBuf {
    let mut config = small();
    config["model"] = network.clone();
    let file = folder.join("config.json");
    fs::write(&file, config.to_string()).expect("written");
    file
}

fn burgess() -> Value {
    json!({ "network": "burgess", "latent": 3, "likelihood": "bernoulli" })
}

#[test]
fn every_part_of_a_step_is_timed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = config(folder.path(), &burgess());
    let output = binary("bench")
        .arg(&file)
        .args(["--steps", "2", "--repeats", "3", "--share", "2", "--json"])
        .output()
        .expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (key, subject) = found.as_object().expect("an object").iter().next().expect("a configuration");
    assert!(key.contains("/burgess/") && key.ends_with("/cpu"), "{key}");
    // The network alone has twenty layers, forward and backward.
    assert!(subject["operators"].as_u64().expect("a number") > 100, "{subject}");
    assert!(
        subject["peak_bytes"].as_u64().expect("a number") > 10_000_000 && subject["kernels"].is_null(),
        "{subject}"
    );
    for part in ["step", "gather", "forward", "update", "optimiser", "logged", "shared"] {
        let times = subject["milliseconds"][part].as_array().unwrap_or_else(|| panic!("no {part} in {subject}"));
        assert!(
            times.len() == 3 && times.iter().all(|time| time.as_f64().expect("a number") > 0.0),
            "{part}: {times:?}"
        );
    }
}

/// From the exported parameters, batch and noise the exported loss comes out again, written down here once more: what another program is to
/// compute.
#[test]
fn what_is_exported_is_a_whole_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = json!({ "network": "mlp", "latent": 3, "likelihood": "bernoulli", "encoder_hidden": [16],
                        "encoder_activation": "relu", "decoder_hidden": [16], "decoder_activation": "relu" });
    let file = config(folder.path(), &model);
    let out = folder.path().join("out");
    binary("bench").arg(&file).args(["--set", "method={\"name\":\"elbo\"}", "--export"]).arg(&out).assert().success();
    let read = |name: &str| Tensor::read_safetensors(out.join(name)).expect("tensors");
    let (parameters, steps, images) =
        (read("model.safetensors"), read("steps.safetensors"), read("images.safetensors"));
    let named = |all: &[(String, Tensor)], name: &str| {
        let found = all.iter().find(|(other, _)| other == name);
        found
            .unwrap_or_else(|| panic!("no {name} among {:?}", all.iter().map(|(name, _)| name).collect::<Vec<_>>()))
            .1
            .shallow_clone()
    };
    let expected: Value = serde_json::from_slice(&fs::read(out.join("expected.json")).expect("bytes")).expect("JSON");
    assert_eq!(expected["losses"].as_array().expect("losses").len(), 5);
    assert_eq!(named(&images, "images").size()[0], expected["dataset_len"].as_i64().expect("a length"));
    let linear = |x: &Tensor, layer: &str| {
        let bias = named(&parameters, &format!("{layer}.bias"));
        x.linear(&named(&parameters, &format!("{layer}.weight")), Some(&bias))
    };
    let (x, epsilon) = (named(&steps, "x/0").flatten(1, -1), named(&steps, "epsilon/0"));
    let head = linear(&linear(&x, "encoder.fc1").relu(), "encoder.head").chunk(2, 1);
    let (mean, log_var) = (&head[0], &head[1]);
    let z = mean + (log_var * 0.5).exp() * epsilon;
    let logits = linear(&linear(&z, "decoder.fc1").relu(), "decoder.head");
    let reconstruction = (logits.softplus() - &x * &logits).sum_dim_intlist(1, false, None);
    let kl = (mean.square() + log_var.exp() - 1.0 - log_var).sum_dim_intlist(1, false, None) * 0.5;
    let loss = (reconstruction + kl).mean(None).double_value(&[]);
    let exported = expected["losses"][0].as_f64().expect("a loss");
    assert!((loss - exported).abs() < 1e-4 * exported.abs(), "{loss} from what was exported, {exported} in the step");
}

#[test]
fn orders_are_answered_in_seconds_and_others_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = config(folder.path(), &burgess());
    let output = binary("bench")
        .arg(&file)
        .arg("--serve")
        .write_stdin("step 2\ngather 3\nmemory\nkernels\n")
        .output()
        .expect("run");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ready ") && lines.len() == 5 && lines[4] == "none", "{text}");
    assert!(lines[1..4].iter().all(|line| line.parse::<f64>().expect("seconds") > 0.0), "{text}");
    let output = binary("bench").arg(&file).arg("--serve").write_stdin("dance 2\n").output().expect("run");
    let line = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        line,
        "error: standard input: expected PART COUNT, such as `step 20`, memory or kernels, got \"dance 2\"\n"
    );
    let line = refusal(binary("bench").arg(&file).args(["--set", "method={\"name\":\"dance\"}"]), 2);
    assert!(line.contains("method"), "{line}");
}
