//! What a finished member has measured: the last value of its curves, and what `evaluate` found afterwards.

use super::Member;
use super::standing::json_of;
use elbo_evaluation::scores::ScoreName;
use serde_json::{Map, Value};
use std::path::Path;

/// By tag: the scalars of `summary.json` under the tags of their curves, and the numbers of `evaluation/evaluation.json`, where it is of the
/// same step, under `evaluation/…` (scores under `evaluation/score/…`).
pub(super) fn scalars(out: &Path, member: &Member) -> Map<String, Value> {
    let run = out.join(&member.name);
    let summary = json_of(&run.join("summary.json")).unwrap_or_default();
    let mut scalars = summary["scalars"].as_object().cloned().unwrap_or_default();
    let evaluation = json_of(&run.join("evaluation/evaluation.json")).unwrap_or_default();
    if evaluation["step"] == summary["steps"]
        && let Value::Object(found) = evaluation
    {
        for (name, value) in &found {
            let is_score = name.parse::<ScoreName>().is_ok();
            let tag = if is_score { format!("evaluation/score/{name}") } else { format!("evaluation/{name}") };
            numbers(tag, value, &mut scalars);
        }
    }
    scalars
}

/// The numbers below `value`; of an estimate or a score with its error or interval, the estimate alone. Lists are no scalars.
fn numbers(tag: String, value: &Value, found: &mut Map<String, Value>) {
    const ABOUT: [&str; 3] = ["evaluation/step", "evaluation/images", "evaluation/minibatch"];
    if ABOUT.contains(&tag.as_str()) {
        return;
    }
    match value {
        Value::Number(_) => {
            found.insert(tag, value.clone());
        }
        Value::Object(object) => match object.get("value") {
            Some(value) => numbers(tag, value, found),
            None => object.iter().for_each(|(name, value)| numbers(format!("{tag}/{name}"), value, found)),
        },
        _ => {}
    }
}
