//! How parameters start: said in the configuration, drawn from the run's own noise.

use crate::choices;
use elbo_native::Generator;
use tch::{Device, Kind, Tensor};

choices! {
    /// A scheme for the start of weights and biases.
    ///
    /// The fans are PyTorch's: the number of inputs (outputs) of a linear layer; channels in (out) times kernel positions of a
    /// convolution, the other way round for a transposed one.
    pub enum Initialisation {
        /// What PyTorch's layers do by themselves (`kaiming_uniform(a = √5)`): weight and bias from U(±1/√`fan_in`).
        PyTorch = "pytorch",
        /// Weight from U(±√(6 / (`fan_in` + `fan_out`))), bias 0: TensorFlow's default, and so that of Locatello et al. 2019.
        GlorotUniform = "glorot-uniform",
        /// Weight from N(0, 2 / (`fan_in` + `fan_out`)), bias 0 (Glorot & Bengio 2010).
        GlorotNormal = "glorot-normal",
        /// Weight from U(±√(6 / `fan_in`)), bias 0 (He et al. 2015, for `ReLU`).
        KaimingUniform = "kaiming-uniform",
        /// Weight from N(0, 2 / `fan_in`), bias 0 (He et al. 2015, for `ReLU`).
        KaimingNormal = "kaiming-normal",
    }
}

/// Makes parameters: float32 leaves that require gradients.
///
/// Numbers are drawn on the CPU and then moved, so that one seed gives one model on every device.
#[derive(Debug, Clone, Copy)]
pub struct Initialiser<'a> {
    noise: &'a Generator,
    device: Device,
    scheme: Initialisation,
}

/// Inputs and outputs that one output and one input of a layer see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fan {
    /// Inputs of one output.
    pub inputs: i64,
    /// Outputs of one input.
    pub outputs: i64,
}

impl<'a> Initialiser<'a> {
    /// Parameters by `scheme` on `device`, from a CPU generator.
    pub fn new(noise: &'a Generator, device: Device, scheme: Initialisation) -> Self {
        assert_eq!(noise.device(), Device::Cpu, "parameters are drawn on the CPU, whatever device they live on");
        Self { noise, device, scheme }
    }

    /// A weight of shape `size`.
    pub fn weight(&self, size: &[i64], fan: Fan) -> Tensor {
        let (inputs, outputs) = (fan.inputs as f64, fan.outputs as f64);
        self.leaf(&match self.scheme {
            Initialisation::PyTorch => self.uniform(size, inputs.sqrt().recip()),
            Initialisation::GlorotUniform => self.uniform(size, (6.0 / (inputs + outputs)).sqrt()),
            Initialisation::GlorotNormal => self.normal(size, (2.0 / (inputs + outputs)).sqrt()),
            Initialisation::KaimingUniform => self.uniform(size, (6.0 / inputs).sqrt()),
            Initialisation::KaimingNormal => self.normal(size, (2.0 / inputs).sqrt()),
        })
    }

    /// A bias of `size` numbers, for the layer whose weight has this fan.
    pub fn bias(&self, size: i64, fan: Fan) -> Tensor {
        self.biases(&[size], fan)
    }

    /// The biases of several such layers side by side.
    pub fn biases(&self, size: &[i64], fan: Fan) -> Tensor {
        self.leaf(&match self.scheme {
            Initialisation::PyTorch => self.uniform(size, (fan.inputs as f64).sqrt().recip()),
            _ => Tensor::zeros(size, (Kind::Float, Device::Cpu)),
        })
    }

    /// A scalar parameter that starts at `value`.
    pub fn scalar(&self, value: f64) -> Tensor {
        self.constant(&[], value)
    }

    /// A parameter of shape `size` that starts at `value` everywhere.
    pub fn constant(&self, size: &[i64], value: f64) -> Tensor {
        self.leaf(&Tensor::full(size, value, (Kind::Float, Device::Cpu)))
    }

    fn uniform(&self, size: &[i64], bound: f64) -> Tensor {
        self.noise.uniform(size, Kind::Float) * (2.0 * bound) - bound
    }

    fn normal(&self, size: &[i64], standard_deviation: f64) -> Tensor {
        self.noise.normal(size, Kind::Float) * standard_deviation
    }

    fn leaf(&self, values: &Tensor) -> Tensor {
        values.to_device(self.device).set_requires_grad(true)
    }
}
