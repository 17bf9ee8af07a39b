//! What was found: one JSON object, tables for a person, and points for TensorBoard.

use anyhow::{Context, Result};
use comfy_table::{Cell, CellAlignment, Table};
use elbo_evaluation::exact::Estimate;
use elbo_evaluation::pictures::Canvas;
use elbo_evaluation::scores::suite::Outcome;
use elbo_evaluation::scores::{Score, ScoreName};
use elbo_runner::files::write_atomically;
use elbo_runner::records::events::EventWriter;
use elbo_runner::terminal::STYLE;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

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
                let numeric =
                    text.chars().next().is_some_and(|c| c.is_ascii_digit() || matches!(c, '-' | '−' | '±' | '∞'));
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

    /// Writes `evaluation.json` and the pictures to `folder`, and for a run (its directory, its step) an event file beside its curves.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write(&mut self, folder: &Path, run: Option<(&Path, u64)>, pictures: &[(&str, Canvas)]) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        let json = folder.join("evaluation.json");
        let all = self.joined(&json);
        write_atomically(&json, format!("{all:#}\n").as_bytes())?;
        let mut files = vec![json.display().to_string()];
        let mut encoded = Vec::new();
        for (name, picture) in pictures {
            let (file, png) = (folder.join(format!("{name}.png")), picture.png());
            write_atomically(&file, &png)?;
            files.push(file.display().to_string());
            encoded.push((*name, png));
        }
        if let Some((directory, step)) = run {
            let mut events = EventWriter::append(directory)?;
            events.scalars(step, &self.points)?;
            for (name, png) in &encoded {
                events.image(&format!("evaluation/{name}"), step, png)?;
            }
            events.flush()?;
        }
        self.section(files.join("\n"));
        Ok(())
    }

    /// The object with what an earlier call found of the same images of the same model, where this one has nothing newer.
    fn joined(&self, earlier: &Path) -> Value {
        const SAME: [&str; 4] = ["step", "data", "split", "images"];
        let earlier = fs::read(earlier).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let mut all = self.object.clone();
        if let Some(Value::Object(earlier)) = earlier
            && SAME.iter().all(|name| earlier.get(*name) == all.get(*name))
        {
            for (name, value) in earlier {
                all.entry(name).or_insert(value);
            }
        }
        Value::Object(all)
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

/// `12.3456 ± 0.0012`; of a single value without the error, which is then not known.
pub fn estimate_text(estimate: &Estimate) -> String {
    if estimate.standard_error.is_nan() {
        return format!("{:.4}", estimate.value);
    }
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
        ScoreName::MigChen => "gap in information, of samples, without shape",
        ScoreName::MigHistogram => "gap in information, of codes in 20 bins",
        ScoreName::FactorVae => "is the factor held still found by variance?",
        ScoreName::BetaVae => "is the factor held still found by a classifier?",
        ScoreName::Sap => "gap of one dimension's SVM accuracies",
        ScoreName::SapContinuous => "gap of squared correlations",
        ScoreName::Dci => "from importances of boosted trees",
        ScoreName::Explicitness => "are factors linear in the code? ROC area",
        ScoreName::Modularity => "does a dimension tell one factor alone?",
        ScoreName::Irs => "does a code stay while its factor does?",
        ScoreName::GaussianTotalCorrelation => "nats, from the means' covariance; 0 is best",
        ScoreName::ActiveUnits => "dimensions in use",
    }
}
