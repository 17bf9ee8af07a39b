//! Values of a configuration that say what they expected.
//!
//! Everything a person types into a configuration is read here or with what is here, so that every refusal reads the same:
//!
//! ```text
//! expected one of burgess, locatello, vae-gan, mlp, got "vgg"
//! ```
//!
//! Enumerations are declared with [`choices!`](crate::choices), numbers with a range are types such as [`NonNegative`](crate::NonNegative)
//! or fields with `#[serde(deserialize_with = "…")]` and a function of this module.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// Reads any value and turns it into a `T`; where `read` refuses, the error is `expected <expected>, got <value>`.
///
/// # Errors
/// The deserialiser's own, or that line.
pub fn expect<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    read(&value).ok_or_else(|| D::Error::custom(refusal(expected, &value)))
}

/// `expected <expected>, got <value>`, on one line of bounded length.
pub fn refusal(expected: &str, value: &Value) -> String {
    const LONGEST: usize = 60;
    let mut got = value.to_string();
    if got.chars().count() > LONGEST {
        got = got.chars().take(LONGEST).chain("…".chars()).collect();
    }
    format!("expected {expected}, got {got}")
}

/// An integer of at least 1, for `#[serde(deserialize_with = "elbo_core::config::count")]`.
///
/// # Errors
/// `expected an integer ≥ 1, got …`.
pub fn count<'de, D: Deserializer<'de>, T: TryFrom<i64>>(deserializer: D) -> Result<T, D::Error> {
    expect(deserializer, COUNT, |value| as_count(value).and_then(|number| T::try_from(number).ok()))
}

/// A list of integers of at least 1, or nothing; with `default`.
///
/// # Errors
/// `expected a list of integers ≥ 1, got …`.
pub fn optional_counts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<i64>>, D::Error> {
    expect(deserializer, COUNTS, |value| match value {
        Value::Null => Some(None),
        Value::Array(items) => items.iter().map(as_count).collect::<Option<Vec<_>>>().map(Some),
        _ => None,
    })
}

/// What [`count`] expects.
pub(crate) const COUNT: &str = "an integer ≥ 1";
/// What [`optional_counts`] expects.
pub(crate) const COUNTS: &str = "a list of integers ≥ 1";

fn as_count(value: &Value) -> Option<i64> {
    value.as_i64().filter(|&number| number >= 1)
}

/// Declares an enumeration whose values are written as words: `ALL`, `name()`, `Display`, `FromStr`, and serde by name, refusing
/// anything else with the list of words.
///
/// ```
/// elbo_core::choices! {
///     /// A colour.
///     pub enum Colour {
///         /// Like the sky.
///         Blue = "blue",
///         /// Like the sea on some days.
///         SeaGreen = "sea-green",
///     }
/// }
/// assert_eq!("sea-green".parse(), Ok(Colour::SeaGreen));
/// assert_eq!("red".parse::<Colour>().unwrap_err(), "expected one of blue, sea-green, got \"red\"");
/// ```
#[macro_export]
macro_rules! choices {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visibility enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            $visibility const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it in a configuration.
            $visibility const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.pad(self.name())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::std::string::String;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                let value = $crate::config::private::Value::from(text);
                $crate::config::private::choose(Self::ALL, Self::name, &value)
            }
        }

        impl $crate::config::private::Serialize for $name {
            fn serialize<S: $crate::config::private::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> $crate::config::private::Deserialize<'de> for $name {
            fn deserialize<D: $crate::config::private::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                let value = <$crate::config::private::Value as $crate::config::private::Deserialize>::deserialize(deserializer)?;
                $crate::config::private::choose(Self::ALL, Self::name, &value)
                    .map_err(<D::Error as $crate::config::private::Error>::custom)
            }
        }
    };
}

/// For [`choices!`](crate::choices) alone.
#[doc(hidden)]
pub mod private {
    pub use serde::de::Error;
    pub use serde::{Deserialize, Deserializer, Serialize, Serializer};
    pub use serde_json::Value;

    pub fn choose<T: Copy>(all: &[T], name: fn(T) -> &'static str, value: &Value) -> Result<T, String> {
        all.iter().copied().find(|&choice| value.as_str() == Some(name(choice))).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|&choice| name(choice)).collect();
            super::refusal(&format!("one of {}", names.join(", ")), value)
        })
    }
}
