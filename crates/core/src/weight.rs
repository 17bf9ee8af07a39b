//! Numbers of a configuration with their range in the type.

use crate::Schedule;
use crate::config::{self, refusal};
use crate::schedule::Shape;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use tch::Tensor;

pub(crate) const NUMBER: &str = "a finite number ≥ 0";
const NUMBER_OR_RAMP: &str =
    "a finite number ≥ 0 or a schedule like {\"schedule\": \"linear\", \"from\": 0, \"to\": 6, \"steps\": 10000}";

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

    /// A weight that changes as `schedule` says.
    ///
    /// # Errors
    /// What a schedule of non-negative values expects instead.
    pub fn new(schedule: Schedule) -> Result<Self, String> {
        match schedule {
            Schedule::Constant(value) => Self::constant(value).ok_or_else(|| format!("expected {NUMBER}, got {value}")),
            Schedule::Ramp { steps: 0, .. } => Err("expected steps ≥ 1, got 0".to_owned()),
            Schedule::Ramp { shape, from, to, .. } => {
                if let Some(value) = [from, to].into_iter().find(|&value| NonNegative::new(value).is_none()) {
                    return Err(format!("expected {NUMBER}, got {value}"));
                }
                if shape == Shape::Exponential && (from == 0.0 || to == 0.0) {
                    return Err(format!(
                        "expected from > 0 and to > 0 for an exponential schedule, got {from} and {to}"
                    ));
                }
                Ok(Self(schedule))
            }
        }
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
        config::expect(deserializer, NUMBER, |value| value.as_f64().and_then(Self::new))
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
    #[serde(deserialize_with = "config::count")]
    steps: u64,
}

/// A visitor, not `config::expect`, so that an error inside the object keeps its path (`tc_weight.from`).
struct NumberOrRamp;

impl<'de> Visitor<'de> for NumberOrRamp {
    type Value = Weight;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(NUMBER_OR_RAMP)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Weight, E> {
        Weight::constant(value).ok_or_else(|| E::custom(refusal(NUMBER, &value.into())))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Weight, E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Weight, E> {
        Weight::constant(value as f64).ok_or_else(|| E::custom(refusal(NUMBER, &value.into())))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Weight, E> {
        Err(E::custom(refusal(NUMBER_OR_RAMP, &value.into())))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Weight, E> {
        Err(E::custom(refusal(NUMBER_OR_RAMP, &value.into())))
    }

    fn visit_unit<E: Error>(self) -> Result<Weight, E> {
        Err(E::custom(refusal(NUMBER_OR_RAMP, &Value::Null)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Weight, A::Error> {
        let list = Value::deserialize(SeqAccessDeserializer::new(items))?;
        Err(A::Error::custom(refusal(NUMBER_OR_RAMP, &list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Weight, A::Error> {
        let ramp = Ramp::deserialize(MapAccessDeserializer::new(map))?;
        let schedule = Schedule::Ramp { shape: ramp.schedule, from: ramp.from.0, to: ramp.to.0, steps: ramp.steps };
        Weight::new(schedule).map_err(A::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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
