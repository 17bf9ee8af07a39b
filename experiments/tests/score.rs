//! `score` on codes whose scores are known, and what it refuses.

mod common;

use common::{Bench, binary, refusal, snapshot};
use elbo_experiments::archive::Archive;
use serde_json::Value;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Codes, factors and figures of scikit-learn and numpy; columns are stored one after the other.
fn case() -> Value {
    let text = include_str!("../../crates/evaluation/tests/metrics.json");
    let mut metrics: Value = serde_json::from_str(text).expect("JSON");
    metrics["case"].take()
}

fn matrix(columns: &Value) -> Tensor {
    let columns = columns.as_array().expect("columns");
    let values: Vec<f64> = columns
        .iter()
        .flat_map(|column| column.as_array().expect("a column"))
        .map(|value| value.as_f64().expect("a number"))
        .collect();
    Tensor::from_slice(&values).view([columns.len() as i64, -1]).transpose(0, 1).contiguous()
}

fn score(files: &[&Path], more: &[&str]) -> Value {
    let output = binary("score").args(files).args(["--json", "--quiet"]).args(more).assert().success();
    serde_json::from_slice(&output.get_output().stdout).expect("one JSON object")
}

fn write(path: &Path, codes: &Tensor, factors: &Tensor) {
    Archive::new().with("codes", codes).with("factors", factors).write(path).expect("written");
}

/// A grid of three factors of 3, 4 and 5 levels, ten times over, as the codes themselves and as Int64 levels.
fn grid() -> (Tensor, Tensor) {
    let levels: Vec<i64> = (0..600).flat_map(|row| [row % 3, row / 3 % 4, row / 12 % 5]).map(i64::from).collect();
    let levels = Tensor::from_slice(&levels).view([600, 3]);
    (levels.to_kind(Kind::Double) - 1.0, levels)
}

/// All 400 rows at once, so that nothing is drawn: MIG, SAP (continuous) and modularity to nine digits.
#[test]
fn scores_that_learn_nothing_agree_with_the_golden_figures() {
    let bench = Bench::new();
    let case = case();
    let file = bench.path("codes.npz");
    write(&file, &matrix(&case["codes"]), &matrix(&case["factors"]).to_kind(Kind::Int64));
    let found = score(&[&file], &["--scores", "mig_histogram,sap_continuous,modularity"]);
    for (ours, theirs) in [("mig_histogram", "mig"), ("sap_continuous", "sap_continuous"), ("modularity", "modularity")]
    {
        let (value, expected) = (found[ours]["value"].as_f64().expect(ours), case[theirs].as_f64().expect(theirs));
        assert!((value - expected).abs() < 1e-9, "{ours}: {value}, expected {expected}");
        let bound = |name: &str| found[ours][name].as_f64().expect(name);
        assert!(bound("low") < value && value < bound("high"), "{found}");
    }
    assert_eq!(found, score(&[&file], &["--scores", "mig_histogram,sap_continuous,modularity"]), "the same seed");
}

/// Codes that are the factors have the best value of every score; a constant code the worst, and no value is a NaN.
#[test]
fn codes_that_are_the_factors_score_best_and_constant_ones_worst() {
    let bench = Bench::new();
    let (codes, factors) = grid();
    let (best, worst) = (bench.path("best.npz"), bench.path("worst.npz"));
    // Encodings as narrow as a thousandth of a level, so that samples of them tell the level.
    let log_var = codes.full_like(2.0 * 1e-3_f64.ln());
    Archive::new()
        .with("codes", &codes)
        .with("mean", &codes)
        .with("log_var", &log_var)
        .with("factors", &factors)
        .write(&best)
        .expect("written");
    write(&worst, &codes.zeros_like(), &factors);
    let found = score(&[&best], &[]);
    for name in
        ["mig_chen", "mig_histogram", "factor_vae", "beta_vae", "sap_continuous", "modularity", "explicitness", "irs"]
    {
        let value = found[name]["value"].as_f64().expect(name);
        assert!(value > 0.97, "{name}: {value}");
    }
    for part in ["disentanglement", "completeness", "informativeness"] {
        let value = found["dci"][part]["value"].as_f64().expect(part);
        assert!(value > 0.97, "{part}: {value}");
    }
    assert!(found["sap"]["value"].as_f64().expect("SAP") > 0.3, "one against the rest cannot tell a middle level");
    assert_eq!(found["active_units"]["value"], 3.0);
    let found = score(&[&worst], &[]);
    for name in ["mig_histogram", "factor_vae", "sap", "sap_continuous", "modularity", "irs"] {
        let value = found[name]["value"].as_f64().expect(name);
        assert!(value.abs() < 0.05, "{name}: {value}");
    }
    assert!((found["explicitness"]["value"].as_f64().expect("area") - 0.5).abs() < 1e-9);
    assert_eq!(found["active_units"]["value"], 0.0);
    assert!(found.get("mig_chen").is_none(), "there are no encodings: {found}");
}

/// A factor called shape does not count in `mig_chen`: two dimensions that share it cost nothing.
#[test]
fn names_of_factors_are_read() {
    let bench = Bench::new();
    let (codes, factors) = grid();
    let codes = Tensor::cat(&[&codes, &codes.narrow(1, 0, 1)], 1);
    let write = |name: &str, names: &[&str]| {
        let words: Vec<String> = names.iter().map(ToString::to_string).collect();
        let archive = Archive::new().with("codes", &codes).with("mean", &codes).with("factors", &factors);
        let archive = archive.with("log_var", &codes.full_like(2.0 * 1e-3_f64.ln())).with_words("factor_names", &words);
        archive.write(&bench.path(name)).expect("written");
        bench.path(name)
    };
    let mig = |path: &Path| score(&[path], &["--scores", "mig_chen"])["mig_chen"]["value"].as_f64().expect("a value");
    assert!((mig(&write("shape.npz", &["shape", "scale", "angle"])) - 1.0).abs() < 1e-6);
    assert!((mig(&write("other.npz", &["form", "scale", "angle"])) - 2.0 / 3.0).abs() < 1e-6);
    let line = refusal(binary("score").arg(write("few.npz", &["shape", "scale"])), 2);
    assert!(line.contains("factor_names: expected "), "{line}");
}

#[test]
fn malformed_files_get_one_line_each() {
    let bench = Bench::new();
    let (codes, factors) = grid();
    let file = bench.path("codes.npz");
    let nan = Tensor::cat(&[codes.narrow(0, 0, 599), codes.narrow(0, 0, 1) * f64::NAN], 0);
    let one_class = Tensor::cat(&[factors.narrow(1, 0, 2), factors.narrow(1, 2, 1).zeros_like()], 1);
    let cases = [
        (
            codes.shallow_clone(),
            factors.narrow(0, 0, 500),
            "factors: expected [600, K], a row of levels for each row of codes, got [500, 3]",
        ),
        (codes.reshape([-1]), factors.shallow_clone(), "codes: expected [n, D] with at least 2 rows, got [1800]"),
        (nan, factors.shallow_clone(), "codes: expected finite numbers, got NaN at [599, 0]"),
        (codes.shallow_clone(), factors.to_kind(Kind::Double) + 0.5, "factors: expected whole numbers in row 0"),
        (
            codes.shallow_clone(),
            one_class,
            "factors: expected at least two classes in every column, got one in column 2 (factor2): leave it out",
        ),
    ];
    for (codes, factors, expected) in cases {
        write(&file, &codes, &factors);
        let before = snapshot(&bench.path("."));
        let line = refusal(binary("score").arg(&file), 2);
        assert!(line.starts_with(&format!("{}: {expected}", file.display())), "{line}");
        assert_eq!(snapshot(&bench.path(".")), before);
    }
    Archive::new().with("codes", &codes).write(&file).expect("written");
    let line = refusal(binary("score").arg(&file), 2);
    assert_eq!(line, format!("{}: expected an array named factors, got codes", file.display()));
    let line = refusal(binary("score").arg(bench.path("nowhere.npz")), 2);
    assert!(line.contains("nowhere.npz"), "{line}");
    for arguments in [&["--scores", "mig"][..], &["--resamples", "1"], &["--scores", "sap,sap"]] {
        write(&file, &codes, &factors);
        binary("score").arg(&file).args(arguments).assert().code(2);
    }
}

/// Two models with the same dimensions in another order agree; one of noise agrees with neither.
#[test]
fn several_files_are_ranked_by_their_agreement() {
    let bench = Bench::new();
    let (codes, factors) = grid();
    let names = ["one.npz", "two.npz", "noise.npz"].map(|name| bench.path(name));
    let order = Tensor::from_slice(&[2_i64, 0, 1]);
    let noise = elbo_core::Generator::new(Device::Cpu, 1).expect("a generator").normal(&[600, 3], Kind::Double);
    for (path, codes) in names.iter().zip([codes.shallow_clone(), codes.index_select(1, &order) * -2.0, noise]) {
        write(path, &codes, &factors);
    }
    let paths: Vec<&Path> = names.iter().map(std::path::PathBuf::as_path).collect();
    let found = score(&paths, &[]);
    let value = |index: usize| found["udr"][names[index].to_str().expect("text")].as_f64().expect("a value");
    // The median of two comparisons is their mean: agreement 1 with the twin, next to none with the noise.
    assert!(value(0) > 0.5 && value(1) > 0.5 && value(2) < 0.1, "{found}");
    let line = refusal(binary("score").args(&names).args(["--scores", "sap"]), 2);
    assert!(line.starts_with("--scores: expected one file of codes for sap"), "{line}");
    write(&names[1], &codes.narrow(0, 0, 300), &factors.narrow(0, 0, 300));
    let line = refusal(binary("score").args(&names), 2);
    assert!(line.ends_with("expected codes of the same 600 images as in the others, got 300"), "{line}");
}
