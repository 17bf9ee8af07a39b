//! Takes the KL of codes from any framework apart.
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]

use anyhow::Result;
use clap::Parser;
use comfy_table::{Cell, CellAlignment, Table};
use elbo_evaluation::exact::{self, Estimate, Samples};
use elbo_experiments::codes::{CodeFile, refuse};
use elbo_objectives::Estimator;
use elbo_objectives::estimator::{Densities, MemoryBudget, Points};
use elbo_runner::config::DeviceChoice;
use elbo_runner::terminal::STYLE;
use elbo_runner::{cli, device, terminal};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Takes KL(q(z|x) || p(z)) of codes apart: mutual information, total correlation, dimension-wise KL
///
/// CODES is an .npz or safetensors file from any framework, float32 or float64:
///   mean, log_var  [N, D]  the Gaussian posteriors q(z|x)
///   z              [S, D]  samples of them
///   own            [S]     the row of mean that each sample was drawn from; 0, 1, ..., S-1 if left out
///
/// exact takes the rows as the whole data set, which must have --data-size examples, and reports
/// standard errors. The minibatch estimators take the rows as one batch of a larger data set, drawn
/// without replacement: this is what a training loss sees, not what the model does.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    /// The file of codes
    #[arg(value_name = "CODES")]
    codes: PathBuf,
    /// Number of examples in the data set that the rows come from
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    data_size: i64,
    /// Which estimators, of mws, uniform, mss, balanced, exact [default: mws,mss,balanced, and exact where the rows are the data set]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    estimators: Option<Vec<Estimator>>,
    /// Where to compute: auto, cpu, cuda or cuda:INDEX
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object on standard output, and the table on standard error
    #[arg(long)]
    json: bool,
}

const EPILOGUE: &str =
    "All values are in nats and computed in float64. The three terms add up to kl_sampled under every
estimator.

Examples:
  encode runs/first --out codes.npz --first 5000 && decompose codes.npz --data-size 5000
  decompose batch.safetensors --data-size 737280 --estimators mws,mss --json

In Python:
  numpy.savez('codes.npz', mean=mean, log_var=log_var, z=mean + numpy.exp(log_var / 2) * noise)";

/// The terms, in the order of the decomposition.
const TERMS: [&str; 4] = ["mutual_information", "total_correlation", "dimension_wise_kl", "kl_sampled"];

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let codes = CodeFile::read(&arguments.codes, device::resolve(arguments.device)?)?;
    let estimators = chosen(arguments, &codes)?;
    let mut table = Table::new();
    table.load_style(STYLE).set_header(["nats", "MI", "TC", "DWKL", "sum (sampled KL)"]);
    let mut objects = Map::new();
    for estimator in estimators {
        let terms = estimate(estimator, arguments.data_size, &codes);
        table.add_row(row(estimator.name(), &terms));
        let pairs = TERMS.iter().zip(&terms).map(|(name, term)| ((*name).to_owned(), term.json()));
        objects.insert(estimator.name().to_owned(), pairs.collect::<Map<_, _>>().into());
    }
    let kl_analytic = codes.posterior.kl_to_prior().mean(None).double_value(&[]);
    let report = format!(
        "{}: {} rows of {} dimensions, {} samples; data set of {}\n\n{}\n\nclosed-form KL of the rows: {kl_analytic:.4} nats\n\
         MI mutual information, TC total correlation, DWKL dimension-wise KL; ± one standard error\n",
        arguments.codes.display(),
        codes.rows(),
        codes.z.size()[1],
        codes.samples(),
        arguments.data_size,
        table.trim_fmt(),
    );
    let object = json!({ "data_size": arguments.data_size, "batch": codes.rows(), "estimators": objects, "kl_analytic": kl_analytic });
    terminal::present(&report, arguments.json.then_some(&object))?;
    Ok(())
}

/// The estimators asked for, or those that fit; each checked against the rows.
fn chosen(arguments: &Arguments, codes: &CodeFile) -> Result<Vec<Estimator>> {
    let (rows, size) = (codes.rows(), arguments.data_size);
    if rows > size {
        return refuse("--data-size", format!("expected at least the {rows} rows of mean, got {size}"));
    }
    let whole = rows == size && codes.samples() >= 2;
    let default = || {
        let exact = whole.then_some(Estimator::Exact);
        [Estimator::Mws, Estimator::Mss, Estimator::Balanced].into_iter().chain(exact).collect()
    };
    let estimators = arguments.estimators.clone().unwrap_or_else(default);
    for &estimator in &estimators {
        if estimator == Estimator::Exact && rows != size {
            let line = format!(
                "expected as many rows as --data-size for exact, which takes them as the whole data set; got {rows} rows and {size}"
            );
            return refuse("--estimators", line);
        }
        if estimator == Estimator::Exact && !whole {
            return refuse(
                "--estimators",
                "expected at least 2 samples for exact, whose standard errors they give; got 1",
            );
        }
        if let Err(error) = estimator.check(rows, size) {
            return refuse("mean", format!("{estimator}: {error}"));
        }
    }
    Ok(estimators)
}

/// A term, with its standard error where it is an expectation and not a property of the batch.
struct Term {
    value: f64,
    standard_error: Option<f64>,
}

impl Term {
    fn json(&self) -> Value {
        match self.standard_error {
            Some(standard_error) => json!({ "value": self.value, "standard_error": standard_error }),
            None => self.value.into(),
        }
    }
}

/// MI, TC, DWKL, and their sum.
fn estimate(estimator: Estimator, data_size: i64, codes: &CodeFile) -> [Term; 4] {
    if estimator == Estimator::Exact {
        let samples = Samples { z: codes.z.shallow_clone(), own: codes.own.shallow_clone() };
        let terms = exact::decompose(&codes.posterior, &samples, exact::MemoryBudget::of(codes.z.device()));
        return [terms.mutual_information, terms.total_correlation, terms.dimension_wise_kl, terms.kl_sampled]
            .map(|Estimate { value, standard_error }| Term { value, standard_error: Some(standard_error) });
    }
    let points = Points { z: &codes.z, own: Some(&codes.own) };
    let budget = MemoryBudget::of(codes.z.device());
    let terms = Densities::estimate_at(estimator, &codes.posterior, points, data_size, budget).terms();
    let [mi, tc, dw_kl] = terms.named().map(|(_, value)| value.double_value(&[]));
    [mi, tc, dw_kl, mi + tc + dw_kl].map(|value| Term { value, standard_error: None })
}

fn row(name: &str, terms: &[Term; 4]) -> Vec<Cell> {
    let cell = |term: &Term| {
        let error = term.standard_error.map_or(String::new(), |error| format!(" ± {error:.4}"));
        Cell::new(format!("{:.4}{error}", term.value)).set_alignment(CellAlignment::Right)
    };
    std::iter::once(Cell::new(name)).chain(terms.iter().map(cell)).collect()
}
