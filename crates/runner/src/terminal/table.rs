//! The table at the end of a run.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, CellAlignment, Table};

use super::number::aligned;

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Rows of one group stand together, its name beside the first.
    pub group: String,
    /// What is measured.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its unit; empty for a pure number.
    pub unit: String,
}

/// The rows of scalars by tag: group and name are the parts before and after the first `/`.
pub fn rows(scalars: &[(String, f64)]) -> Vec<Row> {
    let row = |(tag, value): &(String, f64)| {
        let (group, name) = tag.split_once('/').unwrap_or(("", tag));
        Row { group: group.to_string(), name: name.to_string(), value: *value, unit: unit(tag).to_string() }
    };
    scalars.iter().map(row).collect()
}

/// The unit of a curve, by its tag.
///
/// The objective's terms are in nats whatever their name, so that a foreign objective's are too; scores and schedules are pure
/// numbers.
pub fn unit(tag: &str) -> &'static str {
    match tag.split_once('/') {
        Some(("speed", "steps_per_second")) => "steps/s",
        Some(("speed", "images_per_second")) => "images/s",
        Some(("train", name)) if name.starts_with("gradient_norm") => "",
        Some(("train" | "evaluate", _)) => "nats",
        _ => "",
    }
}

/// The table of `rows`, groups in the order of their first row, numbers aligned at the decimal point.
///
/// ```
/// use elbo_runner::terminal::{rows, table};
/// let scalars = [("train/elbo".to_string(), -43.2149), ("train/kl".to_string(), 17.5)];
/// println!("{}", table(&rows(&scalars)));
/// ```
pub fn table(rows: &[Row]) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for row in rows {
        if !groups.contains(&row.group.as_str()) {
            groups.push(&row.group);
        }
    }
    let ordered: Vec<&Row> =
        groups.iter().flat_map(|group| rows.iter().filter(move |row| row.group == *group)).collect();
    let values = aligned(&ordered.iter().map(|row| row.value).collect::<Vec<_>>());
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["", "", "value", "unit"]);
    let mut group = None;
    for (row, value) in ordered.iter().zip(values) {
        let first = group != Some(&row.group);
        group = Some(&row.group);
        let name = if first { row.group.as_str() } else { "" };
        table.add_row([
            Cell::new(name),
            Cell::new(&row.name),
            Cell::new(value).set_alignment(CellAlignment::Right),
            Cell::new(&row.unit),
        ]);
    }
    table.trim_fmt()
}

/// The commands that come next, each with its purpose: purpose and command.
///
/// ```
/// use elbo_runner::terminal::next_commands;
/// assert_eq!(next_commands(&[("curves", "make tensorboard")]), "next:\n  make tensorboard  # curves\n");
/// ```
pub fn next_commands(commands: &[(&str, &str)]) -> String {
    let width = commands.iter().map(|(_, command)| command.chars().count()).max().unwrap_or(0);
    let line = |(purpose, command): &(&str, &str)| format!("  {command:<width$}  # {purpose}\n");
    format!("next:\n{}", commands.iter().map(line).collect::<String>())
}
