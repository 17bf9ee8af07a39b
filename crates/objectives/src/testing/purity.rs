//! Purity, kind and graph: what a loss depends on, and what it leaves behind.

use super::inputs::{Inputs, Setting, evaluate, is_same, number};
use crate::{Objective, Terms};
use elbo_core::{ForwardPass, Posterior};
use tch::{Kind, Tensor};

/// An update count at which a ramp may stand anywhere.
const STEP: i64 = 3;

/// The same pass, noise and step give the same everything, also without a graph, and the pass is left as it was.
pub(super) fn check(objective: &dyn Objective, setting: Setting) -> Result<(), String> {
    let (inputs, other) = (Inputs::random(setting, Kind::Double, 1), Inputs::random(setting, Kind::Double, 2));
    let before = snapshot(&inputs.pass());
    let pass = inputs.pass();
    let first = evaluate(objective, &pass, setting, STEP);
    // Another pass and another step in between: what an objective remembers would show.
    evaluate(objective, &other.pass(), setting, STEP + 1);
    unchanged(&before, &snapshot(&pass), "evaluation")?;
    let gradients = inputs.gradients(&first.loss);
    if let Some((name, _)) = inputs.leaves().into_iter().find(|(_, leaf)| leaf.grad().defined()) {
        return Err(format!("evaluation accumulated a gradient into the {name} of the pass"));
    }
    let pass = inputs.pass();
    let second = evaluate(objective, &pass, setting, STEP);
    same_terms(&first, &second, "a second time")?;
    for ((name, _), (one, two)) in inputs.leaves().iter().zip(gradients.iter().zip(inputs.gradients(&second.loss))) {
        if !is_same(one, &two) {
            return Err(format!(
                "the same pass and noise gave another gradient with respect to the {name} a second time"
            ));
        }
    }
    unchanged(&before, &snapshot(&inputs.pass()), "the gradient")?;
    let third = tch::no_grad(|| evaluate(objective, &inputs.pass(), setting, STEP));
    same_terms(&first, &third, "without a graph")
}

/// The loss is a scalar of its input's kind.
pub(super) fn kind(objective: &dyn Objective, setting: Setting) -> Result<(), String> {
    for kind in [Kind::Float, Kind::Double] {
        let loss = evaluate(objective, &Inputs::random(setting, kind, 1).pass(), setting, STEP).loss;
        if loss.kind() != kind {
            return Err(format!("from inputs of kind {kind:?} came a loss of kind {:?}", loss.kind()));
        }
    }
    Ok(())
}

/// No reported value carries a graph.
pub(super) fn graph(objective: &dyn Objective, setting: Setting) -> Result<(), String> {
    let terms = evaluate(objective, &Inputs::random(setting, Kind::Double, 1).pass(), setting, STEP);
    match terms.scalars.entries().iter().find(|(_, value)| value.requires_grad()) {
        Some((name, _)) => Err(format!("the scalar '{name}' carries a graph")),
        None => Ok(()),
    }
}

fn same_terms(first: &Terms, second: &Terms, when: &str) -> Result<(), String> {
    let (one, two) = (number(&first.loss), number(&second.loss));
    if one.to_bits() != two.to_bits() {
        return Err(format!("the same pass and noise gave a loss of {one}, and {when} {two}"));
    }
    let names =
        |terms: &Terms| -> Vec<String> { terms.scalars.entries().iter().map(|(name, _)| name.clone()).collect() };
    let (before, after) = (names(first), names(second));
    if before != after {
        return Err(format!("the same pass and noise gave the scalars {before:?}, and {when} {after:?}"));
    }
    for ((name, one), (_, two)) in first.scalars.entries().iter().zip(second.scalars.entries()) {
        if !is_same(one, two) {
            return Err(format!("the same pass and noise gave another scalar '{name}' {when}"));
        }
    }
    Ok(())
}

/// Copies of everything that a pass holds.
fn snapshot(pass: &ForwardPass) -> Vec<(&'static str, Tensor)> {
    let Posterior::Gaussian(gaussian) = &pass.posterior else { unreachable!("the suite's passes are Gaussian") };
    [
        ("x", &pass.x),
        ("mean", &gaussian.mean),
        ("log-variance", &gaussian.log_var),
        ("z", &pass.z),
        ("decoded", &pass.decoded),
        ("log-likelihood", pass.log_likelihood()),
    ]
    .map(|(name, tensor)| (name, tensor.detach().copy()))
    .into()
}

fn unchanged(before: &[(&'static str, Tensor)], after: &[(&'static str, Tensor)], what: &str) -> Result<(), String> {
    for ((name, before), (_, after)) in before.iter().zip(after) {
        if !is_same(before, after) {
            return Err(format!("{what} changed the {name} of the pass"));
        }
    }
    Ok(())
}
