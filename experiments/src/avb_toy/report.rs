//! Figures with their errors.

use super::grid::{GaussianTerms, Grid};
use super::samples::{ImplicitTerms, ThreeWays};
use comfy_table::{Cell, CellAlignment, Table};
use elbo_core::Vae;
use elbo_runner::terminal::STYLE;
use serde_json::{Map, Value, json};

/// A number, with its standard error where it comes from samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// In nats.
    pub value: f64,
    /// In nats; `None` where the value is a sum over a grid.
    pub standard_error: Option<f64>,
}

/// One row of the table, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Mean log p(x) over the four points.
    pub log_likelihood: Measured,
    /// E[−log p(x|z)].
    pub reconstruction: Measured,
    /// −reconstruction − mutual information − KL(q(z) ‖ p(z)).
    pub elbo: Measured,
    /// I(x; z) under q.
    pub mutual_information: Measured,
    /// KL(q(z) ‖ p(z)).
    pub kl_aggregate_prior: Measured,
}

impl Measured {
    /// A value without sampling error.
    pub fn exact(value: f64) -> Self {
        Self { value, standard_error: None }
    }

    /// A value with its standard error.
    pub fn with_error(value: f64, standard_error: f64) -> Self {
        Self { value, standard_error: Some(standard_error) }
    }
}

impl Figures {
    /// Those of a Gaussian posterior, all by grid.
    pub fn of_gaussian(vae: &Vae, grid: &Grid, terms: &GaussianTerms) -> Self {
        Self {
            log_likelihood: Measured::exact(grid.log_evidence(vae)),
            reconstruction: Measured::exact(terms.reconstruction),
            elbo: Measured::exact(terms.elbo()),
            mutual_information: Measured::exact(terms.mutual_information),
            kl_aggregate_prior: Measured::exact(terms.kl_aggregate_prior),
        }
    }

    /// Those of an implicit one: the finer bins' values, the distance to the coarser ones' added to the errors.
    pub fn of_implicit(vae: &Vae, grid: &Grid, terms: &ImplicitTerms) -> Self {
        let mutual_information = terms.mutual_information.value();
        let kl_aggregate_prior = terms.kl_aggregate_prior.value();
        let parts = [terms.reconstruction, mutual_information, kl_aggregate_prior];
        let error = parts.iter().filter_map(|part| part.standard_error).fold(0.0, f64::hypot);
        Self {
            log_likelihood: Measured::exact(grid.log_evidence(vae)),
            reconstruction: terms.reconstruction,
            elbo: Measured::with_error(-parts.iter().map(|part| part.value).sum::<f64>(), error),
            mutual_information,
            kl_aggregate_prior,
        }
    }

    /// Names and figures, in the order of the table.
    pub fn entries(&self) -> [(&'static str, Measured); 5] {
        [
            ("log_likelihood", self.log_likelihood),
            ("reconstruction", self.reconstruction),
            ("elbo", self.elbo),
            ("mutual_information", self.mutual_information),
            ("kl_aggregate_prior", self.kl_aggregate_prior),
        ]
    }

    /// Every figure under its name, its error under `<name>_standard_error`.
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        for (name, measured) in self.entries() {
            object.insert(name.to_owned(), json!(measured.value));
            if let Some(error) = measured.standard_error {
                object.insert(format!("{name}_standard_error"), json!(error));
            }
        }
        Value::Object(object)
    }
}

/// What the paper prints for its VAE and its AVB, reconstruction errors times the four pixels that they seem to be means over; KL(q(z) ‖
/// p(z)) follows from its other figures where they are so read. In the order of [`Figures::entries`].
pub const PAPER: [(f64, f64); 5] =
    [(-1.568, -1.403), (0.354, 0.0231), (-1.697, -1.421), (1.178, 1.372), (0.165, 0.026)];

/// Both rows beside the paper's, every estimate of the implicit posterior's terms, and which seeds they are of.
pub fn table(vae: &Figures, avb: &Figures, terms: &ImplicitTerms) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(["nats", "VAE", "paper", "AVB", "paper", "best possible"]);
    let best = [-LN_4, 0.0, -LN_4, LN_4, 0.0];
    for (index, ((name, vae), (_, avb))) in vae.entries().into_iter().zip(avb.entries()).enumerate() {
        let number = |value: f64| Cell::new(format!("{value:.3}")).set_alignment(CellAlignment::Right);
        let (paper_vae, paper_avb) = PAPER[index];
        table.add_row([
            Cell::new(name.replace('_', " ")),
            measured(vae),
            number(paper_vae),
            measured(avb),
            number(paper_avb),
            number(best[index]),
        ]);
    }
    let mut ways = Table::new();
    ways.load_style(STYLE).set_header(["AVB, nats", "fine bins", "coarse bins", "nearest neighbours"]);
    for (name, three) in
        [("mutual information", terms.mutual_information), ("kl aggregate prior", terms.kl_aggregate_prior)]
    {
        ways.add_row([Cell::new(name), measured(three.fine), measured(three.coarse), measured(three.neighbours)]);
    }
    format!("{table}\n\n{ways}")
}

fn measured(measured: Measured) -> Cell {
    let text = match measured.standard_error {
        Some(error) => format!("{:.4} ± {error:.4}", measured.value),
        None => format!("{:.4}", measured.value),
    };
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// Every estimate of the implicit posterior's terms.
pub fn estimates(terms: &ImplicitTerms) -> Value {
    let one = |measured: Measured| json!({ "value": measured.value, "standard_error": measured.standard_error });
    let three = |three: ThreeWays| json!({ "fine_bins": one(three.fine), "coarse_bins": one(three.coarse), "nearest_neighbours": one(three.neighbours) });
    json!({ "mutual_information": three(terms.mutual_information), "kl_aggregate_prior": three(terms.kl_aggregate_prior) })
}

/// What is asked of both rows: each bound that does not hold, in words.
pub fn failures(vae: &Figures, avb: &Figures) -> Vec<String> {
    let bounds = [
        ("the VAE's -ELBO", -vae.elbo.value, 1.69, 1.74),
        ("the VAE's log-likelihood", vae.log_likelihood.value, -1.585, -1.55),
        ("the VAE's KL(q(z) || p(z))", vae.kl_aggregate_prior.value, 0.14, 0.17),
        ("AVB's log-likelihood", avb.log_likelihood.value, -1.41, 0.0),
        // Below 0 by its error at most.
        ("AVB's KL(q(z) || p(z))", avb.kl_aggregate_prior.value, -0.01, 0.03),
    ];
    let fails = |(_, value, low, high): &(&str, f64, f64, f64)| !(*low..=*high).contains(value);
    let words =
        |(name, value, low, high): (&str, f64, f64, f64)| format!("{name} is {value:.4}, not in [{low}, {high}]");
    bounds.into_iter().filter(fails).map(words).collect()
}

const LN_4: f64 = 2.0 * std::f64::consts::LN_2;
