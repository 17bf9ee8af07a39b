//! Figures with their errors.

use super::grid::{GaussianTerms, Grid};
use super::histogram::ImplicitTerms;
use elbo_core::Vae;
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

    /// A second width of bins as part of the error.
    fn beside(self, other: Self) -> Self {
        let error = self.standard_error.unwrap_or(0.0);
        Self::with_error(self.value, error.hypot(self.value - other.value))
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
        let [fine, coarse] = terms.mutual_information;
        let mutual_information = fine.beside(coarse);
        let [fine, coarse] = terms.kl_aggregate_prior;
        let kl_aggregate_prior = fine.beside(coarse);
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
