//! A number of a configuration that must not be zero.

use elbo_core::config;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NUMBER: &str = "a finite number > 0";

/// A finite number above zero: a bandwidth, a scale.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Positive(f64);

impl Positive {
    /// `value`, if it is finite and above zero.
    pub fn new(value: f64) -> Option<Self> {
        (value.is_finite() && value > 0.0).then_some(Self(value))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Positive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        config::expect(deserializer, NUMBER, |value| value.as_f64().and_then(Self::new))
    }
}

impl Serialize for Positive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}
