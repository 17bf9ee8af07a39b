//! `decompose` on codes whose terms are known, and what it refuses.

mod common;

use common::{Bench, binary, refusal, snapshot};
use elbo_experiments::archive::Archive;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tch::{Kind, Tensor};

/// Inputs and values in float64, made by numpy code of our own.
fn oracle(section: &str) -> Vec<Value> {
    let text = include_str!("../../crates/objectives/tests/oracle.json");
    let oracle: Value = serde_json::from_str(text).expect("JSON");
    oracle[section]["cases"].as_array().expect("cases").clone()
}

fn tensor(rows: &Value) -> Tensor {
    let rows = rows.as_array().expect("rows");
    let values: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.as_array().expect("a row"))
        .map(|value| value.as_f64().expect("a number"))
        .collect();
    Tensor::from_slice(&values).view([rows.len() as i64, -1])
}

/// Writes arrays as float64 safetensors, as PyTorch would.
fn write_safetensors(path: &Path, arrays: &[(&str, &Tensor)]) {
    let bytes: Vec<(&str, Vec<usize>, Vec<u8>)> = arrays
        .iter()
        .map(|(name, tensor)| {
            let shape = tensor.size().iter().map(|&size| size as usize).collect();
            let values: Vec<f64> = Vec::try_from(tensor.reshape([-1])).expect("values");
            (*name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views: BTreeMap<&str, TensorView<'_>> = bytes
        .iter()
        .map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F64, shape.clone(), bytes).expect("a view")))
        .collect();
    fs::write(path, safetensors::serialize(views, None).expect("bytes")).expect("written");
}

fn decompose(path: &Path, data_size: i64, more: &[&str]) -> Value {
    let output = binary("decompose")
        .arg(path)
        .args(["--data-size", &data_size.to_string(), "--device", "cpu", "--json"])
        .args(more)
        .assert()
        .success();
    serde_json::from_slice(&output.get_output().stdout).expect("one JSON object")
}

fn assert_near(found: &Value, expected: &Value, tolerance: f64, what: &str) {
    let (found, expected) = (found.as_f64().expect("a number"), expected.as_f64().expect("a number"));
    assert!((found - expected).abs() < tolerance, "{what}: {found}, expected {expected}");
}

/// MWS as Chen et al. have it, and the stratified weights of their appendix, to nine digits; from either format.
#[test]
fn minibatch_terms_agree_with_the_oracle() {
    let bench = Bench::new();
    for (index, case) in oracle("minibatch_aggregate_posterior").iter().enumerate() {
        let [mean, log_var, z] = ["mu", "logvar", "z"].map(|key| tensor(&case[key]));
        let (npz, tensors) = (bench.path(&format!("{index}.npz")), bench.path(&format!("{index}.safetensors")));
        Archive::new().with("mean", &mean).with("log_var", &log_var).with("z", &z).write(&npz).expect("written");
        write_safetensors(&tensors, &[("mean", &mean), ("log_var", &log_var), ("z", &z)]);
        let found = decompose(&npz, case["N"].as_i64().expect("N"), &[]);
        assert_eq!(found, decompose(&tensors, case["N"].as_i64().expect("N"), &[]));

        assert_eq!((&found["data_size"], &found["batch"]), (&case["N"], &case["B"]));
        assert_near(&found["kl_analytic"], &case["mean_kl_analytic"], 1e-9, "closed-form KL");
        let names: Vec<&String> = found["estimators"].as_object().expect("estimators").keys().collect();
        assert_eq!(names, ["mws", "mss", "balanced"], "exact needs the whole data set");
        for (ours, theirs) in [("mws", "mws_rtqichen"), ("mss", "mss_paper_diagonal_weights")] {
            for (term, key) in
                [("mutual_information", "mi"), ("total_correlation", "tc"), ("dimension_wise_kl", "dwkl")]
            {
                assert_near(&found["estimators"][ours][term], &case[theirs][key], 1e-9, &format!("{ours} {term}"));
            }
            assert_near(&found["estimators"][ours]["kl_sampled"], &case["mean_kl_mc"], 1e-9, ours);
        }
    }
}

/// 300 samples of each of the oracle's 64 Gaussians: within three standard errors of the quadrature, and adding up.
#[test]
fn exact_terms_agree_with_quadrature() {
    let bench = Bench::new();
    for (index, case) in oracle("exact_aggregate_decomposition").iter().enumerate() {
        let [mean, log_var] = ["mu", "logvar"].map(|key| tensor(&case[key]));
        let noise = elbo_core::Generator::new(tch::Device::Cpu, 5).expect("a generator");
        let own = noise.integers(mean.size()[0], &[300 * 64]);
        let rows = |t: &Tensor| t.index_select(0, &own);
        let z = rows(&mean) + (rows(&log_var) * 0.5).exp() * noise.normal(&[300 * 64, mean.size()[1]], Kind::Double);
        let file = bench.path(&format!("{index}.npz"));
        Archive::new()
            .with("mean", &mean)
            .with("log_var", &log_var)
            .with("z", &z)
            .with("own", &own)
            .write(&file)
            .expect("written");
        let found = decompose(&file, 64, &["--estimators", "exact,balanced"]);
        let exact = &found["estimators"]["exact"];
        let value = |term: &str| exact[term]["value"].as_f64().expect("a value");
        let sum: f64 = ["mutual_information", "total_correlation", "dimension_wise_kl"].map(value).iter().sum();
        assert!((sum - value("kl_sampled")).abs() < 1e-10, "{exact}");
        for (term, key) in [("mutual_information", "mi"), ("total_correlation", "tc"), ("dimension_wise_kl", "dwkl")] {
            let error = exact[term]["standard_error"].as_f64().expect("a standard error");
            assert!(error > 0.0 && error < 0.05, "{error}");
            assert_near(&exact[term]["value"], &case[key], 3.0 * error, term);
            // At B = N Balanced is exact, at the same samples.
            assert_near(&found["estimators"]["balanced"][term], &exact[term]["value"], 1e-9, term);
        }
        assert_near(&found["kl_analytic"], &case["mean_kl"], 1e-9, "closed-form KL");
    }
}

/// Where the rows are the data set, exact is among the defaults.
#[test]
fn exact_is_a_default_where_it_fits() {
    let bench = Bench::new();
    let case = &oracle("minibatch_aggregate_posterior")[0];
    let file = bench.path("codes.npz");
    let [mean, log_var, z] = ["mu", "logvar", "z"].map(|key| tensor(&case[key]).to_kind(Kind::Float));
    Archive::new().with("mean", &mean).with("log_var", &log_var).with("z", &z).write(&file).expect("written");
    let found = decompose(&file, mean.size()[0], &[]);
    let names: Vec<&String> = found["estimators"].as_object().expect("estimators").keys().collect();
    assert_eq!(names, ["mws", "mss", "balanced", "exact"]);
}

#[test]
fn bad_codes_are_refused_in_one_line() {
    let bench = Bench::new();
    let case = &oracle("minibatch_aggregate_posterior")[0];
    let [mean, log_var, z] = ["mu", "logvar", "z"].map(|key| tensor(&case[key]));
    let (rows, latent) = mean.size2().expect("two sizes");
    let name = |name: &str| bench.path(&format!("{name}.safetensors"));
    let write = |name: &Path, arrays: &[(&str, &Tensor)]| write_safetensors(name, arrays);
    write(&name("whole"), &[("mean", &mean), ("log_var", &log_var), ("z", &z)]);
    write(&name("no_z"), &[("mean", &mean), ("log_var", &log_var)]);
    write(&name("flat"), &[("mean", &mean.reshape([-1])), ("log_var", &log_var), ("z", &z)]);
    write(&name("narrow"), &[("mean", &mean), ("log_var", &log_var.narrow(1, 0, 1)), ("z", &z)]);
    write(&name("wide"), &[("mean", &mean), ("log_var", &log_var), ("z", &Tensor::cat(&[&z, &z], 1))]);
    write(&name("long"), &[("mean", &mean), ("log_var", &log_var), ("z", &Tensor::cat(&[&z, &z], 0))]);
    write(&name("nan"), &[("mean", &mean), ("log_var", &log_var), ("z", &(&z / 0.0 * 0.0))]);
    write(
        &name("one"),
        &[("mean", &mean.narrow(0, 0, 1)), ("log_var", &log_var.narrow(0, 0, 1)), ("z", &z.narrow(0, 0, 1))],
    );
    let own = Archive::new().with("mean", &mean).with("log_var", &log_var).with("z", &z);
    own.with("own", &Tensor::full([rows], rows, (Kind::Int64, tch::Device::Cpu)))
        .write(&bench.path("own.npz"))
        .expect("written");
    fs::write(bench.path("text.npz"), "not an archive").expect("written");
    let before = snapshot(&bench.path("."));
    let missing = bench.path("missing.npz");
    let size = "100";
    for (file, arguments, expected) in [
        (missing.clone(), vec!["--data-size", size], format!("{}: cannot be read: ", missing.display())),
        (
            bench.path("text.npz"),
            vec!["--data-size", size],
            format!("{}: expected a sound .npz or safetensors file", bench.path("text.npz").display()),
        ),
        (
            name("no_z"),
            vec!["--data-size", size],
            format!("{}: expected an array named z, got log_var, mean", name("no_z").display()),
        ),
        (
            name("flat"),
            vec!["--data-size", size],
            format!("{}: mean: expected [N, D], got [{}]", name("flat").display(), rows * latent),
        ),
        (
            name("narrow"),
            vec!["--data-size", size],
            format!(
                "{}: log_var: expected the shape [{rows}, {latent}] of mean, got [{rows}, 1]",
                name("narrow").display()
            ),
        ),
        (
            name("wide"),
            vec!["--data-size", size],
            format!("{}: z: expected [S, {latent}], got [{rows}, {}]", name("wide").display(), 2 * latent),
        ),
        (
            name("long"),
            vec!["--data-size", size],
            format!("{}: z: expected at most {rows} rows", name("long").display()),
        ),
        (
            name("nan"),
            vec!["--data-size", size],
            format!("{}: z: expected finite numbers, got NaN at [0, 0]", name("nan").display()),
        ),
        (name("one"), vec!["--data-size", size], "mean: mws: expected a batch of at least 2".to_owned()),
        (
            bench.path("own.npz"),
            vec!["--data-size", size],
            format!("{}: own: expected rows from 0 to {}, got {rows}", bench.path("own.npz").display(), rows - 1),
        ),
        (
            name("whole"),
            vec!["--data-size", "3"],
            format!("--data-size: expected at least the {rows} rows of mean, got 3"),
        ),
        (
            name("whole"),
            vec!["--data-size", size, "--estimators", "mws,exact"],
            "--estimators: expected as many rows as --data-size for exact".to_owned(),
        ),
    ] {
        let line = refusal(binary("decompose").arg(file).args(["--device", "cpu"]).args(arguments), 2);
        assert!(line.starts_with(&expected), "{line}\nexpected {expected}");
        assert_eq!(snapshot(&bench.path(".")), before);
    }
}
