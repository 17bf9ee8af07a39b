//! Numbers of a configuration with their range in the type.

use crate::Schedule;
use crate::schedule::Shape;
use serde::de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tch::Tensor;

const EXPECTED: &str = "a finite number ≥ 0";

/// A finite number, zero or positive.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct NonNegative(f64);

/// A non-negative weight of a term of the loss, constant or on a [`Schedule`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight(Schedule);

impl NonNegative {
    /// `value`, if it is finite and not negative.
    pub fn new(value: f64) -> Option<Self> {
        (value.is_finite() && value >= 0.0).then_some(Self(value))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Weight {
    /// A weight that never changes; `None` for a negative or non-finite one.
    pub fn constant(value: f64) -> Option<Self> {
        NonNegative::new(value).map(|value| Self(Schedule::Constant(value.0)))
    }

    /// How the weight changes.
    pub fn schedule(&self) -> Schedule {
        self.0
    }

    /// `term · weight`, at `step` (an Int64 scalar on the device).
    pub fn times(&self, term: &Tensor, step: &Tensor) -> Tensor {
        match self.0 {
            Schedule::Constant(value) => term * value,
            // Cast, so that float64 terms stay float64.
            ramp @ Schedule::Ramp { .. } => term * ramp.at(step).to_kind(term.kind()),
        }
    }
}

impl<'de> Deserialize<'de> for NonNegative {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = NonNegative;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(EXPECTED)
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<NonNegative, E> {
                NonNegative::new(value).ok_or_else(|| E::custom(format!("expected {EXPECTED}, got {value}")))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<NonNegative, E> {
                self.visit_f64(value as f64)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<NonNegative, E> {
                self.visit_f64(value as f64)
            }
        }
        deserializer.deserialize_any(Number)
    }
}

impl Serialize for NonNegative {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ramp {
    schedule: Shape,
    from: NonNegative,
    to: NonNegative,
    steps: u64,
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrRamp;
        impl<'de> Visitor<'de> for NumberOrRamp {
            type Value = Weight;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(
                    formatter,
                    "{EXPECTED}, or a schedule like {{\"schedule\": \"linear\", \"from\": 0, \"to\": 6, \"steps\": 10000}}"
                )
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Weight, E> {
                Weight::constant(value).ok_or_else(|| E::custom(format!("expected {EXPECTED}, got {value}")))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Weight, E> {
                self.visit_f64(value as f64)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Weight, E> {
                self.visit_f64(value as f64)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Weight, A::Error> {
                let ramp = Ramp::deserialize(MapAccessDeserializer::new(map))?;
                let (from, to) = (ramp.from.0, ramp.to.0);
                if ramp.steps == 0 {
                    return Err(A::Error::custom("expected steps ≥ 1, got 0"));
                }
                if ramp.schedule == Shape::Exponential && (from == 0.0 || to == 0.0) {
                    return Err(A::Error::custom("expected from > 0 and to > 0 for an exponential schedule"));
                }
                Ok(Weight(Schedule::Ramp { shape: ramp.schedule, from, to, steps: ramp.steps }))
            }
        }
        deserializer.deserialize_any(NumberOrRamp)
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Schedule::Constant(value) => serializer.serialize_f64(value),
            Schedule::Ramp { shape, from, to, steps } => {
                Ramp { schedule: shape, from: NonNegative(from), to: NonNegative(to), steps }.serialize(serializer)
            }
        }
    }
}
