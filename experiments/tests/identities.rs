//! The `identities` binary as a person runs it.

mod common;

use common::{binary, refusal};
use serde_json::Value;

#[test]
fn all_hold_and_the_last_line_counts_them() {
    let output = binary("identities").args(["--models", "5"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let last = text.trim_end().lines().last().expect("a last line");
    assert!(last.ends_with("over 5 models: all hold"), "{last}");
    let count: usize = last.split(' ').next().and_then(|word| word.parse().ok()).expect("a count");
    assert_eq!(text.lines().filter(|line| line.ends_with("holds") || line.ends_with("refuted")).count(), count);
}

#[test]
fn json_is_one_object_and_all_of_standard_output() {
    let output = binary("identities").args(["--models", "6", "--seed", "9", "--json"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&report["seed"], &report["models"], &report["fail"]), (&9.into(), &6.into(), &0.into()));
    let checks = report["checks"].as_array().expect("checks");
    assert_eq!(report["count"], checks.len());
    assert_eq!(report["hold"], checks.len());
    for check in checks {
        assert!(check["left"].is_number() && check["right"].is_number() && check["difference"].is_number(), "{check}");
        assert_eq!(check["holds"], true, "{check}");
    }
    assert!(String::from_utf8_lossy(&output.stderr).contains("all hold"), "the table goes to standard error");
}

/// The same seed is the same models, another seed others.
#[test]
fn the_seed_decides_the_models() {
    let run = |seed: &str| {
        let arguments = ["--models", "5", "--only", "evidence", "--json", "--seed", seed];
        binary("identities").args(arguments).output().expect("runs").stdout
    };
    assert_eq!(run("5"), run("5"));
    assert_ne!(run("5"), run("6"));
}

/// A tolerance below rounding fails: exit code 1, the failing checks by name, and the object still whole.
#[test]
fn a_check_that_fails_is_named_and_exits_with_one() {
    for tolerance in ["0", "1e-30"] {
        let output =
            binary("identities").args(["--models", "5", "--json", "--tolerance", tolerance]).output().expect("runs");
        assert_eq!(output.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        assert!(report["fail"].as_u64().expect("a count") > 10);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text.lines().last().expect("a line");
        assert!(line.starts_with("error: ") && line.contains(" checks fail: ") && line.contains("evidence"), "{line}");
    }
}

#[test]
fn bad_options_are_refused() {
    for arguments in [["--models", "4"], ["--tolerance", "-1"], ["--tolerance", "NaN"], ["--seed", "one"]] {
        let output = binary("identities").args(arguments).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains(arguments[0]));
    }
    let line = refusal(binary("identities").args(["--models", "5", "--only", "nothing"]), 2);
    assert_eq!(line, "--only: no check and no section of that name: nothing");
}
