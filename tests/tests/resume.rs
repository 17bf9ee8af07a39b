//! Every method resumes where it stopped: all players, optimisers, buffers, gates and generators.

use elbo_native::testing::single_thread;
use elbo_runner::{Run, RunConfig, RunOptions};
use elbo_tests::{finish, open, shipped, shrunk, state};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn resume(config: &Value, directory: &Path) -> Run<elbo_experiments::BuiltIn> {
    let config = RunConfig::from_value(config.clone(), "test").expect("a configuration");
    let options =
        RunOptions { config: Some(config), origin: "test".to_owned(), directory: directory.to_owned(), resume: true };
    Run::open(&options, &mut |_| {}).expect("a run")
}

/// Of each method with each kind of model one shipped configuration: 20 steps at once, and 20 steps with a stop after 10.
#[test]
fn every_method_resumes_bit_for_bit() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen: Vec<(Value, Value)> = Vec::new();
    for (name, config) in shipped() {
        let kind = (config["method"]["name"].clone(), config["model"]["posterior"].clone());
        if seen.contains(&kind) {
            continue;
        }
        seen.push(kind);
        let config = shrunk(config);
        let directory = folder.path().join(&name);
        let mut whole = open(&config, &directory);
        finish(&mut whole);
        let expected = state(&whole);
        drop(whole);
        fs::remove_file(directory.join("checkpoints/step-20.safetensors")).expect("the last checkpoint");
        let mut resumed = resume(&config, &directory);
        assert!(state(&resumed) != expected, "{name}: the run goes back to step 10");
        finish(&mut resumed);
        let found = state(&resumed);
        for ((tensor, found), (_, expected)) in found.iter().zip(&expected) {
            assert!(found == expected, "{name}: {tensor} differs");
        }
        assert_eq!(found.len(), expected.len(), "{name}");
    }
    assert!(seen.len() >= 13, "{} methods", seen.len());
}
