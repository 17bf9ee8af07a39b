//! What was found: one JSON object, tables for a person, and points for TensorBoard.

use comfy_table::{Cell, CellAlignment, Table};
use elbo_evaluation::exact::Estimate;
use elbo_evaluation::scores::suite::Outcome;
use elbo_evaluation::scores::{Score, ScoreName};
use elbo_runner::terminal::STYLE;
use serde_json::{Map, Value, json};

/// Collects results in the order in which they come.
#[derive(Debug, Default)]
pub struct Report {
    object: Map<String, Value>,
    sections: Vec<String>,
    /// Tags and values for TensorBoard.
    pub points: Vec<(String, f64)>,
}

impl Report {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field of the JSON object.
    pub fn field(&mut self, name: &str, value: impl Into<Value>) {
        self.object.insert(name.to_owned(), value.into());
    }

    /// Adds a point for TensorBoard.
    pub fn point(&mut self, tag: impl Into<String>, value: f64) {
        self.points.push((tag.into(), value));
    }

    /// Adds text for a person.
    pub fn section(&mut self, text: impl Into<String>) {
        self.sections.push(text.into());
    }

    /// Adds a table.
    pub fn table(&mut self, header: &[&str], rows: Vec<Vec<String>>) {
        let mut table = Table::new();
        table.load_style(STYLE).set_header(header.iter().copied());
        for row in rows {
            let right = |(column, text): (usize, String)| {
                let numeric = text.chars().next().is_some_and(|c| c.is_ascii_digit() || matches!(c, '-' | '−' | '±'));
                let alignment = if column > 0 && numeric { CellAlignment::Right } else { CellAlignment::Left };
                Cell::new(text).set_alignment(alignment)
            };
            table.add_row(row.into_iter().enumerate().map(right));
        }
        self.section(table.trim_fmt());
    }

    /// Adds scores: fields of the object, and one table.
    pub fn scores(&mut self, outcomes: &[(ScoreName, Outcome)]) {
        let mut rows = Vec::new();
        for (name, outcome) in outcomes {
            self.field(name.name(), json!(outcome));
            for (entry, score) in outcome.entries(*name) {
                self.point(format!("score/{entry}"), score.value);
                rows.push(vec![
                    entry.replace('/', " "),
                    number(score.value),
                    interval(&score),
                    about(*name).to_owned(),
                ]);
            }
        }
        if !rows.is_empty() {
            self.table(&["score", "value", "95% interval", ""], rows);
        }
    }

    /// The JSON object.
    pub fn json(&self) -> Value {
        Value::Object(self.object.clone())
    }

    /// The text.
    pub fn text(&self) -> String {
        format!("{}\n", self.sections.join("\n\n"))
    }
}

/// `{"value", "standard_error"}`.
pub fn estimate_json(estimate: &Estimate) -> Value {
    json!({ "value": estimate.value, "standard_error": estimate.standard_error })
}

/// `12.3456 ± 0.0012`.
pub fn estimate_text(estimate: &Estimate) -> String {
    format!("{:.4} ± {:.4}", estimate.value, estimate.standard_error)
}

fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { "∞".to_owned() }
}

fn interval(score: &Score) -> String {
    if score.low < score.high { format!("{:.4} to {:.4}", score.low, score.high) } else { String::new() }
}

/// What a person should know of a score in one line; docs/scores.md has the rest.
pub fn about(name: ScoreName) -> &'static str {
    match name {
        ScoreName::MigChen => "gap of the two most informed dimensions, samples, / ln levels, without shape",
        ScoreName::MigHistogram => "the same from a 20-bin histogram of codes, / H(factor), all factors",
        ScoreName::FactorVae => "votes of the least varying dimension for the factor held fixed",
        ScoreName::Modularity => "each dimension tells one factor at most; collapsed ones count 0",
        ScoreName::Irs => "codes stay while their factor does",
        ScoreName::GaussianTotalCorrelation => "nats; dependence that the codes' covariance shows; 0 is best",
        ScoreName::ActiveUnits => "dimensions whose mean code has a variance above 0.01",
    }
}
