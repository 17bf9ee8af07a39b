//! The figures for pairs of Gaussians that were computed elsewhere, by quadrature.

use elbo_adversarial::FDivergence;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use tch::Tensor;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

/// P = N(p[0], p[1]²) and Q = N(q[0], q[1]²).
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) p: [f64; 2],
    pub(crate) q: [f64; 2],
    /// By name; `"infinite"` where it is.
    values: BTreeMap<String, Value>,
    pub(crate) critics: Critics,
}

/// Optimal critics at five points.
#[derive(Deserialize)]
pub(crate) struct Critics {
    pub(crate) x: Vec<f64>,
    #[serde(rename = "log_p_minus_log_q")]
    pub(crate) log_ratio: Vec<f64>,
    #[serde(flatten)]
    by_name: BTreeMap<String, Vec<f64>>,
}

pub(crate) fn cases() -> Vec<Case> {
    serde_json::from_str::<File>(include_str!("f_divergences_1d.json")).expect("the oracle").cases
}

impl Case {
    /// The divergence, in the units of docs/mathematics.md §6: the oracle holds half of 2·JS and of 2·Hellinger². ∞ where it is.
    pub(crate) fn value(&self, row: FDivergence) -> f64 {
        let (name, factor) = match row {
            FDivergence::Kl => ("kl", 1.0),
            FDivergence::ReverseKl => ("reverse_kl", 1.0),
            FDivergence::TwiceJensenShannon => ("js", 2.0),
            FDivergence::Pearson => ("chi2_pearson", 1.0),
            FDivergence::Neyman => ("chi2_neyman", 1.0),
            FDivergence::TwiceSquaredHellinger => ("hellinger_sq", 2.0),
            FDivergence::TotalVariation => ("tv", 1.0),
            FDivergence::Alpha(_) => panic!("the oracle has no α-family"),
        };
        self.values[name].as_f64().map_or(f64::INFINITY, |value| factor * value)
    }

    /// log P/Q, in closed form.
    pub(crate) fn log_ratio(&self, x: &Tensor) -> Tensor {
        log_normal(x, self.p) - log_normal(x, self.q)
    }
}

impl Critics {
    /// f′(P/Q) at [`Critics::x`], where the oracle has it.
    pub(crate) fn slopes(&self, row: FDivergence) -> Option<&Vec<f64>> {
        let name = match row {
            FDivergence::Kl => "T_kl",
            FDivergence::ReverseKl => "T_reverse_kl",
            FDivergence::TwiceJensenShannon => "T_js_fgan",
            FDivergence::Pearson => "T_pearson",
            FDivergence::TwiceSquaredHellinger => "T_sq_hellinger",
            _ => return None,
        };
        self.by_name.get(name)
    }
}

/// log N(x; mean, deviation²).
pub(crate) fn log_normal(x: &Tensor, [mean, deviation]: [f64; 2]) -> Tensor {
    let half_log_two_pi = 0.5 * std::f64::consts::TAU.ln();
    ((x - mean) / deviation).square() * -0.5 - (deviation.ln() + half_log_two_pi)
}
