//! Named choices of a configuration.

use serde::{Deserialize, Serialize};
use std::fmt;

elbo_core::choices! {
    /// Whether a training step is captured as a CUDA graph.
    pub enum Capture {
        /// Where the device and the method allow it.
        Auto = "auto",
        /// Always; a run that cannot is refused.
        On = "on",
        /// Never.
        Off = "off",
    }
}

elbo_core::choices! {
    /// Arithmetic of matrix products and convolutions.
    pub enum Precision {
        /// IEEE single precision throughout.
        Float32 = "float32",
        /// Products rounded to ten bits of mantissa on CUDA's tensor cores; the CPU is not affected.
        Tf32 = "tf32",
        /// Networks in bfloat16 (eight bits of mantissa) by libtorch's autocast; parameters, densities, estimators and the optimiser in
        /// float32.
        Bfloat16 = "bfloat16",
    }
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// CUDA where there is a device, otherwise the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// One CUDA device.
    Cuda(usize),
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let index = word.strip_prefix("cuda:").and_then(|index| index.parse().ok());
        match (word.as_str(), index) {
            ("auto", _) => Ok(Self::Auto),
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(0)),
            (_, Some(index)) => Ok(Self::Cuda(index)),
            _ => Err(format!("expected auto, cpu, cuda or cuda:INDEX, got \"{word}\"")),
        }
    }
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::try_from(word.to_owned())
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(0) => formatter.write_str("cuda"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
        }
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}
