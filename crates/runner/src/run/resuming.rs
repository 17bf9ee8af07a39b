//! Going on where a run stopped.

use super::saving::WALL_SECONDS;
use super::{Note, RunOptions};
use crate::InputError;
use crate::checkpoint;
use crate::config::{DeviceChoice, RunConfig};
use crate::directory::{Found, RunDirectory, stored_config};
use crate::files::write_atomically;
use crate::method::Method;
use crate::trainer::Trainer;
use anyhow::Result;
use serde_json::{Value, json};
use tch::Device;

/// The configuration to run: the given one for a new run, the stored one with the given `train` for one that goes on.
pub(super) fn configuration<M: Method>(options: &RunOptions<M>, found: Found) -> Result<RunConfig<M>> {
    let path = options.directory.display();
    if found != Found::Run {
        let missing =
            || InputError::new(format!("{path}: expected a run's directory; to start one, name a configuration file"));
        return Ok(options.config.clone().ok_or_else(missing)?);
    }
    let file = options.directory.join("config.json").display().to_string();
    let stored = RunConfig::<M>::from_value(stored_config(&options.directory)?, &file)?;
    let Some(given) = &options.config else { return Ok(stored) };
    let (old, new) = (serde_json::to_value(&stored)?, serde_json::to_value(given)?);
    if let Some(difference) = first_difference(&old, &new) {
        let line = format!("{}: {difference} in {file}; only train.* may change when a run is resumed", options.origin);
        return Err(InputError::new(line).into());
    }
    Ok(RunConfig { train: given.train.clone(), ..stored })
}

/// The first field outside `train` in which two configurations differ, in words.
fn first_difference(old: &Value, new: &Value) -> Option<String> {
    let (mut old, mut new) = (leaves(old), leaves(new));
    for leaves in [&mut old, &mut new] {
        leaves.retain(|(path, _)| !path.starts_with("train."));
    }
    let value = |leaves: &[(String, Value)], wanted: &str| {
        leaves.iter().find(|(path, _)| path == wanted).map(|(_, value)| value.clone())
    };
    let differs = |path: &str| {
        let (before, after) = (value(&old, path), value(&new, path));
        // `auto` is whatever the run was started on.
        let any_device = path == "device" && after == Some(json!(String::from(DeviceChoice::Auto)));
        (before != after && !any_device).then(|| {
            let word = |value: Option<Value>| value.map_or("nothing".to_owned(), |value| value.to_string());
            format!("{path}: is {}, but {}", word(after), word(before))
        })
    };
    new.iter().chain(&old).find_map(|(path, _)| differs(path))
}

fn leaves(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| {
                let below = leaves(field).into_iter();
                below.map(move |(path, leaf)| {
                    (if path.is_empty() { name.clone() } else { format!("{name}.{path}") }, leaf)
                })
            })
            .collect(),
        Value::Null => Vec::new(),
        leaf => vec![(String::new(), leaf.clone())],
    }
}

/// Brings a trainer to the newest checkpoint that is whole, and sets aside those beyond it. Returns the seconds that the run has taken.
///
/// A run whose checkpoints are all damaged is refused: to start over would wipe its curves.
pub(super) fn restore(directory: &RunDirectory, trainer: &mut Trainer, notes: &mut Vec<Note>) -> Result<f64> {
    let folder = directory.checkpoints();
    let warn = |reason| notes.push(Note::Warning(format!("{reason}; set aside, an older checkpoint is used")));
    let Some(checkpoint) = checkpoint::newest(&folder, |checkpoint| trainer.restore(checkpoint), warn)? else {
        return Ok(0.0);
    };
    checkpoint::set_aside_after(&folder, trainer.step())?;
    let seconds = checkpoint.text(WALL_SECONDS).ok().and_then(|text| text.parse().ok());
    Ok(seconds.unwrap_or(0.0))
}

/// Writes `config.json`: what makes a directory a run's.
pub(super) fn store_configuration<M: Method>(
    directory: &RunDirectory,
    config: &RunConfig<M>,
    device: Device,
    ranks: i64,
) -> Result<()> {
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "device": format!("{device:?}"),
        "cuda": elbo_native::initialise().to_string(),
        "threads": tch::get_num_threads(),
        "processes": ranks,
    });
    let content = json!({ "elbo": about, "config": config });
    Ok(write_atomically(&directory.config(), format!("{content:#}\n").as_bytes())?)
}
