//! What was found: a table, records, words.

use super::measure::Measurement;
use super::study::{Outcome, Settings};
use anyhow::{Context, Result};
use comfy_table::{Cell, CellAlignment, Table};
use elbo_runner::CheckFailed;
use elbo_runner::terminal::STYLE;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What [`table`]'s columns are.
pub const LEGEND: &str =
    "RMSE q, p: of T against T* = log q(z|x) − log p(z), under q, where the encoder's step asks for T, and under p
r: correlation of T and T* under q; E_q T: the KL for T = T*; excess: the classifier's cost above that of T*
NWJ: at most the KL whatever T, in expectation; where e^T has a heavy tail its ± says too little
saturated: share of samples of q, and of what it is contrasted with, where the odds to be learnt are beyond B : 1
+adaptive: contrasted with the Gaussian of q's moments instead of p, which leaves nothing to learn where q is that Gaussian
All in nats but correlations and shares";

/// The figures of every critic.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header([
        "critic",
        "RMSE q",
        "RMSE p",
        "r",
        "E_q T",
        "KL",
        "NWJ",
        "excess",
        "saturated",
        "seconds",
    ]);
    let minus = |text: String| text.replace('-', "−");
    for Outcome { name, last, seconds, .. } in outcomes {
        let cells = [
            name.clone(),
            format!("{:.4}", last.rmse_under_q),
            format!("{:.4}", last.rmse_under_p),
            format!("{:.5}", last.correlation),
            minus(format!("{:.4} ± {:.4}", last.kl_estimate, last.kl_standard_error)),
            format!("{:.4}", last.kl_closed_form),
            minus(format!("{:.3} ± {:.3}", last.nwj_bound, last.nwj_standard_error)),
            minus(format!("{:.5}", last.excess_cost)),
            format!("{:.1}%, {:.1}%", 100.0 * last.saturated_under_q, 100.0 * last.saturated_under_contrast),
            format!("{seconds:.0}"),
        ];
        table.add_row(cells.into_iter().enumerate().map(|(index, text)| {
            Cell::new(text).set_alignment(if index == 0 { CellAlignment::Left } else { CellAlignment::Right })
        }));
    }
    table.trim_fmt()
}

/// The object of `--json`, without the sweep.
pub fn json(encoder: &str, description: &str, settings: &Settings, outcomes: &[Outcome]) -> Value {
    let critics: Map<String, Value> =
        outcomes.iter().map(|outcome| (outcome.name.clone(), json!(outcome.last))).collect();
    json!({
        "critics": critics, "encoder": encoder, "description": description, "settings": settings,
        "pairs": settings.steps * settings.batch_size as u64,
        "seconds": outcomes.iter().map(|outcome| (outcome.name.clone(), json!(outcome.seconds))).collect::<Map<_, _>>(),
    })
}

/// Flat records as a table of comma-separated values; a field that a record does not have is empty there.
///
/// # Errors
/// When a record is none.
pub fn csv(records: &[impl Serialize]) -> Result<Vec<u8>> {
    let objects: Vec<Map<String, Value>> = records
        .iter()
        .map(|record| Ok(serde_json::from_value(serde_json::to_value(record)?)?))
        .collect::<Result<_>>()?;
    let mut seen = BTreeSet::new();
    let columns: Vec<&String> = objects.iter().flat_map(Map::keys).filter(|name| seen.insert(*name)).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns.iter().copied())?;
    for object in &objects {
        writer.write_record(columns.iter().map(|name| match object.get(*name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(value) => value.to_string(),
        }))?;
    }
    writer.into_inner().context("the table cannot be written")
}

/// Greatest RMSE under q of the quadratic critic and of the network, and greatest relative error of the quadratic critic's KL, that
/// `--check` lets pass.
pub const GATE: (f64, f64, f64) = (0.05, 0.25, 0.01);

/// Whether `quadratic` and `mlp` are as near T* as the default case has to be.
///
/// # Errors
/// [`CheckFailed`] with everything that misses.
pub fn check(outcomes: &[Outcome]) -> Result<(), CheckFailed> {
    let (quadratic_rmse, mlp_rmse, kl) = GATE;
    let mut missed = Vec::new();
    let mut rmse = |name: &str, found: &Measurement, limit: f64| {
        // So that NaN misses.
        if !matches!(found.rmse_under_q.partial_cmp(&limit), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal))
        {
            missed.push(format!("{name}: RMSE under q is {:.4}, at most {limit} was expected", found.rmse_under_q));
        }
    };
    let of = |name: &str| outcomes.iter().find(|outcome| outcome.name == name).map(|outcome| &outcome.last);
    if let Some(found) = of("mlp") {
        rmse("mlp", found, mlp_rmse);
    }
    if let Some(found) = of("quadratic") {
        rmse("quadratic", found, quadratic_rmse);
        let error = (found.kl_estimate / found.kl_closed_form - 1.0).abs();
        if error.is_nan() || error > kl {
            missed.push(format!(
                "quadratic: the KL is off by {:.2}%, at most {}% was expected",
                100.0 * error,
                100.0 * kl
            ));
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(CheckFailed(missed.join("; "))) }
}
