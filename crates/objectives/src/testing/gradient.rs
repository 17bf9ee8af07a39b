//! The gradient of the whole loss: against central differences, or for a surrogate against the plain objective's in the mean.

use super::inputs::{Inputs, Setting, evaluate, generator, gradients, number};
use crate::Objective;
use elbo_core::{BatchContext, Generator};
use tch::{Kind, Tensor};

/// Half the distance of a central difference.
const OFFSET: f64 = 1e-5;
/// Of the largest component of the gradient, plus 1: a hundred times what rounding does to a difference.
const TOLERANCE: f64 = 1e-6;
/// A run's start, where ramps are at their first value, and a late update.
const STEPS: [i64; 2] = [0, 1_000_000];
/// Draws of z over which a surrogate's gradient is averaged.
const DRAWS: u32 = 4000;
/// How far a mean may be from what it estimates, in standard errors.
const STANDARD_ERRORS: f64 = 3.0;

/// Each component of the gradient with respect to every input is the loss's central difference, in float64.
///
/// Where differences over two distances disagree, a kink lies between them, and the component is left out; were that more than a quarter
/// of them, nothing would be shown.
pub(super) fn central_differences(objective: &dyn Objective, setting: Setting) -> Result<(), String> {
    for step in STEPS {
        let inputs = Inputs::random(setting, Kind::Double, 41);
        let loss = |inputs: &Inputs| evaluate(objective, &inputs.pass(), setting, step).loss;
        let gradients = inputs.gradients(&loss(&inputs));
        let largest = gradients.iter().map(|gradient| number(&gradient.abs().max())).fold(0.0, f64::max);
        let tolerance = TOLERANCE * (1.0 + largest);
        let (mut components, mut kinks) = (0, 0);
        for ((name, leaf), gradient) in inputs.leaves().into_iter().zip(&gradients) {
            let (flat, gradient) = (leaf.detach().view(-1), gradient.reshape(-1));
            for index in 0..flat.size()[0] {
                let mut element = flat.narrow(0, index, 1);
                let start = element.copy();
                let mut at = |offset: f64| {
                    element.copy_(&(&start + offset));
                    tch::no_grad(|| number(&loss(&inputs)))
                };
                let mut difference = |offset: f64| (at(offset) - at(-offset)) / (2.0 * offset);
                let (near, far) = (difference(OFFSET), difference(2.0 * OFFSET));
                at(0.0);
                components += 1;
                if !is_within(near - far, tolerance) {
                    kinks += 1;
                    continue;
                }
                let gradient = number(&gradient.narrow(0, index, 1));
                if !is_within(near - gradient, tolerance) {
                    return Err(format!(
                        "at step {step} component {index} of the gradient with respect to the {name} is {gradient}, and the central \
                         difference {near}"
                    ));
                }
            }
        }
        if 4 * kinks > components {
            return Err(format!(
                "at step {step} {kinks} of {components} central differences depend on the distance over which they are taken, so that the \
                 gradient cannot be checked"
            ));
        }
    }
    Ok(())
}

/// The mean gradient over draws of z is the plain objective's: along one random direction of each parameter, from the same draws.
pub(super) fn surrogate(objective: &dyn Objective, plain: &dyn Objective, setting: Setting) -> Result<(), String> {
    let inputs = Inputs::random(setting, Kind::Double, 43);
    let names = ["mean", "log-variance", "decoder's parameter"];
    let parameters = [&inputs.mean, &inputs.log_var, &inputs.decoder];
    let noise = generator(44);
    let directions = parameters.map(|parameter| noise.normal(&parameter.size(), Kind::Double));
    let step = Tensor::from(STEPS[0]);
    let slopes = |objective: &dyn Objective, noise: &Generator| -> [f64; 3] {
        let pass = inputs.reparameterised(noise, objective.samples());
        let context = BatchContext { step: &step, dataset_len: setting.dataset_len, noise };
        let gradients = gradients(&objective.evaluate(&pass, &context).loss, &parameters);
        std::array::from_fn(|index| number(&(&gradients[index] * &directions[index]).sum(None)))
    };
    let noises = [generator(45), generator(46)];
    // The plain objective may take another number of samples; with the same number both see the same draws, which is sharper.
    let paired = objective.samples() == plain.samples();
    let (mut sums, mut squares) = ([0.0; 3], [0.0; 3]);
    for _ in 0..DRAWS {
        let state = noises[0].state().map_err(|error| error.to_string())?;
        let ours = slopes(objective, &noises[0]);
        if paired {
            noises[1].set_state(&state).map_err(|error| error.to_string())?;
        }
        let theirs = slopes(plain, &noises[1]);
        for index in 0..3 {
            let difference = ours[index] - theirs[index];
            sums[index] += difference;
            squares[index] += difference * difference;
        }
    }
    for (index, name) in names.into_iter().enumerate() {
        let draws = f64::from(DRAWS);
        let mean = sums[index] / draws;
        let standard_error = ((squares[index] / draws - mean * mean).max(0.0) / (draws - 1.0)).sqrt();
        // Where the two agree draw by draw, rounding is left.
        if !is_within(mean, STANDARD_ERRORS * standard_error + 1e-9) {
            return Err(format!(
                "in the mean over {DRAWS} draws of z the gradient with respect to the {name} is {mean} away from the plain objective's \
                 along a random direction, and the standard error is {standard_error}"
            ));
        }
    }
    Ok(())
}

/// Whether a difference is at most `tolerance`; NaN is not.
fn is_within(difference: f64, tolerance: f64) -> bool {
    difference.abs() <= tolerance
}
