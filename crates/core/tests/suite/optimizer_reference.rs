//! Every optimiser against its algorithm in plain Rust, in float64, step by step.

use crate::support::{numbers, step_number, vector};
use elbo_core::optimizer::OptimizerName;
use elbo_core::schedule::Shape;
use elbo_core::{NamedTensors, NonNegative, OptimizerConfig, Schedule, Weight};
use elbo_native::testing::single_thread;
use serde_json::{Value, json};
use tch::Tensor;

const STEPS: i64 = 30;
const START: [&[f64]; 2] = [&[0.7, -1.2, 0.05], &[2.0, -0.3]];

/// A gradient with curvature that depends on the step, so that moments matter and both signs occur.
fn gradient(theta: f64, index: usize, step: i64) -> f64 {
    theta.powi(3) - 0.4 * theta + 0.3 * (step as f64 * 0.9 + index as f64).sin()
}

/// The algorithm, from its paper, with the state of one parameter.
struct Reference {
    config: OptimizerConfig,
    theta: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    done: i32,
}

impl Reference {
    fn new(config: &OptimizerConfig) -> Self {
        let theta: Vec<f64> = START.iter().flat_map(|values| values.iter().copied()).collect();
        let zeros = vec![0.0; theta.len()];
        Self { config: config.clone(), theta, first: zeros.clone(), second: zeros, done: 0 }
    }

    fn step(&mut self, step: i64) {
        let config = self.config.clone();
        let get = |value: Option<NonNegative>, default: f64| value.map_or(default, NonNegative::get);
        // The learning rate is a float32 on the device.
        let rate = f64::from(schedule(config.learning_rate.schedule(), step) as f32);
        let (decay, epsilon) = (get(config.weight_decay, 0.0), get(config.epsilon, 1e-8));
        let (momentum, alpha) = (get(config.momentum, 0.0), get(config.alpha, 0.99));
        let [beta1, beta2] = config.betas.map_or([0.9, 0.999], |betas| betas.map(NonNegative::get));
        self.done += 1;

        let mut gradients: Vec<f64> =
            self.theta.iter().enumerate().map(|(index, &theta)| gradient(theta, index, step)).collect();
        if let Some(longest) = config.clip_norm {
            let norm = gradients.iter().map(|g| g * g).sum::<f64>().sqrt();
            let factor = (longest.get() / (norm + 1e-6)).min(1.0);
            for g in &mut gradients {
                *g *= factor;
            }
        }
        for (i, mut g) in gradients.into_iter().enumerate() {
            let theta = &mut self.theta[i];
            if config.name == OptimizerName::AdamW {
                *theta -= rate * decay * *theta;
            } else {
                g += decay * *theta;
            }
            match config.name {
                OptimizerName::Adam | OptimizerName::AdamW => {
                    self.first[i] = beta1 * self.first[i] + (1.0 - beta1) * g;
                    self.second[i] = beta2 * self.second[i] + (1.0 - beta2) * g * g;
                    let mean = self.first[i] / (1.0 - beta1.powi(self.done));
                    let spread = (self.second[i] / (1.0 - beta2.powi(self.done))).sqrt();
                    *theta -= rate * mean / (spread + epsilon);
                }
                OptimizerName::RmsProp => {
                    self.second[i] = alpha * self.second[i] + (1.0 - alpha) * g * g;
                    self.first[i] = momentum * self.first[i] + g / (self.second[i].sqrt() + epsilon);
                    *theta -= rate * self.first[i];
                }
                OptimizerName::Sgd => {
                    self.first[i] = momentum * self.first[i] + g;
                    let ahead =
                        if config.nesterov == Some(true) { g + momentum * self.first[i] } else { self.first[i] };
                    *theta -= rate * ahead;
                }
            }
        }
    }
}

fn schedule(schedule: Schedule, step: i64) -> f64 {
    match schedule {
        Schedule::Constant(value) => value,
        Schedule::Ramp { shape: Shape::Linear, from, to, steps } => {
            from + (to - from) * (step as f64 / steps as f64).min(1.0)
        }
        Schedule::Ramp { .. } => unreachable!("only linear schedules here"),
    }
}

/// Runs both, and compares all parameters after every step.
fn compare(config: &Value) {
    single_thread();
    let config: OptimizerConfig = serde_json::from_value(config.clone()).expect("a configuration");
    let parameters: NamedTensors = START
        .iter()
        .enumerate()
        .map(|(index, values)| (format!("p{index}"), vector(values).set_requires_grad(true)))
        .collect();
    let mut optimizer =
        config.build(parameters.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect()).expect("fits");
    let mut reference = Reference::new(&config);
    for step in 0..STEPS {
        let mut index = 0;
        let gradients: Vec<Tensor> = parameters
            .iter()
            .map(|(_, parameter)| {
                let values: Vec<f64> = numbers(parameter)
                    .into_iter()
                    .map(|theta| {
                        index += 1;
                        gradient(theta, index - 1, step)
                    })
                    .collect();
                vector(&values)
            })
            .collect();
        optimizer.step(&gradients, &step_number(step), None).expect("a step");
        reference.step(step);
        let theta: Vec<f64> = parameters.iter().flat_map(|(_, parameter)| numbers(parameter)).collect();
        for (got, expected) in theta.iter().zip(&reference.theta) {
            assert!(
                (got - expected).abs() < 1e-11,
                "{config:?}, step {step}: {theta:?}, expected {:?}",
                reference.theta
            );
        }
    }
    let moved = parameters.iter().zip(START).all(|((_, parameter), start)| numbers(parameter) != start);
    assert!(moved, "the comparison means something");
}

fn ramp(from: f64, to: f64) -> Value {
    json!({"schedule": "linear", "from": from, "to": to, "steps": 20})
}

#[test]
fn adam_is_algorithm_1_of_kingma_and_ba() {
    compare(&json!({"name": "adam", "learning_rate": 0.05}));
    compare(&json!({"name": "adam", "learning_rate": 0.05, "betas": [0.5, 0.9], "epsilon": 1e-3}));
    compare(&json!({"name": "adam", "learning_rate": 0.05, "weight_decay": 0.1}));
    compare(&json!({"name": "adam", "learning_rate": ramp(0.0, 0.1), "betas": [0.0, 0.99]}));
}

#[test]
fn adamw_is_algorithm_2_of_loshchilov_and_hutter() {
    compare(&json!({"name": "adamw", "learning_rate": 0.05, "weight_decay": 0.1}));
    compare(&json!({"name": "adamw", "learning_rate": ramp(0.1, 0.01), "weight_decay": 0.3, "betas": [0.8, 0.95]}));
}

#[test]
fn rmsprop_is_pytorchs() {
    compare(&json!({"name": "rmsprop", "learning_rate": 0.01}));
    compare(&json!({"name": "rmsprop", "learning_rate": 0.01, "alpha": 0.9, "epsilon": 1e-4}));
    compare(&json!({"name": "rmsprop", "learning_rate": 0.01, "momentum": 0.8, "weight_decay": 0.1}));
    compare(&json!({"name": "rmsprop", "learning_rate": ramp(0.02, 0.001), "momentum": 0.5}));
}

#[test]
fn sgd_is_pytorchs() {
    compare(&json!({"name": "sgd", "learning_rate": 0.05}));
    compare(&json!({"name": "sgd", "learning_rate": 0.05, "weight_decay": 0.1}));
    compare(&json!({"name": "sgd", "learning_rate": 0.02, "momentum": 0.9}));
    compare(&json!({"name": "sgd", "learning_rate": 0.02, "momentum": 0.9, "nesterov": true, "weight_decay": 0.1}));
    compare(&json!({"name": "sgd", "learning_rate": ramp(0.05, 0.005), "momentum": 0.5}));
}

/// Below most of the norms that occur (0.3 to 7): clipping works in nearly every step.
#[test]
fn gradients_are_clipped_by_the_norm_of_all_together() {
    for name in ["adam", "rmsprop", "sgd"] {
        compare(&json!({"name": name, "learning_rate": 0.05, "clip_norm": 0.5}));
    }
}

/// A weight's schedule is in float32; a constant is the nearest float32.
#[test]
fn the_learning_rate_is_a_function_of_the_step() {
    single_thread();
    let config = OptimizerConfig::new(
        OptimizerName::Sgd,
        Weight::new(Schedule::Ramp { shape: Shape::Linear, from: 1.0, to: 0.0, steps: 4 }).expect("a weight"),
    );
    let optimizer = config.build(vec![("p".to_owned(), vector(&[1.0]))]).expect("fits");
    let rates: Vec<f64> = (0..6).map(|step| numbers(&optimizer.learning_rate(&step_number(step)))[0]).collect();
    assert_eq!(rates, [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]);
}
