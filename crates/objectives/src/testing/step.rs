//! The step contract, under the recorder.

use super::inputs::{Inputs, Setting, generator};
use crate::Objective;
use elbo_core::BatchContext;
use elbo_native::recorder::{Operator, record};
use tch::{Kind, Tensor};

/// Consecutive steps run the same operators, and none that makes the host wait; nor does an evaluation without a graph.
///
/// One of the steps sees codes that equal the prior and one sees narrow ones, far away: what decides by a value goes another way there.
pub(super) fn check(objective: &dyn Objective, setting: Setting) -> Result<(), String> {
    let inputs = |seed| Inputs::random(setting, Kind::Float, seed);
    let like = |mean: f64, log_var: f64| {
        let shape = inputs(0).mean.detach();
        Inputs::from_codes(&shape.full_like(mean), &shape.full_like(log_var), setting.samples, &generator(9))
    };
    let first = operators(objective, &inputs(7), setting, 7, false)?;
    let others = [(inputs(8), 8), (like(0.0, 0.0), 9), (like(100.0, -20.0), 1_000_000)];
    let without_graph = operators(objective, &inputs(7), setting, 7, true)?;
    if let Some(operator) = first.iter().chain(&without_graph).find(|operator| operator.synchronises()) {
        return Err(format!("{} makes the host wait for the device", operator.name));
    }
    for (inputs, step) in &others {
        same(&first, &operators(objective, inputs, setting, *step, false)?)?;
    }
    Ok(())
}

fn same(first: &[Operator], second: &[Operator]) -> Result<(), String> {
    if let Some((one, two)) = first.iter().zip(second).find(|(one, two)| one != two) {
        let show = |operator: &Operator| format!("{} {:?} {:?}", operator.name, operator.shapes, operator.scalars);
        return Err(format!("one step ran {}, another {} in its place", show(one), show(two)));
    }
    if first.len() != second.len() {
        return Err(format!("one step ran {} operators, another {}", first.len(), second.len()));
    }
    Ok(())
}

/// The operators of an evaluation, and of its gradient unless it runs `without_graph`.
fn operators(
    objective: &dyn Objective,
    inputs: &Inputs,
    setting: Setting,
    step: i64,
    without_graph: bool,
) -> Result<Vec<Operator>, String> {
    let noise = generator(0);
    let step = Tensor::from(step);
    let context = BatchContext { step: &step, dataset_len: setting.dataset_len, noise: &noise };
    let leaves = inputs.leaves().map(|(_, leaf)| leaf);
    let pass = inputs.pass();
    let recorded = record(|| {
        if without_graph {
            tch::no_grad(|| drop(objective.evaluate(&pass, &context)));
        } else {
            let loss = objective.evaluate(&pass, &context).loss;
            if loss.requires_grad() {
                drop(Tensor::run_backward(&[&loss], &leaves, false, false));
            }
        }
    });
    recorded.map(|((), operators)| operators).map_err(|error| format!("the step could not be recorded: {error}"))
}
