//! From a JSON file to a typed value, with errors that name the field.

use crate::InputError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Configuration files are small; what is larger is something else.
const MAX_BYTES: u64 = 1 << 20;
/// Deepest field that `--set` and grids reach. A configuration has four levels; thousands of them would exhaust the stack.
const MAX_DEPTH: usize = 32;

/// Reads a JSON file.
///
/// # Errors
/// When the file cannot be read, is larger than a configuration ever is, or is not JSON: with line and column.
pub fn read_json(file: &Path) -> Result<Value, InputError> {
    let name = file.display();
    let cannot = |error: std::io::Error| InputError::new(format!("{name}: cannot be read: {error}"));
    let mut bytes = Vec::new();
    // Devices and pipes have no size to ask for.
    File::open(file).map_err(cannot)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(InputError::new(format!("{name}: expected a JSON file of at most {MAX_BYTES} bytes, got more")));
    }
    serde_json::from_slice(&bytes).map_err(|error| InputError::new(format!("{name}: not valid JSON: {error}")))
}

/// `--set path.to.field=value`; the value is JSON, or a plain string where it is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    path: Vec<String>,
    value: Value,
    text: String,
}

impl std::str::FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').ok_or("expected path.to.field=value")?;
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err("expected path.to.field=value with no empty part in the path".to_owned());
        }
        if path.len() > MAX_DEPTH {
            return Err(format!("expected a path of at most {MAX_DEPTH} parts, got {}", path.len()));
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(Self { path, value, text: text.to_owned() })
    }
}

impl fmt::Display for Override {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Override {
    /// Changes the field in an untyped configuration. Objects on the way are made where they are missing; typing refuses what is unknown.
    ///
    /// # Errors
    /// When something on the way is not an object.
    pub fn apply(&self, root: &mut Value) -> Result<(), String> {
        let mut place = root;
        for (depth, key) in self.path.iter().enumerate() {
            let Value::Object(object) = place else {
                let parent = self.path[..depth].join(".");
                return Err(format!("'{parent}' is not an object"));
            };
            place = object.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
        }
        *place = self.value.clone();
        Ok(())
    }
}

/// An error about a field, before the file's name is known.
#[derive(Debug)]
pub(super) struct PathError {
    path: String,
    message: String,
}

impl PathError {
    pub(super) fn within(self, origin: &str) -> InputError {
        if self.path.is_empty() {
            InputError::new(format!("{origin}: {}", self.message))
        } else {
            InputError::new(format!("{origin}: {}: {}", self.path, self.message))
        }
    }
}

/// Types a JSON value that is no run's configuration; `origin` is what errors call it.
///
/// # Errors
/// `origin: path.to.field: expected …, got …`.
pub fn from_value<T: DeserializeOwned>(value: Value, origin: &str) -> Result<T, InputError> {
    typed(value).map_err(|error| error.within(origin))
}

/// Types a value.
pub(super) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, PathError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        describe(&path, &error.into_inner().to_string())
    })
}

/// The text that a nested typed read leaves for the outer one: see [`describe`].
pub(crate) fn nested<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    typed(value).map_err(|PathError { path, message }| if path.is_empty() { message } else { at(&path, &message) })
}

/// An error text about one field for the outer read: see [`describe`].
pub(crate) fn at(path: &str, message: &str) -> String {
    format!("{NESTED}{path}{NESTED}{message}")
}

/// Marks the path at the head of an error from [`nested`]: serde's errors carry only text. No field name holds this character.
const NESTED: char = '\u{1f}';

/// Turns serde's words into ours, and joins the paths of nested reads.
fn describe(path: &str, message: &str) -> PathError {
    let mut path = if path == "." { String::new() } else { path.to_owned() };
    let mut message = message;
    if let Some((inner, rest)) = message.strip_prefix(NESTED).and_then(|text| text.split_once(NESTED)) {
        path = join(&path, inner);
        message = rest;
    }
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return PathError { path: join(&path, field), message: "missing".to_owned() };
    }
    if let Some((field, expected)) = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once("`, ")) {
        let field_is_last = path == field || path.ends_with(&format!(".{field}"));
        let path = if field_is_last { path } else { join(&path, field) };
        let expected = expected.replace('`', "").replace("expected one of ", "").replace("expected ", "");
        return PathError { path, message: format!("unknown field; expected one of {expected}") };
    }
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) = message.strip_prefix(kind).and_then(|rest| rest.split_once(", expected ")) {
            return PathError { path, message: format!("expected {}, got {}", expectation(expected), finding(found)) };
        }
    }
    PathError { path, message: message.to_owned() }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() || path == "." { field.to_owned() } else { format!("{path}.{field}") }
}

/// A Rust type in a person's words.
fn expectation(expected: &str) -> String {
    match expected {
        "u64" | "u32" | "usize" => "a whole number ≥ 0".to_owned(),
        "i64" | "i32" => "a whole number".to_owned(),
        "f64" | "f32" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        _ if expected.starts_with("struct ") => "an object".to_owned(),
        _ => expected.to_owned(),
    }
}

/// A found value in JSON's words: ``integer `-4` `` is `-4`.
fn finding(found: &str) -> String {
    match found {
        "map" => return "an object".to_owned(),
        "sequence" => return "a list".to_owned(),
        _ => {}
    }
    let quoted = found.split_once('`').and_then(|(_, rest)| rest.strip_suffix('`'));
    quoted.unwrap_or_else(|| found.strip_prefix("string ").unwrap_or(found)).to_owned()
}
