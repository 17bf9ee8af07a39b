//! What a run trains: the place where a foreign objective plugs in.

use elbo_core::{Algorithm, FieldError, Generator, ModelConfig, OptimizerConfig, Vae};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use tch::Device;

/// A method of training as it stands in a configuration's `method`.
///
/// An enum made by [`methods!`](crate::methods!) is one; so is any type of your own that deserialises from that object.
pub trait Method: DeserializeOwned + Serialize + Clone {
    /// Makes networks and optimisers.
    ///
    /// # Errors
    /// When a setting of the model or optimiser does not fit.
    fn build(&self, context: &BuildContext<'_>) -> anyhow::Result<Box<dyn Algorithm>>;
}

/// What a method needs to make its networks.
#[derive(Debug)]
pub struct BuildContext<'a> {
    /// The configuration's `model`.
    pub model: &'a ModelConfig,
    /// The configuration's `optimizer`.
    pub optimizer: &'a OptimizerConfig,
    /// `[C, H, W]` of the data.
    pub image: [i64; 3],
    /// Size of the training set.
    pub dataset_len: i64,
    /// Where to compute.
    pub device: Device,
    /// Draws the initial parameters: on the CPU, so that one seed is one model on every device.
    pub initialisation: &'a Generator,
}

impl BuildContext<'_> {
    /// The VAE that the configuration's `model` describes.
    ///
    /// # Errors
    /// When a field of `model` does not fit the data; the field is `model.…`.
    pub fn vae(&self) -> Result<Vae, FieldError> {
        self.model
            .build(self.image, self.initialisation, self.device)
            .map_err(|error| crate::config::below("model", error))
    }
}

/// Makes an enum of methods, told apart by the field `name` of the configuration's `method` object; the other fields belong to the
/// method's own struct, and errors in them carry their path.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// pub struct Scaled {
///     pub scale: f64,
/// }
///
/// elbo_runner::methods! {
///     /// The methods of this crate.
///     pub enum Methods { "scaled" => Scaled(Scaled) }
/// }
///
/// let Methods::Scaled(scaled) = serde_json::from_str(r#"{"name": "scaled", "scale": 2.0}"#).unwrap();
/// assert_eq!(scaled.scale, 2.0);
/// let error = serde_json::from_str::<Methods>(r#"{"name": "sacled"}"#).unwrap_err();
/// assert!(error.to_string().contains("expected one of scaled, got \"sacled\""));
/// ```
#[macro_export]
macro_rules! methods {
    ($(#[$doc:meta])* $visibility:vis enum $name:ident { $($tag:literal => $variant:ident($config:ty)),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        $visibility enum $name {
            $(#[doc = concat!("`", $tag, "`")] $variant($config)),+
        }

        impl<'de> $crate::method::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::method::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let (name, fields) = $crate::method::take_name(deserializer, &[$($tag),+])?;
                match name.as_str() {
                    $($tag => $crate::method::read_fields(fields).map(Self::$variant),)+
                    _ => Err($crate::method::unknown_method(&name, &[$($tag),+])),
                }
            }
        }

        impl $crate::method::serde::Serialize for $name {
            fn serialize<S: $crate::method::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(fields) => $crate::method::write_named($tag, fields, serializer),)+
                }
            }
        }
    };
}

#[doc(hidden)]
pub use serde;

#[doc(hidden)]
pub fn take_name<'de, D: Deserializer<'de>>(deserializer: D, known: &[&str]) -> Result<(String, Value), D::Error> {
    let mut fields = Map::<String, Value>::deserialize(deserializer)?;
    match fields.shift_remove("name") {
        Some(Value::String(name)) => Ok((name, Value::Object(fields))),
        Some(other) => Err(at_name(&format!("expected one of {}, got {other}", known.join(", ")))),
        None => Err(at_name(&format!("missing; expected one of {}", known.join(", ")))),
    }
}

#[doc(hidden)]
pub fn unknown_method<E: Error>(name: &str, known: &[&str]) -> E {
    at_name(&format!("expected one of {}, got \"{name}\"", known.join(", ")))
}

#[doc(hidden)]
pub fn read_fields<T: DeserializeOwned, E: Error>(fields: Value) -> Result<T, E> {
    crate::config::nested(fields).map_err(E::custom)
}

#[doc(hidden)]
pub fn write_named<S: serde::Serializer>(
    name: &str,
    fields: &impl Serialize,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::Error;
    let mut object = Map::from_iter([("name".to_owned(), Value::from(name))]);
    match serde_json::to_value(fields).map_err(S::Error::custom)? {
        Value::Object(fields) => object.extend(fields),
        Value::Null => {}
        other => return Err(S::Error::custom(format!("a method's settings must be an object, got {other}"))),
    }
    object.serialize(serializer)
}

fn at_name<E: Error>(message: &str) -> E {
    E::custom(crate::config::at("name", message))
}
