//! `attributes` on a small run: what it prints and writes, what is the same again, and what is refused.

mod common;

use common::{Bench, binary, refusal, snapshot};
use serde_json::{Value, json};
use std::fs;

const FEW: [&str; 10] =
    ["--images", "200", "--edited", "40", "--directions", "2", "--classifier-steps", "40", "--examples", "3"];

fn attributes(arguments: &[&str]) -> Value {
    let output = binary("attributes").args(arguments).args(FEW).args(["--json", "--quiet"]).assert().success();
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

/// The keys that scripts read, one series for each strength, pictures; the same seed says the same.
#[test]
fn a_run_is_asked_for_its_attributes() {
    let bench = Bench::new();
    let run = trained(&bench);
    let ask = [run.as_str(), "--attributes", "shape=heart,position_x=2..4", "--strengths", "0,1,3"];
    let found = attributes(&ask);
    assert_eq!((&found["data"], &found["step"]), (&json!("sprites"), &json!(20)));
    assert_eq!(found["attributes"].as_object().expect("attributes").len(), 2, "{found}");
    for name in ["shape=heart", "position_x=2..4"] {
        let one = &found["attributes"][name];
        for share in [
            "indicator",
            "unedited",
            "random_direction",
            "between_pictures",
            "classifier_accuracy",
            "classifier_accuracy_on_reconstructions",
            "classifier_false_alarms",
            "reconstructions_with_it",
        ] {
            assert!((0.0..=1.0).contains(&number(one, share)), "{name}: {share}: {one}");
        }
        assert_eq!(
            (&one["pictures_with"], &one["edited"], &one["held_out"]),
            (&json!(100), &json!(40), &json!("train"))
        );
        assert_eq!(one["plain"]["strengths"], json!([0.0, 1.0, 3.0]));
        assert_eq!(one["plain"]["attribute"][1]["value"], one["indicator"]);
        assert_eq!(one["plain"]["attribute"][0]["value"], one["unedited"]);
        let random = &one["plain"]["random"][1];
        let mean = f64::midpoint(random[0].as_f64().expect("a share"), random[1].as_f64().expect("a share"));
        assert!((mean - number(one, "random_direction")).abs() < 1e-12, "{one}");
        // The grid of factors has nothing that goes with an attribute, but for the 200 images that were drawn.
        assert!(one["balanced"]["length"].is_number() && number(one, "cosine_of_vectors") > 0.5, "{one}");
    }
    // Where the sprite is can be seen from its pixels: of 40 steps' learning, more than a guess.
    assert!(number(&found["attributes"]["position_x=2..4"], "classifier_accuracy") > 0.7, "{found}");

    let folder = bench.path("run/attributes");
    let stored: Value =
        serde_json::from_slice(&fs::read(folder.join("attributes.json")).expect("a file")).expect("JSON");
    assert_eq!(stored, found);
    for name in ["shape_heart_edits", "shape_heart_shares", "position_x_2__4_edits", "position_x_2__4_shares"] {
        let bytes = fs::read(folder.join(format!("{name}.png"))).expect(name);
        assert!(bytes.starts_with(b"\x89PNG"), "{name}");
    }
    assert_eq!(attributes(&ask), found, "the same seed");
    let other = attributes(&[&ask[..], &["--seed", "1"]].concat());
    assert_ne!(
        other["attributes"]["shape=heart"]["plain"]["length"],
        found["attributes"]["shape=heart"]["plain"]["length"]
    );
}

/// A test split of its own is what is held out; weights from elsewhere leave nothing behind; without a wish the shapes are looked at.
#[test]
fn a_test_split_is_held_out_and_weights_leave_nothing_behind() {
    let bench = Bench::new();
    bench.configure(&[("data.test_fraction", json!(0.25))]);
    trained(&bench);
    let weights = bench.path("run/checkpoints/step-20.safetensors").display().to_string();
    let config = bench.config().display().to_string();
    let before = snapshot(&bench.path("."));
    let found = attributes(&["--weights", &weights, "--config", &config]);
    assert_eq!(snapshot(&bench.path(".")), before);
    let names: Vec<&String> = found["attributes"].as_object().expect("attributes").keys().collect();
    assert_eq!(names, ["shape=square", "shape=ellipse", "shape=heart"]);
    assert_eq!(found["attributes"]["shape=square"]["held_out"], "test");
}

#[test]
fn what_cannot_be_asked_for_is_refused_in_one_line() {
    let bench = Bench::new();
    let run = trained(&bench);
    let refused = |more: &[&str]| refusal(binary("attributes").arg(&run).args(more).arg("--quiet"), 2);
    let line = refused(&["--attributes", "shape=star"]);
    assert!(line.starts_with("--attributes: shape: expected levels such as "), "{line}");
    let line = refused(&["--attributes", "sunglasses"]);
    assert_eq!(
        line,
        "--attributes: expected an attribute of sprites: shape=square, shape=ellipse, shape=heart, scale=0, scale=1, scale=2, \
         scale=3, scale=4, scale=5, orientation=0, orientation=1, orientation=2, orientation=3, position_x=0, position_x=1, \
         position_x=2, position_x=3, position_y=0, position_y=1, position_y=2, position_y=3; got \"sunglasses\""
    );
    let line = refused(&["--attributes", "scale=9"]);
    assert_eq!(line, "--attributes: scale: expected levels from 0 to 5, got 9");
    let line = refused(&["--attributes", "scale=0..6"]);
    assert!(line.ends_with("\"scale=0..6\", which every image has"), "{line}");
    let line = refused(&["--attributes", "shape=heart,shape=heart"]);
    assert_eq!(line, "--attributes: expected each attribute once, got shape=heart twice");
    assert_eq!(refused(&["--strengths", "0,inf"]), "--strengths: expected finite numbers, got inf");
    assert_eq!(refused(&["--strength", "0"]), "--strength: expected a finite number that is not 0, got 0");
    assert!(!bench.path("run/attributes").exists());
}
