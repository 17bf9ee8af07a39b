//! One table of a sweep's results.

use super::measured::scalars;
use super::standing::Standing;
use super::{Member, Sweep};
use anyhow::Result;
use comfy_table::{Cell, CellAlignment, Table};
use elbo_runner::terminal;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// What a sweep has measured so far.
#[derive(Debug)]
pub struct Collected {
    /// Names of the scalars, in the order in which runs report them.
    pub(super) tags: Vec<String>,
    rows: Vec<Row>,
    pub(super) groups: Vec<Group>,
}

#[derive(Debug)]
struct Row {
    member: Member,
    standing: Standing,
    scalars: Map<String, Value>,
}

/// Members that differ by their seed alone.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) fields: Vec<(String, Value)>,
    /// The configuration of its first member, and the updates of each.
    pub(super) config: Value,
    pub(super) steps: u64,
    /// Of each tag the values of the finished members.
    pub(super) values: Vec<Vec<f64>>,
    pub(super) finished: usize,
    members: usize,
}

/// Reads what all members below `out` have measured.
pub fn collect(sweep: &Sweep, out: &Path) -> Collected {
    let mut tags: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    let mut rows = Vec::new();
    for member in &sweep.members {
        let standing = Standing::of(out, member);
        let scalars = if standing == Standing::Finished { scalars(out, member) } else { Map::new() };
        for tag in scalars.keys() {
            if known.insert(tag.clone()) {
                tags.push(tag.clone());
            }
        }
        rows.push(Row { member: member.clone(), standing, scalars });
    }
    let groups = grouped(&rows, &tags);
    Collected { tags, rows, groups }
}

fn grouped(rows: &[Row], tags: &[String]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let fields = row.member.fields_but_seed();
        let place = groups.iter().position(|group| group.fields == fields).unwrap_or_else(|| {
            let (config, steps) = (row.member.config.clone(), row.member.steps());
            groups.push(Group { fields, config, steps, values: vec![Vec::new(); tags.len()], finished: 0, members: 0 });
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.members += 1;
        group.finished += usize::from(row.standing == Standing::Finished);
        for (values, tag) in group.values.iter_mut().zip(tags) {
            values.extend(row.scalars.get(tag).and_then(Value::as_f64));
        }
    }
    groups
}

impl Collected {
    /// A row for every member: index, name, standing, what varies, and every scalar.
    ///
    /// # Errors
    /// Never for what `collect` made.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let mut fields: Vec<&str> = Vec::new();
        for (field, _) in self.rows.iter().flat_map(|row| &row.member.fields) {
            if !fields.contains(&field.as_str()) {
                fields.push(field);
            }
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        let head = ["index", "name", "standing"].into_iter().chain(fields.iter().copied());
        writer.write_record(head.chain(self.tags.iter().map(String::as_str)))?;
        for row in &self.rows {
            let mut record =
                vec![row.member.index.to_string(), row.member.name.clone(), row.standing.word().to_owned()];
            let value =
                |field: &str| row.member.fields.iter().find(|(other, _)| other == field).map(|(_, value)| text(value));
            record.extend(fields.iter().map(|field| value(field).unwrap_or_default()));
            record.extend(self.tags.iter().map(|tag| row.scalars.get(tag).map_or(String::new(), text)));
            writer.write_record(record)?;
        }
        writer.flush()?;
        Ok(writer.into_inner()?)
    }

    /// Members, and groups of those that differ by their seed alone with mean and standard deviation of every scalar.
    pub fn json(&self) -> Value {
        let object = |fields: &[(String, Value)]| Value::Object(fields.iter().cloned().collect());
        let members: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let mut member = json!({ "index": row.member.index, "name": row.member.name, "standing": row.standing.word(),
                    "fields": object(&row.member.fields), "scalars": row.scalars });
                if let Standing::Failed { reason, .. } = &row.standing {
                    member["reason"] = json!(reason);
                }
                member
            })
            .collect();
        let groups: Vec<Value> = self
            .groups
            .iter()
            .map(|group| {
                let measured = self.tags.iter().zip(&group.values).filter(|(_, values)| !values.is_empty());
                let scalars: Map<String, Value> = measured
                    .map(|(tag, values)| {
                        let (mean, deviation) = spread(values);
                        let entry = json!({ "mean": mean, "standard_deviation": deviation, "runs": values.len() });
                        (tag.clone(), entry)
                    })
                    .collect();
                json!({ "fields": object(&group.fields), "finished": group.finished, "members": group.members, "scalars": scalars })
            })
            .collect();
        json!({ "members": members, "groups": groups })
    }

    /// A table for people: a line a group, its scalars as mean ± standard deviation over seeds. Shown are the scalars in `shown` whose tags
    /// contain one of its words.
    pub fn table(&self, shown: &[String]) -> String {
        let columns: Vec<usize> = (0..self.tags.len()).filter(|&place| is_shown(&self.tags[place], shown)).collect();
        let mut table = Table::new();
        let mut header = vec!["members".to_owned(), "finished".to_owned()];
        header.extend(columns.iter().map(|&place| self.tags[place].clone()));
        table.load_style(terminal::STYLE).set_header(header);
        for group in &self.groups {
            let fields = |(field, value): &(String, Value)| {
                format!("{}={}", field.rsplit('.').next().unwrap_or(field), text(value))
            };
            let words: Vec<String> = group.fields.iter().map(fields).collect();
            let name = if words.is_empty() { "all".to_owned() } else { words.join(" ") };
            let mut row = vec![Cell::new(name), Cell::new(format!("{}/{}", group.finished, group.members))];
            for &place in &columns {
                let (mean, deviation) = spread(&group.values[place]);
                let number = match (mean, deviation) {
                    (None, _) => String::new(),
                    (Some(mean), None) => format!("{mean:.4}"),
                    (Some(mean), Some(deviation)) => format!("{mean:.4} ± {deviation:.4}"),
                };
                row.push(Cell::new(number).set_alignment(CellAlignment::Right));
            }
            table.add_row(row);
        }
        table.trim_fmt()
    }

    /// Members that failed, with their reasons.
    pub fn failures(&self) -> Vec<(&str, &str)> {
        let mut failures = Vec::new();
        for row in &self.rows {
            if let Standing::Failed { reason, .. } = &row.standing {
                failures.push((row.member.name.as_str(), reason.as_str()));
            }
        }
        failures
    }

    /// Finished members.
    pub fn finished(&self) -> usize {
        self.groups.iter().map(|group| group.finished).sum()
    }
}

fn is_shown(tag: &str, shown: &[String]) -> bool {
    !tag.contains("standard_error") && shown.iter().any(|word| tag.contains(word.as_str()))
}

/// Mean, and the standard deviation over runs (n − 1) of at least two.
pub(super) fn spread(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    ((count > 0.0).then_some(mean), (count > 1.0).then(|| (squares / (count - 1.0)).sqrt()))
}

/// A string without its quotation marks.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
