//! From a grid to its members.

use crate::BuiltIn;
use anyhow::Result;
use elbo_runner::config::{Override, read_json};
use elbo_runner::{InputError, RunConfig};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// More members than any study has, and few enough to list.
const MOST: usize = 100_000;
/// Most members of one process: libtorch has 32 streams a device.
const MOST_SHARED: usize = 32;
/// Largest sweep, in bytes of its members' configurations as text; one has about a thousand.
const MOST_BYTES: usize = 1 << 28;

/// A file of `sweep`.
///
/// ```json
/// { "name": "tc", "base": "../beta_tcvae_sprites.json", "set": { "train.steps": 20000 },
///   "grids": [ { "product": { "method.tc_weight": [1, 2, 4], "seed": { "from": 0, "to": 4 } } },
///              { "product": { "seed": [0, 1] }, "zip": { "data.batch_size": [64, 256], "optimizer.learning_rate": [5e-4, 1e-3] } } ] }
/// ```
///
/// The members of a grid are all combinations of its `product` fields, the last one varying fastest, with every row of its `zip`. Grids are
/// put after one another. A `set` of a grid is the same in all of its members and not part of their names.
///
/// `"share_gpu": 8` runs eight members at a time in one process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    base: Value,
    #[serde(default)]
    set: Map<String, Value>,
    grids: Vec<Grid>,
    #[serde(default = "one")]
    share_gpu: usize,
}

fn one() -> usize {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grid {
    /// The same in every member, and not part of its name.
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    product: Map<String, Value>,
    #[serde(default)]
    zip: Map<String, Value>,
}

/// Fields that vary, with their values.
type Fields = Vec<(String, Value)>;

/// One run of a sweep.
#[derive(Debug, Clone)]
pub struct Member {
    /// Place in the sweep, from 0.
    pub index: usize,
    /// Name of the run and of its directory: what varies, and its values.
    pub name: String,
    /// What varies, with its values here, in the order of the file.
    pub fields: Fields,
    /// The whole configuration, with its defaults filled in.
    pub config: Value,
}

impl Member {
    /// Updates that it is to make.
    pub fn steps(&self) -> u64 {
        self.config["train"]["steps"].as_u64().unwrap_or(0)
    }

    /// What varies, but the seed.
    pub fn fields_but_seed(&self) -> Vec<(String, Value)> {
        self.fields.iter().filter(|(field, _)| field != "seed").cloned().collect()
    }
}

/// A sweep, checked: every member's configuration is one that `train` takes.
#[derive(Debug)]
pub struct Sweep {
    /// Name of the sweep.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Its runs.
    pub members: Vec<Member>,
    /// How many of them run in one process at a time; 1: each in a process of its own.
    pub share_gpu: usize,
}

impl Sweep {
    /// Reads a grid and makes its members.
    ///
    /// # Errors
    /// One line that names the file, and the field or the member that is wrong.
    pub fn read(file: &Path) -> Result<Self, InputError> {
        Self::read_up_to(file, MOST)
    }

    /// As [`Sweep::read`], for at most so many members.
    ///
    /// # Errors
    /// As [`Sweep::read`].
    pub fn read_up_to(file: &Path, most: usize) -> Result<Self, InputError> {
        let origin = file.display().to_string();
        let refuse = |problem: String| InputError::new(format!("{origin}: {problem}"));
        let parsed: File = serde_path_to_error::deserialize(read_json(file)?)
            .map_err(|error| refuse(format!("{}: {}", error.path(), error.inner())))?;
        let base = match &parsed.base {
            Value::String(path) => read_json(&file.parent().unwrap_or(Path::new(".")).join(path))?,
            Value::Object(_) => parsed.base.clone(),
            other => return Err(refuse(format!("base: expected a file's name or a configuration, got {other}"))),
        };
        if !(1..=MOST_SHARED).contains(&parsed.share_gpu) {
            let got = parsed.share_gpu;
            return Err(refuse(format!("share_gpu: expected a whole number from 1 to {MOST_SHARED}, got {got}")));
        }
        let mut combinations: Vec<(usize, Fields)> = Vec::new();
        for (place, grid) in parsed.grids.iter().enumerate() {
            let within = |problem: String| refuse(format!("grids[{place}].{problem}"));
            combinations.extend(grid.combinations(most).map_err(within)?.into_iter().map(|fields| (place, fields)));
            if combinations.len() > most {
                return Err(refuse(format!("grids: expected at most {most} members, got more")));
            }
        }
        let common = base.to_string().len() + text_of(&parsed.set);
        if combinations.len().saturating_mul(common) > MOST_BYTES {
            return Err(refuse(format!(
                "grids: expected at most {MOST_BYTES} bytes of configurations, got {} members of {common}",
                combinations.len()
            )));
        }
        if combinations.is_empty() {
            return Err(refuse("grids: expected at least one member, got none".to_owned()));
        }
        let mut members = Vec::new();
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for (index, (place, fields)) in combinations.into_iter().enumerate() {
            let name = name_of(&fields);
            if let Some(first) = names.insert(name.clone(), index) {
                return Err(refuse(format!("members {first} and {index} are both {name}: expected them to differ")));
            }
            let mut config = base.clone();
            // A whole method first, then fields of it.
            let varied = fields.iter().map(|(field, value)| (field, value));
            for (field, value) in parsed.set.iter().chain(varied).chain(&parsed.grids[place].set) {
                change(&mut config, field, value).map_err(|problem| refuse(format!("{field}: {problem}")))?;
            }
            config["name"] = json!(name);
            let config = RunConfig::<BuiltIn>::from_value(config, &format!("{origin}: member {index} ({name})"))?;
            let config = serde_json::to_value(&config).map_err(|error| refuse(error.to_string()))?;
            members.push(Member { index, name, fields, config });
        }
        if parsed.share_gpu > 1 {
            // Both are libtorch's for the whole process.
            let setting = |member: &Member| (member.config["precision"].clone(), member.config["device"].clone());
            if let Some(other) = members.iter().find(|member| setting(member) != setting(&members[0])) {
                let (first, name) = (&members[0].name, &other.name);
                return Err(refuse(format!(
                    "share_gpu: expected members of one precision and one device, but {first} and {name} differ in them"
                )));
            }
        }
        Ok(Self { name: parsed.name, file: file.to_owned(), members, share_gpu: parsed.share_gpu })
    }
}

impl Grid {
    fn combinations(&self, most: usize) -> Result<Vec<Fields>, String> {
        let mut all: Vec<Fields> = vec![Vec::new()];
        let mut bytes = text_of(&self.set);
        let mut fits = |field: &str, values: &[Value], members: usize| {
            bytes += field.len() + values.iter().map(|value| value.to_string().len()).max().unwrap_or(0);
            if members > most {
                Err(format!("expected at most {most} members, got more"))
            } else if members.saturating_mul(bytes) > MOST_BYTES {
                Err(format!("expected at most {MOST_BYTES} bytes of configurations, got {members} members of {bytes}"))
            } else {
                Ok(())
            }
        };
        for (field, values) in &self.product {
            let values = listed(values).map_err(|problem| format!("product.{field}: {problem}"))?;
            fits(field, &values, all.len() * values.len()).map_err(|problem| format!("product.{field}: {problem}"))?;
            let with = |value: &Value| (field.clone(), value.clone());
            all = all
                .iter()
                .flat_map(|fields| values.iter().map(move |value| [fields.as_slice(), &[with(value)]].concat()))
                .collect();
        }
        let mut rows: Option<Vec<Fields>> = None;
        for (field, values) in &self.zip {
            let values = listed(values).map_err(|problem| format!("zip.{field}: {problem}"))?;
            fits(field, &values, all.len() * values.len()).map_err(|problem| format!("zip.{field}: {problem}"))?;
            let rows = rows.get_or_insert_with(|| vec![Vec::new(); values.len()]);
            if rows.len() != values.len() {
                return Err(format!("zip.{field}: expected {} values, as before it, got {}", rows.len(), values.len()));
            }
            for (row, value) in rows.iter_mut().zip(values) {
                row.push((field.clone(), value));
            }
        }
        let Some(rows) = rows else { return Ok(all) };
        Ok(all.iter().flat_map(|fields| rows.iter().map(move |row| [fields.as_slice(), row].concat())).collect())
    }
}

/// Bytes of an object as text.
fn text_of(object: &Map<String, Value>) -> usize {
    object.iter().map(|(field, value)| field.len() + value.to_string().len()).sum()
}

/// The values of a field: a list, or `{"from": 0, "to": 49}` with an optional `"step"`, both ends included.
fn listed(values: &Value) -> Result<Vec<Value>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Range {
        from: i64,
        to: i64,
        #[serde(default = "one")]
        step: i64,
    }
    fn one() -> i64 {
        1
    }
    let expected = "a list of values, or a range of integers like {\"from\": 0, \"to\": 49}";
    match values {
        Value::Array(values) if !values.is_empty() => Ok(values.clone()),
        Value::Object(_) => {
            let Range { from, to, step } =
                serde_json::from_value(values.clone()).map_err(|error| format!("expected {expected}: {error}"))?;
            let last = to.checked_sub(from).filter(|_| step >= 1).map(|span| span / step);
            let Some(last) = last.filter(|last| (0..MOST as i64).contains(last)) else {
                return Err(format!("expected from ≤ to, step ≥ 1 and at most {MOST} values, got {values}"));
            };
            Ok((0..=last).map(|place| json!(from + place * step)).collect())
        }
        other => Err(format!("expected {expected}, got {other}")),
    }
}

/// Puts `value` at the dotted path `field`.
fn change(config: &mut Value, field: &str, value: &Value) -> Result<(), String> {
    if field == "name" {
        return Err("expected another field, for a member's name says what varies".to_owned());
    }
    format!("{field}={value}").parse::<Override>()?.apply(config)
}

/// `tc_weight-4_seed-0`: the last part of every field with its value, in letters that a directory's name may have.
pub(super) fn name_of(fields: &[(String, Value)]) -> String {
    let word = |(field, value): &(String, Value)| {
        let last = field.rsplit('.').next().unwrap_or(field);
        match value {
            // A whole method: its name says most.
            Value::Object(object) => {
                let parts = object.iter().filter(|(_, value)| value.is_string() || value.is_number());
                let words: Vec<String> = parts
                    .map(|(key, value)| if key == "name" { plain(value) } else { format!("{key}-{}", plain(value)) })
                    .collect();
                words.join("_")
            }
            value => format!("{last}-{}", plain(value)),
        }
    };
    let name = fields.iter().map(word).collect::<Vec<_>>().join("_");
    if name.is_empty() { "base".to_owned() } else { name }
}

fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    // 1e+30 is 1e30.
    text.chars().filter(|&c| c != '+').map(allowed).collect()
}
