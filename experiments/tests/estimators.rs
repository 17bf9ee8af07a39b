//! `estimators` on small data sets of codes: what it finds is what is known of them.

mod common;

use common::{Bench, binary, refusal};
use serde_json::Value;
use std::fs;

fn measure(bench: &Bench, more: &[&str]) -> Value {
    let out = bench.path("out");
    let output = binary("estimators")
        .args(more)
        .args(["--data-size", "256", "--batch-sizes", "16,128,256", "--rows", "512", "--device", "cpu", "--json"])
        .arg("--out")
        .arg(&out)
        .assert()
        .success();
    serde_json::from_slice(&output.get_output().stdout).expect("one JSON object")
}

fn rows<'a>(found: &'a Value, codes: &'a str, estimator: &'a str, batch: i64, term: &'a str) -> &'a Value {
    let all = found["measurements"].as_array().expect("measurements");
    let fits = |row: &&Value| {
        row["codes"] == codes && row["estimator"] == estimator && row["batch"] == batch && row["term"] == term
    };
    all.iter().find(fits).unwrap_or_else(|| panic!("no {codes} {estimator} {batch} {term}"))
}

fn number(row: &Value, field: &str) -> f64 {
    row[field].as_f64().unwrap_or_else(|| panic!("{field}: {row}"))
}

/// Well-separated codes: the mutual information is ln N and the total correlation 0; Uniform reads ln B; MWS is off by ln N more.
#[test]
fn separated_codes_have_the_known_terms_and_biases() {
    let bench = Bench::new();
    let found = measure(&bench, &[]);
    let information = rows(&found, "separated", "uniform", 16, "mutual_information");
    assert!((number(information, "exact") - 256_f64.ln()).abs() < 1e-3, "{information}");
    assert!((number(information, "bias") - (16_f64.ln() - 256_f64.ln())).abs() < 1e-3, "{information}");
    let constants = rows(&found, "separated", "mws", 16, "mutual_information");
    assert!((number(constants, "bias") - 16_f64.ln()).abs() < 1e-3, "{constants}");
    let correlation = rows(&found, "separated", "balanced", 256, "total_correlation");
    assert!(number(correlation, "exact").abs() < 0.02, "{correlation}");
    // Nothing pulls at codes whose total correlation is 0, so that there is no direction to compare with.
    assert!(correlation["gradient_cosine"].is_null(), "{correlation}");
}

/// At B = N Balanced and Uniform are exact, value and gradient.
#[test]
fn the_whole_data_set_as_a_batch_is_exact() {
    let bench = Bench::new();
    let found = measure(&bench, &[]);
    for estimator in ["balanced", "uniform"] {
        let row = rows(&found, "correlated", estimator, 256, "total_correlation");
        assert!(number(row, "bias").abs() < 5.0 * number(row, "exact_standard_error"), "{row}");
        assert!(number(row, "gradient_cosine") > 0.98, "{row}");
        assert!((number(row, "gradient_norm") - 1.0).abs() < 0.1, "{row}");
    }
    assert!(found["words"].as_str().expect("words").contains("To train with: "), "{found}");
    let csv = fs::read_to_string(bench.path("out/estimators.csv")).expect("a table");
    assert_eq!(csv.lines().count(), 1 + found["measurements"].as_array().expect("rows").len());
    let picture = fs::read(bench.path("out/estimators.png")).expect("a picture");
    assert!(picture.starts_with(b"\x89PNG"));
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let bench = Bench::new();
    let out = bench.path("out").display().to_string();
    let mut command = binary("estimators");
    command.args(["--data-size", "64", "--batch-sizes", "16,128", "--device", "cpu", "--out", &out]);
    let line = refusal(&mut command, 2);
    assert_eq!(line, "--batch-sizes: expected sizes from 2 to --data-size 64, got 128");
    assert!(!bench.path("out").exists());
}
