//! `RMSProp` and SGD, as `_foreach_` operators over all parameters at once.

use super::{Slots, zeros_like};
use elbo_native::Argument::{self, Float, Tensors};
use tch::{Kind, Tensor};

/// Tieleman & Hinton 2012, as PyTorch computes it.
///
/// ```text
/// v ← α v + (1 − α) g²,   u = g / (√v + ε),   b ← m b + u,   θ ← θ − η b          (b = u without momentum)
/// ```
#[derive(Debug)]
pub(super) struct RmsProp {
    settings: RmsPropSettings,
    parameters: Vec<Tensor>,
    square_avg: Vec<Tensor>,
    /// None without momentum.
    momentum_buffer: Option<Vec<Tensor>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RmsPropSettings {
    pub(super) alpha: f64,
    pub(super) epsilon: f64,
    pub(super) weight_decay: f64,
    pub(super) momentum: f64,
}

/// Stochastic gradient descent.
///
/// ```text
/// b ← m b + g,   θ ← θ − η b          (b = g without momentum; Nesterov: θ ← θ − η (g + m b))
/// ```
#[derive(Debug)]
pub(super) struct Sgd {
    settings: SgdSettings,
    parameters: Vec<Tensor>,
    /// None without momentum.
    momentum_buffer: Option<Vec<Tensor>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SgdSettings {
    pub(super) weight_decay: f64,
    pub(super) momentum: f64,
    pub(super) nesterov: bool,
}

impl RmsProp {
    pub(super) fn new(parameters: Vec<Tensor>, settings: RmsPropSettings) -> Self {
        let square_avg = zeros_like(&parameters);
        let momentum_buffer = (settings.momentum > 0.0).then(|| zeros_like(&parameters));
        Self { settings, parameters, square_avg, momentum_buffer }
    }

    pub(super) fn step(&mut self, gradients: &[Tensor], rate: &Tensor, skip: Option<&Tensor>) -> anyhow::Result<()> {
        let RmsPropSettings { alpha, epsilon, weight_decay, momentum } = self.settings;
        let decayed = decay(gradients, &self.parameters, weight_decay)?;
        let gradients = decayed.as_deref().unwrap_or(gradients);

        let square_avg = scaled(&self.square_avg, alpha)?;
        let squared = [Tensors(&square_avg), Tensors(gradients), Tensors(gradients), Float(1.0 - alpha)];
        foreach("addcmul_", "Scalar", &squared)?;
        let spread = foreach("sqrt", "", &[Tensors(&square_avg)])?;
        foreach("add_", "Scalar", &[Tensors(&spread), Float(epsilon)])?;
        let direction = foreach("div", "List", &[Tensors(gradients), Tensors(&spread)])?;
        let buffer = accumulate(self.momentum_buffer.as_deref(), momentum, &direction)?;

        let parameters = moved(&self.parameters, buffer.as_deref().unwrap_or(&direction), rate)?;
        let skip = Skip::new(skip);
        skip.commit(&self.parameters, &parameters)?;
        skip.commit(&self.square_avg, &square_avg)?;
        skip.commit_buffer(self.momentum_buffer.as_deref(), buffer.as_deref())
    }

    pub(super) fn state(&self) -> Slots<'_> {
        let mut slots: Slots<'_> = vec![("square_avg", &self.square_avg)];
        slots.extend(self.momentum_buffer.as_deref().map(|buffer| ("momentum_buffer", buffer)));
        slots
    }
}

impl Sgd {
    pub(super) fn new(parameters: Vec<Tensor>, settings: SgdSettings) -> Self {
        let momentum_buffer = (settings.momentum > 0.0).then(|| zeros_like(&parameters));
        Self { settings, parameters, momentum_buffer }
    }

    pub(super) fn step(&mut self, gradients: &[Tensor], rate: &Tensor, skip: Option<&Tensor>) -> anyhow::Result<()> {
        let SgdSettings { weight_decay, momentum, nesterov } = self.settings;
        let decayed = decay(gradients, &self.parameters, weight_decay)?;
        let gradients = decayed.as_deref().unwrap_or(gradients);

        let buffer = accumulate(self.momentum_buffer.as_deref(), momentum, gradients)?;
        let ahead = match &buffer {
            Some(buffer) if nesterov => {
                Some(foreach("add", "List", &[Tensors(gradients), Tensors(buffer), Float(momentum)])?)
            }
            _ => None,
        };
        let direction = ahead.as_deref().or(buffer.as_deref()).unwrap_or(gradients);

        let parameters = moved(&self.parameters, direction, rate)?;
        let skip = Skip::new(skip);
        skip.commit(&self.parameters, &parameters)?;
        skip.commit_buffer(self.momentum_buffer.as_deref(), buffer.as_deref())
    }

    pub(super) fn state(&self) -> Slots<'_> {
        self.momentum_buffer.as_deref().map(|buffer| ("momentum_buffer", buffer)).into_iter().collect()
    }
}

/// `gradient + weight_decay · parameter`, or none where there is no decay.
fn decay(gradients: &[Tensor], parameters: &[Tensor], weight_decay: f64) -> anyhow::Result<Option<Vec<Tensor>>> {
    if weight_decay == 0.0 {
        return Ok(None);
    }
    foreach("add", "List", &[Tensors(gradients), Tensors(parameters), Float(weight_decay)]).map(Some)
}

/// `momentum · buffer + direction`, or none without a buffer. A buffer that starts at 0 is `direction` after the first step.
fn accumulate(buffer: Option<&[Tensor]>, momentum: f64, direction: &[Tensor]) -> anyhow::Result<Option<Vec<Tensor>>> {
    let Some(buffer) = buffer else { return Ok(None) };
    let next = scaled(buffer, momentum)?;
    foreach("add_", "List", &[Tensors(&next), Tensors(direction), Float(1.0)])?;
    Ok(Some(next))
}

/// `parameter − rate · direction`.
fn moved(parameters: &[Tensor], direction: &[Tensor], rate: &Tensor) -> anyhow::Result<Vec<Tensor>> {
    let change = foreach("mul", "Tensor", &[Tensors(direction), Argument::Tensor(rate)])?;
    foreach("sub", "List", &[Tensors(parameters), Tensors(&change), Float(1.0)])
}

fn scaled(tensors: &[Tensor], factor: f64) -> anyhow::Result<Vec<Tensor>> {
    foreach("mul", "Scalar", &[Tensors(tensors), Float(factor)])
}

fn foreach(name: &str, overload: &str, arguments: &[Argument<'_>]) -> anyhow::Result<Vec<Tensor>> {
    Ok(elbo_native::call(&format!("aten::_foreach_{name}"), overload, arguments)?)
}

/// Whether what was computed takes the place of what was there, decided on the device.
struct Skip(Option<Tensor>);

impl Skip {
    fn new(flag: Option<&Tensor>) -> Self {
        Self(flag.map(|flag| flag.to_kind(Kind::Bool)))
    }

    fn commit(&self, current: &[Tensor], next: &[Tensor]) -> anyhow::Result<()> {
        match &self.0 {
            None => foreach("copy_", "", &[Tensors(current), Tensors(next), Argument::Bool(false)]).map(drop),
            Some(keep) => {
                for (current, next) in current.iter().zip(next) {
                    drop(current.f_where_self_out(current, keep, next)?);
                }
                Ok(())
            }
        }
    }

    fn commit_buffer(&self, current: Option<&[Tensor]>, next: Option<&[Tensor]>) -> anyhow::Result<()> {
        current.zip(next).map_or(Ok(()), |(current, next)| self.commit(current, next))
    }
}
