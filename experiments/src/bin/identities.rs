//! Evaluates every identity of docs/mathematics.md, left side and right side.
#![allow(clippy::doc_markdown, reason = "the comments on arguments are the text of --help")]

use anyhow::Result;
use clap::Parser;
use comfy_table::{Cell, CellAlignment, Table};
use elbo_objectives::identities::{Check, Kind, Method, Options, check_all};
use elbo_runner::{CheckFailed, InputError, cli, terminal};
use serde_json::json;
use std::process::ExitCode;

/// Evaluates every identity of docs/mathematics.md, left side and right side, on random models
///
/// Discrete models are enumerated and Gaussian ones integrated by quadrature: nothing is estimated, so
/// a difference is an error. Each line is the worst of all comparisons, for = and for ≤ (a negative
/// difference is slack). Among them stand forms that are printed somewhere and are wrong, and
/// plausible ones: these must fail, and "refuted" is then as it should be.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    /// Random models of each family, 5 or more (of families on a plane, a tenth of it)
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(5..=100_000))]
    models: u32,
    /// Seed of the models
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Greatest difference, relative to the larger side and to 1 nat [default: 1e-10 enumerated, 1e-8 by quadrature]
    #[arg(long, value_name = "T", value_parser = tolerance, allow_negative_numbers = true)]
    tolerance: Option<f64>,
    /// Only checks whose name or section begins with this, for example 3.1 or info-vae
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Print the checks as one JSON object on standard output
    #[arg(long)]
    json: bool,
}

const EPILOGUE: &str = "Exit codes: 0 all hold, 1 a check fails, 2 bad input.

Examples:
  identities
  identities --only info-vae
  identities --models 2000 --seed 7
  identities --json > identities.json
  identities --tolerance 1e-15     # what rounding makes of it: fails";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let options = Options { seed: arguments.seed, models: arguments.models as usize, tolerance: arguments.tolerance };
    let mut checks = check_all(&options);
    if let Some(only) = &arguments.only {
        checks.retain(|check| check.section == only || check.name.starts_with(only.as_str()));
        if checks.is_empty() {
            return Err(InputError::new(format!("--only: no check and no section of that name: {only}")).into());
        }
    }
    let failing: Vec<&str> = checks.iter().filter(|check| !check.holds).map(|check| check.name.as_str()).collect();
    let held = checks.len() - failing.len();
    let verdict =
        if failing.is_empty() { "all hold".to_owned() } else { format!("{held} hold, {} fail", failing.len()) };
    let count = |kind| checks.iter().filter(|check| check.kind == kind).count();
    let kinds = [Kind::Identity, Kind::Inequality, Kind::Refutation].map(count);
    let last = format!(
        "{} checks ({} identities, {} inequalities, {} refutations) over {} models: {verdict}\n",
        checks.len(),
        kinds[0],
        kinds[1],
        kinds[2],
        options.models
    );
    let json = arguments.json.then(|| {
        let with_verdict = |check: &Check| {
            let mut object = json!(check);
            object["verdict"] = check.verdict().into();
            object
        };
        let usual = |method: Method| options.tolerance.unwrap_or(method.tolerance());
        json!({
            "seed": options.seed, "models": options.models,
            "tolerance": { "enumeration": usual(Method::Enumeration), "quadrature": usual(Method::Quadrature) },
            "count": checks.len(), "hold": held, "fail": failing.len(),
            "checks": checks.iter().map(with_verdict).collect::<Vec<_>>(),
        })
    });
    terminal::present(&format!("{}\n{last}", table(&checks)), json.as_ref())?;
    if failing.is_empty() {
        return Ok(());
    }
    Err(CheckFailed(format!("{} of {} checks fail: {}", failing.len(), checks.len(), failing.join(", "))).into())
}

/// One line a check, with the section at the first of each.
fn table(checks: &[Check]) -> String {
    let mut table = Table::new();
    let header = ["§", "check", "statement", "left", "right", "difference", "verdict"];
    table.load_style(terminal::STYLE).set_header(header);
    let mut section = "";
    for check in checks {
        let first = if section == check.section { "" } else { check.section };
        section = check.section;
        let statement = format!("{} {}", check.statement, check.note);
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let sides = [check.left, check.right].map(|side| number(format!("{side:.5}")));
        let mut row = vec![Cell::new(first), Cell::new(&check.name), Cell::new(statement.trim_end())];
        row.extend(sides);
        row.push(number(format!("{:.1e}", check.difference)));
        row.push(Cell::new(check.verdict().trim_end_matches(", as it should be")));
        table.add_row(row);
    }
    table.trim_fmt()
}

fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|tolerance| tolerance.is_finite() && *tolerance >= 0.0);
    number.ok_or_else(|| "expected a finite number ≥ 0".to_owned())
}
