//! The table at the end of a run.

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};

use super::number::aligned;

/// The style of every table: a line below the header and at both ends, none between rows.
pub const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

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

/// The unit of a curve, by its tag; empty where it is a pure number or not known.
pub fn unit(tag: &str) -> &'static str {
    match tag.split_once('/') {
        Some(("speed", "steps_per_second")) => "steps/s",
        Some(("speed", "images_per_second")) => "images/s",
        Some(("train" | "evaluate", name)) if is_in_nats(name) => "nats",
        _ => "",
    }
}

/// Whether a term is a log-probability or made of such, and so in nats.
fn is_in_nats(name: &str) -> bool {
    let terms = [
        "estimate",
        "kl_per_dimension",
        "loss",
        "elbo",
        "reconstruction",
        "kl",
        "kl_sampled",
        "log_likelihood",
        "iwae_bound",
        "capacity_gap",
        "free_bits_kl",
        "kl_adversarial",
        "elbo_adversarial",
        "nwj_bound",
        "critic_cost",
        "discriminator_cost",
        "feature_reconstruction",
    ];
    let exact = ["mutual_information", "total_correlation", "dimension_wise_kl", "standard_error"];
    let first = name.split('/').next().unwrap_or(name);
    terms.contains(&first) || exact.contains(&first)
}

/// The table of `rows`: those without a group first, then groups in the order of their first row, numbers aligned at the
/// decimal point.
///
/// ```
/// use elbo_runner::terminal::{rows, table};
/// let scalars = [("train/elbo".to_string(), -43.2149), ("train/kl".to_string(), 17.5)];
/// println!("{}", table(&rows(&scalars)));
/// ```
pub fn table(rows: &[Row]) -> String {
    let mut groups = vec![""];
    for row in rows {
        if !groups.contains(&row.group.as_str()) {
            groups.push(&row.group);
        }
    }
    let ordered: Vec<&Row> =
        groups.iter().flat_map(|group| rows.iter().filter(move |row| row.group == *group)).collect();
    let values = aligned(&ordered.iter().map(|row| row.value).collect::<Vec<_>>());
    let mut table = Table::new();
    let value = Cell::new("value").set_alignment(CellAlignment::Right);
    table.load_style(STYLE).set_header([Cell::new(""), Cell::new(""), value, Cell::new("unit")]);
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
