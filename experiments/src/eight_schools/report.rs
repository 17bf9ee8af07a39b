//! What the study found, as tables and as one JSON object, and whether it is what it should be.

use super::model::Grid;
use super::modes::modes;
use super::settings::Settings;
use super::study::{Reading, Study};
use comfy_table::{Cell, CellAlignment, Table};
use elbo_evaluation::exact::Estimate;
use elbo_runner::CheckFailed;
use elbo_runner::terminal::STYLE;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// log p(y) to three digits.
const LOG_EVIDENCE: f64 = -12.711;
/// Exact divergences of the best Gaussians, found independently.
const MEAN_FIELD: f64 = 1.57;
const FULL_RANK: f64 = 1.17;
/// What they may differ by.
const TOLERANCE: f64 = 0.02;
/// Vehtari et al. 2021, §4.
const MIXED: f64 = 1.01;

/// Something that must hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What.
    pub what: String,
    /// Whether it does.
    pub holds: bool,
}

/// Name for people.
pub fn title(name: &str) -> &'static str {
    match name {
        "hmc" => "HMC, half against half",
        "mean_field" => "mean-field Gaussian",
        "full_rank" => "full-rank Gaussian",
        "avb" => "AVB",
        _ => "AVB + AC",
    }
}

impl Study {
    /// The reading of this name.
    pub fn reading(&self, name: &str) -> &Reading {
        self.readings.iter().find(|reading| reading.name == name).expect("a name of the study's")
    }

    /// Modes of the exact marginal of τ, by the rule that samples are read with.
    pub fn exact_modes(&self) -> usize {
        modes(&self.grid.scale_marginal())
    }

    /// The acceptance of the study, one by one.
    pub fn findings(&self) -> Vec<Finding> {
        let near = |name: &str, value: f64, target: f64, within: f64| Finding {
            what: format!("{name} {value:.3} within {within} of {target}"),
            holds: (value - target).abs() <= within,
        };
        let exact = |name: &str| self.reading(name).kl_exact.unwrap_or(f64::NAN);
        let adaptive = self.reading("avb_adaptive_contrast");
        let (found, bound) = (adaptive.kl.value, self.reading("full_rank").kl.value / 2.0);
        let r_hat = self.reference.worst.r_hat;
        vec![
            near("log p(y)", self.grid.log_evidence, LOG_EVIDENCE, 0.001),
            near("KL of the mean-field Gaussian", exact("mean_field"), MEAN_FIELD, TOLERANCE),
            near("KL of the full-rank Gaussian", exact("full_rank"), FULL_RANK, TOLERANCE),
            Finding { what: format!("R̂ of HMC {r_hat:.4} at most {MIXED}"), holds: r_hat <= MIXED },
            Finding {
                what: format!("modes that AVB + AC finds: {} of {}", adaptive.modes, self.exact_modes()),
                holds: adaptive.modes == self.exact_modes(),
            },
            Finding {
                what: format!("KL of AVB + AC {found:.3} at most half of the full-rank Gaussian's, {bound:.3}"),
                holds: found <= bound,
            },
        ]
    }

    /// An error where something that must hold does not.
    ///
    /// # Errors
    /// [`CheckFailed`] with all that does not hold.
    pub fn check(&self) -> Result<(), CheckFailed> {
        let failed: Vec<String> =
            self.findings().into_iter().filter(|finding| !finding.holds).map(|finding| finding.what).collect();
        if failed.is_empty() { Ok(()) } else { Err(CheckFailed(format!("does not hold: {}", failed.join("; ")))) }
    }

    /// Tables for people.
    pub fn text(&self) -> String {
        let mut text = format!("log p(y) = {:.4} nats, on the grid\n\n", self.grid.log_evidence).replace('-', "−");
        text.push_str(&self.chains());
        text.push_str(&self.approximations());
        for Finding { what, holds } in self.findings() {
            let _ = writeln!(text, "{}  {what}", if holds { "holds " } else { "FAILS " });
        }
        text
    }

    fn chains(&self) -> String {
        let reference = &self.reference;
        let mut table = Table::new();
        table.load_style(STYLE).set_header(["HMC", "mean", "± deviation", "R̂", "effective samples"]);
        for coordinate in &reference.coordinates {
            let numbers = [
                format!("{:.3}", coordinate.mean).replace('-', "−"),
                format!("{:.3}", coordinate.standard_deviation),
                format!("{:.4}", coordinate.diagnosis.r_hat),
                format!("{:.0}", coordinate.diagnosis.effective_samples),
            ];
            let right = numbers.map(|number| Cell::new(number).set_alignment(CellAlignment::Right));
            table.add_row(std::iter::once(Cell::new(&coordinate.name)).chain(right));
        }
        format!(
            "{}\n{} chains of {} draws; accepted {:.0}%, step {:.3}\n\n",
            table.trim_fmt(),
            reference.chains,
            reference.draws,
            100.0 * reference.acceptance,
            reference.step
        )
    }

    fn approximations(&self) -> String {
        let mut table = Table::new();
        let header =
            ["KL(q ‖ posterior)", "exact", "k-NN", "of a quarter", "by entropy", "E_q log p(z, y)", "modes", "τ > 0"];
        table.load_style(STYLE).set_header(header);
        for reading in &self.readings {
            let cells = [
                reading.kl_exact.map_or("·".to_owned(), |exact| format!("{exact:.3}")),
                with_error(reading.kl),
                with_error(reading.kl_of_a_quarter),
                with_error(reading.kl_to_density),
                with_error(reading.expected_log_joint),
                reading.modes.to_string(),
                format!("{:.0}%", 100.0 * reading.positive_share),
            ];
            let right = cells.map(|cell| Cell::new(cell).set_alignment(CellAlignment::Right));
            table.add_row(std::iter::once(Cell::new(title(reading.name))).chain(right));
        }
        format!("{}\n{LEGEND}\n\n", table.trim_fmt())
    }

    /// One object for machines.
    pub fn json(&self, settings: &Settings, seed: u64) -> Value {
        let readings: serde_json::Map<String, Value> =
            self.readings.iter().map(|reading| (reading.name.to_owned(), json!(reading))).collect();
        json!({
            "log_evidence": self.grid.log_evidence,
            "exact_modes": self.exact_modes(),
            "hmc": self.reference,
            "readings": readings,
            "findings": self.findings(),
            "histories": { "avb": self.histories[0], "avb_adaptive_contrast": self.histories[1] },
            "settings": settings,
            "seed": seed,
        })
    }
}

/// What the columns are.
const LEGEND: &str = "\
k-NN: nearest neighbours among samples of q and of HMC, the one estimate for all; beside it what is exact, and the same
from a quarter of the samples. By entropy: a second estimate (entropy of q by nearest neighbours, joint density, log p(y)),
far too low in ten dimensions: the row of HMC, whose answer is 0, shows the bias of both. Nats";

fn with_error(estimate: Estimate) -> String {
    format!("{:.3} ± {:.3}", estimate.value, estimate.standard_error).replace('-', "−")
}

/// Where the exact marginals have their mass: points from the first to the last with a density above a thousandth of the peak's.
pub fn support(grid: &Grid, density: &[f64]) -> (f64, f64) {
    let peak = density.iter().copied().fold(0.0, f64::max);
    let above = |index: &usize| density[*index] > 1e-3 * peak;
    let first = (0..density.len()).find(above).unwrap_or(0);
    let last = (0..density.len()).rfind(above).unwrap_or(density.len() - 1);
    (grid.points[first], grid.points[last])
}
