//! Inputs at the edge: finite, or refused before the run.

use super::inputs::{Inputs, Setting, evaluate, generator, is_finite};
use crate::Objective;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tch::{Kind, Tensor};

/// σ = e^−20 = 2e-9.
const NARROW: f64 = -40.0;
/// Its square and e^40 together stay within float32.
const HUGE: f64 = 1e6;
/// A pixel of probability 4e-44, which is 0 or 1 in float32.
const LOGIT: f64 = 100.0;

/// Every extreme, in float32 (as runs are) and in float64.
pub(super) fn check(objective: &dyn Objective, setting: Setting) -> Result<(), String> {
    let refusal = objective.check(setting.batch + 1, setting.batch, setting.latent);
    refusal.map_or_else(
        |error| clear(&error, "a batch larger than the data set"),
        |()| {
            finite(
                objective,
                Setting { batch: setting.batch + 1, dataset_len: setting.batch, ..setting },
                "a batch larger than the data set",
                &ordinary,
            )
        },
    )?;
    for (batch, what) in [(1, "a batch of 1"), (2, "a batch of 2")] {
        let small = Setting { batch, ..setting };
        match objective.check(batch, setting.dataset_len, setting.latent) {
            Err(error) => clear(&error, what)?,
            Ok(()) => finite(objective, small, what, &ordinary)?,
        }
    }
    let cases: [(&str, &Change); 6] = [
        ("equal codes", &equal),
        ("σ → 0", &|mean, log_var| (mean.shallow_clone(), log_var.full_like(NARROW))),
        ("equal codes with σ → 0", &|mean, log_var| (equal(mean, log_var).0, log_var.full_like(NARROW))),
        ("codes at 0 with σ → 0", &|mean, log_var| (mean.zeros_like(), log_var.full_like(NARROW))),
        ("huge means", &|mean, log_var| (mean * HUGE, log_var.shallow_clone())),
        ("huge means with σ → 0", &|mean, log_var| (mean * HUGE, log_var.full_like(NARROW))),
    ];
    for (what, change) in cases {
        finite(objective, setting, what, change)?;
    }
    certain_pixels(objective, setting)
}

/// Mean and log-variance to others of the same shape.
type Change = dyn Fn(&Tensor, &Tensor) -> (Tensor, Tensor);

fn ordinary(mean: &Tensor, log_var: &Tensor) -> (Tensor, Tensor) {
    (mean.shallow_clone(), log_var.shallow_clone())
}

/// Every row is the first.
fn equal(mean: &Tensor, log_var: &Tensor) -> (Tensor, Tensor) {
    let first = |t: &Tensor| t.narrow(0, 0, 1).expand_as(t);
    (first(mean), first(log_var))
}

/// A refusal is one line that says what was expected.
fn clear(refusal: &anyhow::Error, what: &str) -> Result<(), String> {
    let line = format!("{refusal:#}");
    if line.contains('\n') || !line.contains("expected") {
        return Err(format!("the refusal of {what} is not one line with 'expected …': {line:?}"));
    }
    Ok(())
}

fn finite(objective: &dyn Objective, setting: Setting, what: &str, change: &Change) -> Result<(), String> {
    for kind in [Kind::Float, Kind::Double] {
        let inputs = Inputs::random(setting, kind, 51);
        let (mean, log_var) = change(&inputs.mean.detach(), &inputs.log_var.detach());
        let changed = Inputs::from_codes(&mean, &log_var, setting.samples, &generator(52));
        is_finite_at(objective, &changed, &|| changed.pass(), setting, what)?;
        if what.starts_with("equal") {
            // The samples equal, too: nothing is left to tell the rows apart.
            let same = Inputs {
                z: collapsed(&changed),
                ..Inputs::from_codes(&mean, &log_var, setting.samples, &generator(52))
            };
            is_finite_at(objective, &same, &|| same.pass(), setting, what)?;
        }
    }
    Ok(())
}

fn collapsed(inputs: &Inputs) -> Tensor {
    inputs.mean.detach().expand_as(&inputs.z).copy().set_requires_grad(true)
}

/// A decoder that is certain of every pixel, rightly or wrongly.
fn certain_pixels(objective: &dyn Objective, setting: Setting) -> Result<(), String> {
    for kind in [Kind::Float, Kind::Double] {
        for logit in [LOGIT, -LOGIT] {
            let inputs = Inputs::random(setting, kind, 53);
            let pass = || {
                let logits = (&inputs.z * 0.0 + logit).unsqueeze(-2).unsqueeze(-2);
                inputs.pass_with(inputs.z.shallow_clone(), logits)
            };
            is_finite_at(objective, &inputs, &pass, setting, &format!("logits of {logit}"))?;
        }
    }
    Ok(())
}

fn is_finite_at(
    objective: &dyn Objective,
    inputs: &Inputs,
    pass: &dyn Fn() -> elbo_core::ForwardPass,
    setting: Setting,
    what: &str,
) -> Result<(), String> {
    let kind = inputs.mean.kind();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let terms = evaluate(objective, &pass(), setting, 0);
        if !is_finite(&terms.loss) {
            return Err(format!(
                "the loss of {what} is {:?} in {kind:?}",
                f64::try_from(&terms.loss).unwrap_or(f64::NAN)
            ));
        }
        if let Some((name, _)) = terms.scalars.entries().iter().find(|(_, value)| !is_finite(value)) {
            return Err(format!("the scalar '{name}' of {what} is not finite in {kind:?}"));
        }
        let gradients = inputs.gradients(&terms.loss);
        match inputs.leaves().iter().zip(&gradients).find(|(_, gradient)| !is_finite(gradient)) {
            Some(((name, _), _)) => {
                Err(format!("the gradient of {what} with respect to the {name} is not finite in {kind:?}"))
            }
            None => Ok(()),
        }
    }));
    result.unwrap_or_else(|_| Err(format!("{what} makes evaluate panic, and check lets it pass")))
}
