//! An f-divergence as a configuration says it.

use super::FDivergence::{
    self, Alpha, Kl, Neyman, Pearson, ReverseKl, TotalVariation, TwiceJensenShannon, TwiceSquaredHellinger,
};
use elbo_core::config;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use std::fmt;

/// α of the α-family.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Order(f64);

impl Order {
    /// Below this distance from 0 and 1, where f is a limit, its difference of powers has lost too many digits in float32.
    const CLOSEST: f64 = 0.01;

    /// `alpha`, if it is finite and at least 0.01 away from 0 and from 1, whose limits are rows of their own.
    pub fn new(alpha: f64) -> Option<Self> {
        let far = |limit: f64| (alpha - limit).abs() >= Self::CLOSEST;
        (alpha.is_finite() && far(0.0) && far(1.0)).then_some(Self(alpha))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// 1 − α, whose divergence is this with P and Q changed over.
    pub(super) fn reflected(self) -> Self {
        Self(1.0 - self.0)
    }
}

const WORDS: [(&str, FDivergence); 7] = [
    ("kl", Kl),
    ("reverse-kl", ReverseKl),
    ("twice-jensen-shannon", TwiceJensenShannon),
    ("pearson", Pearson),
    ("neyman", Neyman),
    ("twice-squared-hellinger", TwiceSquaredHellinger),
    ("total-variation", TotalVariation),
];

const EXPECTED: &str = "one of kl, reverse-kl, twice-jensen-shannon, pearson, neyman, twice-squared-hellinger, total-variation, or \
                        {\"alpha\": a number} at least 0.01 away from 0 (reverse-kl) and 1 (kl)";

impl FDivergence {
    /// The rows that have a word.
    pub const NAMED: [Self; 7] =
        [Kl, ReverseKl, TwiceJensenShannon, Pearson, Neyman, TwiceSquaredHellinger, TotalVariation];

    fn word(self) -> Option<&'static str> {
        WORDS.iter().find(|(_, divergence)| *divergence == self).map(|(word, _)| *word)
    }
}

impl fmt::Display for FDivergence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.word(), self) {
            (Some(word), _) => formatter.pad(word),
            (None, Alpha(order)) => formatter.pad(&format!("alpha {}", order.0)),
            (None, _) => unreachable!("every row but the α-family has a word"),
        }
    }
}

impl<'de> Deserialize<'de> for FDivergence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        config::expect(deserializer, EXPECTED, |value| match value {
            Value::String(text) => WORDS.iter().find(|(word, _)| word == text).map(|(_, divergence)| *divergence),
            Value::Object(fields) if fields.len() == 1 => {
                fields.get("alpha").and_then(Value::as_f64).and_then(Order::new).map(Alpha)
            }
            _ => None,
        })
    }
}

impl Serialize for FDivergence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Alpha(order) => json!({ "alpha": order.0 }).serialize(serializer),
            row => serializer.serialize_str(row.word().unwrap_or_default()),
        }
    }
}
