//! What was found about attributes, for a person and for scripts.

use super::Finding;
use crate::evaluation::Report;
use elbo_data::Split;
use elbo_evaluation::attributes::Indicator;
use elbo_evaluation::attributes::indicator::Spread;
use elbo_evaluation::exact::Estimate;
use serde_json::{Map, Value, json};

/// Adds one attribute's table to the report.
pub fn tell(finding: &Finding, report: &mut Report) {
    let [without, with] = finding.learnt_from[..] else { unreachable!("an attribute has two sides") };
    let held_out = match finding.held_out {
        Split::Test => "of the test split",
        Split::Train => "of training pictures kept from vector and classifier",
    };
    let edited = finding.accuracy.pictures[0];
    report.section(format!(
        "{}: vector and classifier of {with} pictures with it, {without} without; {edited} {held_out} edited\n\
         the classifier is right about {} of held-out data, {} of their reconstructions (both sides counted alike)\n\
         of reconstructions with it, it says so of {:.3}",
        finding.name,
        plus_minus(finding.accuracy.balanced(), finding.accuracy.standard_error()),
        plus_minus(finding.on_reconstructions.balanced(), finding.on_reconstructions.standard_error()),
        finding.on_reconstructions.of_class[1],
    ));
    let header: Vec<String> = ["share that is said to have it, at strength".to_owned(), "length".to_owned()]
        .into_iter()
        .chain(finding.plain.strengths.iter().map(f64::to_string))
        .collect();
    let mut rows = vec![shares("attribute vector", &finding.plain)];
    if let Some((_, balanced)) = &finding.balanced {
        rows.push(shares("balanced over all else", balanced));
    }
    for (name, directions) in
        [("random direction", &finding.plain.random), ("from one picture to another", &finding.plain.between)]
    {
        let cells = directions.iter().map(|shares| {
            let spread = Spread::of(shares);
            plus_minus(spread.mean, spread.standard_deviation)
        });
        rows.push([name.to_owned(), format!("{:.2}", finding.plain.length)].into_iter().chain(cells).collect());
    }
    report.table(&header.iter().map(String::as_str).collect::<Vec<_>>(), rows);
    if let Some(doubts) = doubts(finding) {
        report.section(doubts);
    }
}

/// What takes the weight from the shares, where something does.
fn doubts(finding: &Finding) -> Option<String> {
    const ENOUGH: f64 = 0.9;
    let name = &finding.name;
    let (data, model) = (finding.accuracy.balanced(), finding.on_reconstructions.balanced());
    if data < ENOUGH {
        return Some(format!(
            "{name}: the classifier is wrong about more than one in ten of held-out data, so that the shares say little; \
             more --images or --classifier-steps may help"
        ));
    }
    (model < ENOUGH).then(|| {
        format!(
            "{name}: the classifier tells data, but not the model's reconstructions of them: the model hardly draws the attribute, \
             and an edit cannot give what it does not draw"
        )
    })
}

/// What the columns mean.
pub const LEGEND: &str = "strength 0 is the reconstruction, 1 adds the vector once; ± standard error over pictures, for the directions their standard deviation";

/// The fields of one attribute.
pub fn fields(finding: &Finding) -> Value {
    let plain = &finding.plain;
    let at = place(plain, finding.strength);
    let mut object = Map::new();
    let mut field = |name: &str, value: Value| object.insert(name.to_owned(), value);
    field("strength", json!(finding.strength));
    field("indicator", json!(plain.attribute[at].value));
    field("indicator_standard_error", json!(plain.attribute[at].standard_error));
    field("unedited", json!(plain.attribute[place(plain, 0.0)].value));
    for (name, directions) in [("random_direction", &plain.random), ("between_pictures", &plain.between)] {
        let spread = Spread::of(&directions[at]);
        field(name, json!(spread.mean));
        field(&format!("{name}_standard_deviation"), json!(spread.standard_deviation));
    }
    field("classifier_accuracy", json!(finding.accuracy.balanced()));
    field("classifier_accuracy_standard_error", json!(finding.accuracy.standard_error()));
    field("classifier_accuracy_on_reconstructions", json!(finding.on_reconstructions.balanced()));
    field("classifier_false_alarms", json!(1.0 - finding.accuracy.of_class[0]));
    field("reconstructions_with_it", json!(finding.on_reconstructions.of_class[1]));
    field("classifier_steps", json!(finding.judge.steps));
    field("pictures_without", json!(finding.learnt_from[0]));
    field("pictures_with", json!(finding.learnt_from[1]));
    field("edited", json!(finding.accuracy.pictures[0]));
    field("held_out", json!(finding.held_out.to_string()));
    field("plain", json!(plain));
    field("balanced", json!(finding.balanced.as_ref().map(|(_, balanced)| balanced)));
    field("cosine_of_vectors", json!(finding.cosine()));
    Value::Object(object)
}

/// Where a strength stands.
pub fn place(indicator: &Indicator, strength: f64) -> usize {
    let found = indicator.strengths.iter().position(|other| other.total_cmp(&strength).is_eq());
    found.expect("0 and the indicator's own are among the strengths")
}

fn shares(name: &str, indicator: &Indicator) -> Vec<String> {
    let cell = |share: &Estimate| plus_minus(share.value, share.standard_error);
    let first = [name.to_owned(), format!("{:.2}", indicator.length)];
    first.into_iter().chain(indicator.attribute.iter().map(cell)).collect()
}

fn plus_minus(value: f64, error: f64) -> String {
    if error.is_finite() { format!("{value:.3} ± {error:.3}") } else { format!("{value:.3}") }
}
