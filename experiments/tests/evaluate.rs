//! `evaluate` on a run and on weights from elsewhere, scores while training, and what is refused.

mod common;

use common::{Bench, binary, refusal, snapshot};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn evaluate(arguments: &[&str]) -> Value {
    let output = binary("evaluate").args(arguments).args(["--json", "--quiet"]).assert().success();
    serde_json::from_slice(&output.get_output().stdout).expect("one JSON object")
}

fn number(object: &Value, name: &str) -> f64 {
    object[name].as_f64().unwrap_or_else(|| panic!("{name}: a number in {object}"))
}

/// A trained run, and its directory as text.
fn trained(bench: &Bench) -> String {
    bench.train("run").arg("--quiet").assert().success();
    bench.path("run").display().to_string()
}

/// Everything at once: the keys that scripts read, the pictures, and the curves beside those of the training.
#[test]
fn a_run_is_evaluated_whole() {
    let bench = Bench::new();
    let run = trained(&bench);
    let found = evaluate(&[&run]);
    assert_eq!((&found["images"], &found["split"], &found["step"]), (&json!(1152), &json!("train"), &json!(20)));
    let (elbo, reconstruction, kl) = (number(&found, "elbo"), number(&found, "reconstruction"), number(&found, "kl"));
    assert!((elbo + reconstruction + kl).abs() < 1e-9, "{found}");
    let dimensions: Vec<f64> = serde_json::from_value(found["kl_per_dimension"].clone()).expect("numbers");
    assert!((dimensions.iter().sum::<f64>() - kl).abs() < 1e-6);
    let exact = &found["exact"];
    let term = |name: &str| (number(&exact[name], "value"), number(&exact[name], "standard_error"));
    let terms = ["mutual_information", "total_correlation", "dimension_wise_kl"].map(term);
    let sampled = term("kl_sampled");
    // α = β = γ = 1: the terms telescope, in float32, and their sum is the KL in closed form but for sampling.
    assert!((terms.iter().map(|(value, _)| value).sum::<f64>() - sampled.0).abs() < 1e-4, "{exact}");
    assert!((sampled.0 - kl).abs() < 4.0 * sampled.1, "{exact}");
    assert!(terms[0].0 <= 1152_f64.ln() && exact["marginal_entropy"].as_array().expect("entropies").len() == 3);
    assert_eq!(found["minibatch"]["batch_size"], 16);
    assert!(found["minibatch"]["estimators"]["mws"]["total_correlation"]["standard_error"].is_number(), "{found}");
    for name in [
        "mig_chen",
        "mig_histogram",
        "factor_vae",
        "beta_vae",
        "sap",
        "sap_continuous",
        "modularity",
        "explicitness",
        "irs",
        "gaussian_total_correlation",
        "active_units",
    ] {
        let score = &found[name];
        let value = number(score, "value");
        assert!(number(score, "low") <= value && value <= number(score, "high"), "{name}: {score}");
    }
    for part in ["disentanglement", "completeness", "informativeness"] {
        assert!((0.0..=1.0).contains(&number(&found["dci"][part], "value")), "{found}");
    }

    let folder = bench.path("run/evaluation");
    let stored: Value =
        serde_json::from_slice(&fs::read(folder.join("evaluation.json")).expect("a file")).expect("JSON");
    assert_eq!(stored, found);
    for name in ["latent_against_factor", "mutual_information", "aggregate_posterior", "traversals"] {
        let bytes = fs::read(folder.join(format!("{name}.png"))).expect(name);
        assert!(bytes.starts_with(b"\x89PNG"), "{name}");
    }
    let events = event_text(&bench.path("run"));
    for tag in [
        "score/mig_chen",
        "score/dci/completeness",
        "likelihood/elbo",
        "evaluate/total_correlation",
        "evaluation/traversals",
    ] {
        assert!(events.contains(tag), "{tag}");
    }
    // A narrower call leaves what it does not compute.
    let narrow = evaluate(&[&run, "--scores", "mig_histogram"]);
    assert!(narrow.get("exact").is_none() && narrow["mig_histogram"] == found["mig_histogram"], "{narrow}");
    let stored: Value =
        serde_json::from_slice(&fs::read(folder.join("evaluation.json")).expect("a file")).expect("JSON");
    assert_eq!(stored["exact"], found["exact"]);
    assert_eq!(evaluate(&[&run]), found, "the same seed");
    assert_ne!(evaluate(&[&run, "--seed", "1", "--likelihood", "elbo"])["elbo"], found["elbo"]);
}

/// The bytes of all event files, in which tags stand as text.
fn event_text(run: &Path) -> String {
    let entries = fs::read_dir(run).expect("a folder").map(|entry| entry.expect("an entry").path());
    let events = entries.filter(|path| path.to_string_lossy().contains("tfevents"));
    events.map(|path| String::from_utf8_lossy(&fs::read(path).expect("bytes")).into_owned()).collect()
}

/// With a request nothing else is computed; more samples raise the bound, and the gaps are what is left of log p(x).
#[test]
fn likelihoods_are_computed_as_asked_for() {
    let bench = Bench::new();
    let run = trained(&bench);
    let kinds = "elbo,iwae:1,ais:20:4,gaps,bdmc:3:2";
    let found = evaluate(&[&run, "--likelihood", kinds, "--first", "40"]);
    assert!(found.get("exact").is_none() && found.get("mig_chen").is_none(), "{found}");
    assert_eq!(found["images"], 40);
    let many = evaluate(&[&run, "--likelihood", "iwae:200", "--first", "40"]);
    assert!(number(&many, "iwae") > number(&found, "iwae"), "{many} {found}");
    assert!(number(&found, "ais") > number(&found, "elbo"), "{found}");
    // log p(x) − ELBO of the encoder = both gaps, about 90 nats after 20 steps; the ELBO of one draw an image is some nats off.
    let gaps = number(&found, "approximation_gap") + number(&found, "amortization_gap");
    assert!((number(&found, "ais") - number(&found, "elbo") - gaps).abs() < 15.0, "{found}");
    assert!(number(&found["bdmc"], "gap") > -1.0 && found["bdmc"]["images"] == 100, "{found}");
    for (kinds, expected) in [
        ("gaps", "--likelihood: gaps: expected ais:TEMPERATURES:CHAINS or iwae:K beside it"),
        ("iwae:2,iwae:3", "--likelihood: expected each kind once, got iwae:3"),
    ] {
        let line = refusal(binary("evaluate").args([&run, "--likelihood", kinds, "--quiet"]), 2);
        assert!(line.starts_with(expected), "{line}");
    }
}

/// `--first`, `--indices` and the whole: the mean over a partition is the mean of the whole, and the mean code needs no noise.
#[test]
fn images_are_chosen_and_each_counts_once() {
    let bench = Bench::new();
    let run = trained(&bench);
    let list = bench.path("rows.txt");
    let rows: Vec<String> = (100..1152).map(|row| row.to_string()).collect();
    fs::write(&list, rows.join("\n")).expect("written");
    let mean = |more: &[&str]| evaluate(&[&[run.as_str(), "--likelihood", "elbo", "--latent", "mean"], more].concat());
    let (all, first, rest) = (mean(&[]), mean(&["--first", "100"]), mean(&["--indices", list.to_str().expect("text")]));
    for name in ["elbo", "reconstruction", "kl"] {
        let whole = (number(&first, name) * 100.0 + number(&rest, name) * 1052.0) / 1152.0;
        assert!((number(&all, name) - whole).abs() < 1e-4 * whole.abs().max(1.0), "{name}: {all} {first} {rest}");
    }
    let batches = mean(&["--batch-size", "7"]);
    assert!((number(&batches, "elbo") - number(&all, "elbo")).abs() < 1e-3, "{batches}");
    for (content, expected) in
        [("1 2 x", "got \"x\""), ("1152", "got \"1152\""), ("-1", "got \"-1\""), ("", "got none")]
    {
        fs::write(&list, content).expect("written");
        let line = refusal(binary("evaluate").args([&run, "--quiet", "--indices"]).arg(&list), 2);
        assert!(line.starts_with(&format!("{}: expected ", list.display())) && line.ends_with(expected), "{line}");
    }
    let line = refusal(binary("evaluate").args([&run, "--split", "test", "--quiet"]), 2);
    assert!(line.starts_with("--split: expected train: the run has no test split"), "{line}");
}

/// Tensors of a checkpoint as another framework would have them: float64, other names, mean and log-variance interleaved or apart.
fn foreign(checkpoint: &Path, form: &str) -> (Vec<u8>, Value) {
    let bytes = fs::read(checkpoint).expect("a checkpoint");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut arrays: BTreeMap<String, (Vec<usize>, Vec<f64>)> = BTreeMap::new();
    let mut names = serde_json::Map::new();
    for (name, view) in tensors.tensors() {
        let model = name.starts_with("encoder.") || name.starts_with("decoder.");
        if !model || name.matches('.').count() != 2 || view.dtype() != Dtype::F32 {
            continue;
        }
        let values: Vec<f64> = view
            .data()
            .chunks_exact(4)
            .map(|raw| f32::from_le_bytes(raw.try_into().expect("4 bytes")).into())
            .collect();
        let (rows, width) = (view.shape()[0], values.len() / view.shape()[0]);
        let row = |index: usize| &values[index * width..][..width];
        let half = rows / 2;
        let theirs = format!("vae.{}", name.replace("encoder.head", "encoder.out"));
        if name.starts_with("encoder.head") && form == "apart" {
            for (part, start) in [("mean", 0), ("log_var", half)] {
                let shape = [&[half], &view.shape()[1..]].concat();
                arrays.insert(
                    format!("{theirs}.{part}"),
                    (shape, (start..start + half).flat_map(row).copied().collect()),
                );
                names.insert(format!("{theirs}.{part}"), json!(format!("{name}:{part}")));
            }
            continue;
        }
        let content = if name.starts_with("encoder.head") && form == "interleaved" {
            (0..half).flat_map(|index| [row(index), row(half + index)].concat()).collect()
        } else {
            values
        };
        arrays.insert(theirs.clone(), (view.shape().to_vec(), content));
        names.insert(theirs, json!(name));
    }
    arrays.insert("step_counter".to_owned(), (vec![1], vec![20.0]));
    let raw: Vec<(String, Vec<usize>, Vec<u8>)> = arrays
        .into_iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views =
        raw.iter().map(|(name, shape, raw)| (name, TensorView::new(Dtype::F64, shape.clone(), raw).expect("a view")));
    (safetensors::serialize(views.collect::<Vec<_>>(), None).expect("bytes"), Value::Object(names))
}

/// The same model by whichever names and layout gives the same numbers as the run; a run's own checkpoint loads as it is.
#[test]
fn weights_of_other_frameworks_are_evaluated_like_a_run() {
    let bench = Bench::new();
    let run = trained(&bench);
    let config = bench.config().display().to_string();
    let text = |path: PathBuf| path.display().to_string();
    let ask = ["--likelihood", "elbo", "--latent", "mean", "--first", "200"];
    let expected = evaluate(&[&[run.as_str()], &ask[..]].concat());
    let checkpoint = bench.path("run/checkpoints/step-20.safetensors");
    let own = evaluate(&[&["--weights", &text(checkpoint.clone()), "--config", &config], &ask[..]].concat());
    let (file, map) = (text(bench.path("weights.safetensors")), text(bench.path("names.json")));
    let mut found = vec![own];
    for (form, head) in [("halves", "halves"), ("interleaved", "interleaved"), ("apart", "halves")] {
        let (bytes, names) = foreign(&checkpoint, form);
        fs::write(&file, bytes).expect("written");
        fs::write(&map, names.to_string()).expect("written");
        let before = snapshot(&bench.path("."));
        let weights = ["--weights", &file, "--config", &config, "--names", &map, "--head", head];
        found.push(evaluate(&[&weights, &ask[..]].concat()));
        assert_eq!(snapshot(&bench.path(".")), before, "weights from elsewhere leave nothing behind");
    }
    for (place, found) in found.iter().enumerate() {
        assert!((number(found, "elbo") - number(&expected, "elbo")).abs() < 1e-6, "{place}: {found} {expected}");
    }
    // Codes and pictures come from such weights as well: the mean codes of the file that was written last are those of the run.
    let from_weights = |program: &str, out: &str, more: &[&str]| {
        let mut command = binary(program);
        command
            .args(["--weights", &file, "--config", &config, "--names", &map, "--out"])
            .arg(bench.path(out))
            .args(more);
        command.assert().success();
    };
    from_weights("encode", "theirs.npz", &["--first", "50"]);
    binary("encode").arg(&run).arg("--out").arg(bench.path("ours.npz")).args(["--first", "50"]).assert().success();
    let mean = |name: &str| elbo_data::ArrayFile::open(&bench.path(name)).and_then(|mut file| file.numbers("mean"));
    assert_eq!(mean("theirs.npz").expect("codes").values, mean("ours.npz").expect("codes").values);
    from_weights("traverse", "pictures", &["--columns", "3"]);
    assert!(bench.path("pictures/traversals.png").exists());
    let line = refusal(binary("traverse").args(["--weights", &file, "--config", &config, "--names", &map]), 2);
    assert!(line.contains("--out: expected a directory for the pictures of --weights"), "{line}");
    // The wrong layout is another model.
    let (bytes, names) = foreign(&checkpoint, "interleaved");
    fs::write(&file, bytes).expect("written");
    fs::write(&map, names.to_string()).expect("written");
    let wrong = evaluate(&[&["--weights", &file, "--config", &config, "--names", &map], &ask[..]].concat());
    assert!((number(&wrong, "elbo") - number(&expected, "elbo")).abs() > 1e-3, "{wrong}");

    let refused = |more: &[&str]| {
        refusal(binary("evaluate").args(["--weights", &file, "--config", &config, "--quiet"]).args(more), 2)
    };
    let line = refused(&[]);
    assert!(
        line.contains("expected a tensor encoder.fc1.weight, got step_counter, ") && line.contains("--names MAP.json"),
        "{line}"
    );
    for (names, expected) in [
        (json!({ "nothing": "encoder.fc1.weight" }), "nothing: expected a tensor of "),
        (json!({ "step_counter": "encoder.fc9.weight" }), "step_counter: expected one of encoder.fc1.weight, "),
        (json!({ "step_counter": 3 }), "step_counter: expected one of our names, got 3"),
    ] {
        fs::write(&map, names.to_string()).expect("written");
        let line = refused(&["--names", &map]);
        assert!(line.starts_with(&format!("{map}: {expected}")), "{line}");
    }
    fs::write(&map, json!({ "step_counter": "encoder.fc1.weight" }).to_string()).expect("written");
    let line = refused(&["--names", &map]);
    assert!(line.contains("tensor step_counter: expected [16, 4096] for encoder.fc1.weight, got [1]"), "{line}");
    fs::write(&file, "no weights").expect("written");
    assert!(refused(&[]).starts_with(&format!("{file}: expected a sound safetensors file: ")));
}

/// Few images are no obstacle: one has no factor that varies, two have one; what cannot be computed is said, and nothing panics.
#[test]
fn few_images_are_evaluated_as_far_as_they_go() {
    let bench = Bench::new();
    let run = trained(&bench);
    let one = evaluate(&[&run, "--first", "1"]);
    assert!(one["elbo"].is_number() && one.get("mig_histogram").is_none() && one.get("dci").is_none(), "{one}");
    assert!(one["exact"]["mutual_information"]["value"].as_f64().expect("a number").abs() < 1e-6, "{one}");
    assert!(evaluate(&[&run, "--first", "1", "--likelihood", "iwae:3"])["iwae_standard_error"].is_null());
    let two = evaluate(&[&run, "--first", "2"]);
    assert!(two["mig_histogram"]["value"].is_number() && two["dci"]["informativeness"]["value"].is_number(), "{two}");
}

/// `score_every` puts scores and pictures among the curves; data without factors have none.
#[test]
fn scores_are_curves_while_training() {
    let bench = Bench::new();
    bench.configure(&[("train.score_every", json!(10)), ("train.scores", json!(["mig_chen", "mig_histogram", "dci"]))]);
    let output = bench.train("run").args(["--json", "--quiet"]).assert().success();
    let printed: Value = serde_json::from_slice(&output.get_output().stdout).expect("one JSON object");
    for tag in ["score/mig_chen/subset_64", "score/mig_histogram", "score/dci/disentanglement"] {
        assert!(printed["scalars"][tag].is_number(), "{tag}: {printed}");
    }
    for step in [10, 20] {
        assert!(bench.path(&format!("run/images/step-{step}-latent_against_factor.png")).exists());
        assert!(bench.path(&format!("run/images/step-{step}-mutual_information.png")).exists());
    }
    bench.configure(&[("train.score_every", json!(10)), ("train.scores", json!(["mig"]))]);
    let line = refusal(&mut bench.train("other"), 2);
    assert!(line.contains("train.scores[0]: expected one of mig_chen, mig_histogram, "), "{line}");
    bench.configure(&[("train.score_every", json!(10)), ("train.scores", json!([]))]);
    let line = refusal(&mut bench.train("other"), 2);
    assert!(line.contains("train.scores: expected at least one score, because score_every is not 0"), "{line}");
}
