//! What distinguishes one run from another in `TensorBoard`'s HPARAMS table.

use std::collections::BTreeMap;

use protobuf::well_known_types::Value as ProtoValue;
use serde_json::Value;

/// One cell of the HPARAMS table.
#[derive(Debug, Clone, PartialEq)]
pub enum HParam {
    /// A number; columns of numbers can be filtered by range.
    Number(f64),
    /// Words.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

impl HParam {
    pub(super) fn to_message(&self) -> ProtoValue {
        let mut message = ProtoValue::new();
        match self {
            // TensorBoard leaves a cell empty whose number is not finite.
            Self::Number(number) if number.is_finite() => message.set_number_value(*number),
            Self::Number(number) => message.set_string_value(number.to_string()),
            Self::Text(text) => message.set_string_value(text.clone()),
            Self::Flag(flag) => message.set_bool_value(*flag),
        }
        message
    }
}

/// A run's row in the HPARAMS table: the values, and the group of runs that differ in their seed only.
///
/// `TensorBoard` finds the columns by itself from the rows of all runs it shows, and marks those that differ; their metrics are
/// the last values of all scalars. (A record that declares the columns exists, but `TensorBoard` believes one run's for all runs,
/// and then hides the hyperparameters of every other method.)
#[derive(Debug, Clone, PartialEq)]
pub struct HParams {
    /// Runs of one group are shown as one row, with averaged metrics.
    pub group: String,
    /// Name and value, in the order of the config.
    pub values: Vec<(String, HParam)>,
}

/// Whether a setting says what is learnt, rather than what it is called, where it runs and how often it is looked at. Nor is
/// the seed one: runs that differ in nothing else share a row.
fn is_hyperparameter(name: &str) -> bool {
    match name.split_once('.') {
        Some(("train", setting)) => setting == "steps",
        Some(("data", setting)) => setting != "path",
        _ => !matches!(name, "name" | "device" | "seed"),
    }
}

impl HParams {
    /// The row of a run with this config: every leaf under its path (`method.tc_weight`), without the seed, what the run is
    /// called, where it runs and how often it is looked at.
    ///
    /// The group is named by the method, the data and a hash of all values: `beta-tcvae sprites 5f0c1a2b`.
    ///
    /// ```
    /// use elbo_runner::records::hparams::HParams;
    /// let config = serde_json::json!({"name": "first", "seed": 1, "method": {"name": "elbo"}, "data": {"source": "sprites"}});
    /// let again = serde_json::json!({"name": "second", "seed": 2, "data": {"source": "sprites"}, "method": {"name": "elbo"}});
    /// let hparams = HParams::from_config(&config);
    /// assert_eq!(hparams.group, HParams::from_config(&again).group);
    /// assert!(hparams.group.starts_with("elbo sprites "));
    /// ```
    pub fn from_config(config: &Value) -> Self {
        let mut values = Vec::new();
        flatten("", config, &mut values);
        values.retain(|(name, _)| is_hyperparameter(name));
        Self { group: group(&values), values }
    }
}

fn flatten(path: &str, value: &Value, values: &mut Vec<(String, HParam)>) {
    let leaf = match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, field, values);
            }
            return;
        }
        Value::Null => return,
        Value::Bool(flag) => HParam::Flag(*flag),
        Value::Number(number) => HParam::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => HParam::Text(text.clone()),
        Value::Array(_) => HParam::Text(value.to_string()),
    };
    values.push((path.to_string(), leaf));
}

fn group(values: &[(String, HParam)]) -> String {
    let by_name: BTreeMap<_, _> = values.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let mut hash = crc32fast::Hasher::new();
    for (name, value) in &by_name {
        hash.update(format!("{name}={value:?}\n").as_bytes());
    }
    let text = |name: &str| match by_name.get(name) {
        Some(HParam::Text(text)) => format!("{text} "),
        _ => String::new(),
    };
    format!("{}{}{:08x}", text("method.name"), text("data.source"), hash.finalize())
}
