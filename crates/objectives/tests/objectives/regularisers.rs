//! What holds for every objective that regularises q(z): gradients, kinds, extreme codes, learnt likelihoods, batches that do not fit.

use crate::setting::{Codes, DOUBLE, assert_near, evaluate_at, generator, number};
use elbo_core::likelihood::Scale;
use elbo_core::networks::ModelConfig;
use elbo_core::optimizer::OptimizerName;
use elbo_core::{Algorithm, BatchContext, ForwardPass, Likelihood, OptimizerConfig, Posterior, Weight};
use elbo_native::recorder::record;
use elbo_objectives::{DipVae, Elbo, Hfvae, HsicVae, InfoVae, Objective, SingleObjective, WaeMmd};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

const DATASET_LEN: i64 = 30;

pub(crate) fn read<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("a configuration")
}

/// Every kernel in every form.
pub(crate) fn divergences() -> Vec<Value> {
    let kernels = [
        json!({ "kernel": "rbf", "bandwidth": 1.3 }),
        json!({ "kernel": "inverse-multiquadratic", "bandwidth": 6 }),
        json!({ "kernel": "multi-scale", "bandwidth": 6, "scales": [0.1, 0.2, 0.5, 1, 2, 5, 10] }),
    ];
    let forms = ["biased", "unbiased", "linear-time"];
    let with_form = |kernel: &Value, form: &str| {
        let mut kernel = kernel.clone();
        kernel["form"] = form.into();
        kernel
    };
    kernels.iter().flat_map(|kernel| forms.map(|form| with_form(kernel, form))).collect()
}

fn named<O: Objective + DeserializeOwned + 'static>(name: &str, json: Value) -> (String, Box<dyn Objective>) {
    (format!("{name} {json}"), Box::new(read::<O>(json)))
}

/// Each objective of this family in each of its forms, for three latent dimensions and batches of at least four.
pub(crate) fn all() -> Vec<(String, Box<dyn Objective>)> {
    let mut all = Vec::new();
    for divergence in divergences() {
        all.push(named::<InfoVae>("info-vae", json!({ "alpha": 0.3, "lambda": 20, "divergence": divergence })));
        all.push(named::<WaeMmd>("wae-mmd", json!({ "divergence_weight": 10, "divergence": divergence })));
    }
    let schedule = json!({ "schedule": "linear", "from": 1, "to": 20, "steps": 10 });
    let divergence = &divergences()[0];
    all.push(named::<InfoVae>("info-vae", json!({ "alpha": 0, "lambda": schedule, "divergence": divergence })));
    for form in ["i", "ii"] {
        all.push(named::<DipVae>("dip-vae", json!({ "form": form, "off_diagonal_weight": 10, "diagonal_weight": 5 })));
    }
    for (groups, statistic, form) in [
        (json!([[2, 0], [1]]), "pairwise", "biased"),
        (json!([[0], [1], [2]]), "pairwise", "unbiased"),
        (json!([[0], [1], [2]]), "joint", "biased"),
    ] {
        let json = json!({ "hsic_weight": 50, "groups": groups, "statistic": statistic, "form": form, "bandwidth": 1 });
        all.push(named::<HsicVae>("hsic-vae", json));
    }
    for estimator in ["mws", "mss", "balanced"] {
        let json = json!({
            "groups": [[2, 0], 1], "mi_weight": 1, "tc_weights": [4, 2], "dw_kl_weight": 1, "estimator": estimator
        });
        all.push(named::<Hfvae>("hfvae", json));
    }
    all
}

/// One of each objective, for tests on larger networks.
pub(crate) fn one_of_each() -> Vec<(String, Box<dyn Objective>)> {
    let mut chosen: Vec<(String, Box<dyn Objective>)> = Vec::new();
    // The last form of each is the one with most in it.
    for (name, objective) in all().into_iter().rev() {
        let method = |name: &str| name.split(' ').next().map(str::to_owned);
        if chosen.iter().all(|(other, _)| method(other) != method(&name)) {
            chosen.push((name, objective));
        }
    }
    assert_eq!(chosen.len(), 5);
    chosen
}

/// A pass through a decoder that is linear in z, under a likelihood with a scale of its own.
fn pass(codes: &Codes, likelihood: &Likelihood) -> ForwardPass {
    let (batch, latent) = (codes.z.size()[0], codes.z.size()[1]);
    let kind = codes.z.kind();
    let x = Tensor::arange(batch * 4, (kind, Device::Cpu)).reshape([batch, 1, 2, 2]).sin() * 0.5 + 0.5;
    let weight = (Tensor::arange(latent * 4, (kind, Device::Cpu)).reshape([latent, 4]) * 1.7).cos() * 0.3;
    let decoded = codes.z.matmul(&weight).reshape([batch, 1, 2, 2]);
    let log_likelihood = likelihood.log_likelihood(&x, &decoded);
    ForwardPass::new(x, Posterior::Gaussian(codes.gaussian()), codes.z.shallow_clone(), decoded, log_likelihood)
}

fn likelihoods(kind: Kind) -> Vec<(Likelihood, Option<Tensor>)> {
    let learnt = || {
        let log_scale = Tensor::full([], -0.7, (kind, Device::Cpu)).set_requires_grad(true);
        (Scale::Learnt { log_scale: log_scale.shallow_clone() }, Some(log_scale))
    };
    let ((gaussian, gaussian_scale), (laplace, laplace_scale)) = (learnt(), learnt());
    vec![
        (Likelihood::Bernoulli, None),
        (Likelihood::Gaussian(gaussian), gaussian_scale),
        (Likelihood::Laplace(laplace), laplace_scale),
    ]
}

/// The gradient with respect to each of `inputs`, zero for one that has no part in the loss (the moments, in that of WAE: with z a leaf of its
/// own it does not see them).
fn gradients(loss: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    let reached = inputs.iter().fold(loss.shallow_clone(), |loss, input| loss + (*input * 0.0).sum(None::<Kind>));
    Tensor::run_backward(&[reached], inputs, false, false)
}

/// Largest distance between the gradients of `loss` and central differences, relative to the largest gradient, every element of `inputs`
/// moved on its own.
fn worst_difference(inputs: &[&Tensor], loss: &dyn Fn() -> Tensor) -> f64 {
    const STEP: f64 = 1e-5;
    let gradients = gradients(&loss(), inputs);
    let (mut worst, mut largest) = (0.0_f64, 1.0_f64);
    for (input, gradient) in inputs.iter().zip(gradients) {
        let (flat, gradient) = (input.detach().view(-1), gradient.reshape(-1));
        for index in 0..flat.size()[0] {
            let mut element = flat.narrow(0, index, 1);
            let start = element.copy();
            let mut at = |offset: f64| {
                element.copy_(&(&start + offset));
                number(&loss())
            };
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            at(0.0);
            let gradient = number(&gradient.narrow(0, index, 1));
            worst = worst.max((difference - gradient).abs());
            largest = largest.max(gradient.abs());
        }
    }
    worst / largest
}

/// The whole loss with respect to z, mean, log-variance and the likelihood's scale, in float64, under every likelihood.
#[test]
fn gradients_agree_with_finite_differences() {
    for (name, objective) in all() {
        for (likelihood, scale) in likelihoods(Kind::Double) {
            let codes = Codes::random(5, 3, 61).leaves();
            let mut inputs = vec![&codes.z, &codes.mean, &codes.log_var];
            inputs.extend(&scale);
            let loss = || evaluate_at(objective.as_ref(), &pass(&codes, &likelihood), DATASET_LEN, 5).loss;
            let worst = worst_difference(&inputs, &loss);
            assert!(worst < 1e-7, "{name} under {likelihood:?}: {worst:e}");
        }
    }
}

/// Every parameter of a model with a learnt scale is trained by every objective, the loss is finite, and the step can be captured: two in a row
/// issue the same operators, and none waits for the device.
#[test]
fn models_with_a_learnt_scale_train_and_keep_the_step_contract() {
    for likelihood in ["gaussian", "laplace"] {
        let model: ModelConfig = read(json!({
            "network": "mlp", "latent": 3, "likelihood": likelihood, "sigma": "learnt",
            "encoder_hidden": [8], "encoder_activation": "relu", "decoder_hidden": [8], "decoder_activation": "tanh",
            "initialisation": "pytorch"
        }));
        let adam = OptimizerConfig::new(OptimizerName::Adam, Weight::constant(1e-3).expect("positive"));
        for (name, objective) in all() {
            let noise = generator(62);
            let vae = model.build([1, 4, 4], &noise, Device::Cpu).expect("a model");
            let mut algorithm = SingleObjective::new(vae, objective, &adam).expect("an algorithm");
            let before: Vec<Tensor> = algorithm.vae().parameters().iter().map(|(_, t)| t.detach().copy()).collect();
            let x = noise.uniform(&[6, 1, 4, 4], Kind::Float);
            let context = BatchContext { step: &Tensor::from(3_i64), dataset_len: 50, noise: &noise };
            let scalars = algorithm.train_step(&x, &context).expect("a step");
            let mut recorded =
                || record(|| algorithm.train_step(&x, &context).expect("a step")).expect("a recording").1;
            let operators = recorded();
            assert!(operators.iter().all(|operator| !operator.synchronises()), "{name} waits for the device");
            assert!(recorded() == operators, "{name}: the second step differs");
            assert!(number(scalars.non_finite().expect("a flag")) < 0.5, "{name} under {likelihood}");
            for ((key, now), before) in algorithm.vae().parameters().iter().zip(&before) {
                assert_ne!(now, before, "{name} under {likelihood} leaves {key} as it was");
            }
        }
    }
}

/// Float32 in, float32 out, and float64 stays float64: loss and terms.
#[test]
fn the_kind_of_the_codes_is_the_kind_of_the_terms() {
    let double = Codes::random(5, 3, 63);
    for kind in [Kind::Float, Kind::Double] {
        let cast = |t: &Tensor| t.to_kind(kind);
        let codes = Codes { mean: cast(&double.mean), log_var: cast(&double.log_var), z: cast(&double.z) };
        for (name, objective) in all() {
            let terms = evaluate_at(objective.as_ref(), &pass(&codes, &Likelihood::Bernoulli), DATASET_LEN, 5);
            assert_eq!(terms.loss.kind(), kind, "{name}");
            for (key, value) in terms.scalars.entries() {
                assert!(value.kind() == kind || key.starts_with("schedule/"), "{name}: {key} is {:?}", value.kind());
            }
        }
    }
}

/// Loss and gradients stay finite in float32: all codes in one place and σ → 0; means 1e4 out; two far clusters; hardly any spread; one code
/// that is almost the prior among points.
#[test]
fn extreme_codes_have_finite_losses_and_gradients() {
    let shape = [6, 3];
    let float = (Kind::Float, Device::Cpu);
    let sign = (Tensor::arange(6, float).remainder(2) * 2.0 - 1.0).unsqueeze(1).expand(shape, false).contiguous();
    let noise = generator(64);
    let cases = [
        ("one place, no width", Tensor::zeros(shape, float), -60.0),
        ("one place far out", Tensor::full(shape, 1e4, float), -14.0),
        ("two far clusters", &sign * 1e4, -14.0),
        ("points without spread", noise.normal(&shape, Kind::Float) * 1e-6, -60.0),
        ("wide encodings", noise.normal(&shape, Kind::Float), 10.0),
    ];
    for (case, mean, log_var) in cases {
        let log_var = Tensor::full_like(&mean, log_var);
        let codes = Codes::sampled(mean, log_var, &noise).leaves();
        for (name, objective) in all() {
            let terms = evaluate_at(
                objective.as_ref(),
                &pass(&codes, &Likelihood::Gaussian(Scale::Fixed(1e2))),
                DATASET_LEN,
                0,
            );
            assert!(number(&terms.loss).is_finite(), "{name}, {case}: {:?}", terms.loss);
            for (key, value) in terms.scalars.entries() {
                assert!(number(&value.abs().max()).is_finite(), "{name}, {case}: {key} is {value:?}");
            }
            let inputs = [&codes.z, &codes.mean, &codes.log_var];
            for gradient in gradients(&terms.loss, &inputs) {
                assert!(number(&gradient.abs().max()).is_finite(), "{name}, {case}: {gradient:?}");
            }
        }
    }
}

/// The smallest batches: with one row some statistics have nothing to compare; what is accepted gives a finite loss, at B = 1, 2 and 4, and a
/// batch larger than the data set is refused by what samples without replacement, and by nothing else.
#[test]
fn a_batch_that_is_accepted_gives_a_finite_loss() {
    for (name, objective) in all() {
        let mut accepted = Vec::new();
        for batch in 1..=4 {
            match objective.check(batch, DATASET_LEN, 3) {
                Ok(()) => {
                    let codes = Codes::random(batch, 3, 65);
                    let loss = evaluate_at(objective.as_ref(), &codes.pass(), DATASET_LEN, 5).loss;
                    assert!(number(&loss).is_finite(), "{name}, B = {batch}");
                    accepted.push(batch);
                }
                Err(error) => {
                    let line = error.to_string();
                    assert!(line.starts_with("expected a batch of at least "), "{name}, B = {batch}: {line}");
                    assert!(line.ends_with(&format!("; got {batch}")), "{name}, B = {batch}: {line}");
                }
            }
        }
        let has = |word: &str| name.contains(word);
        let smallest = match (has("divergence"), has("hsic"), has("unbiased"), has("linear-time")) {
            (true, _, false, false) => 1,
            (_, true, true, _) => 4,
            _ => 2,
        };
        assert_eq!(accepted.first(), Some(&smallest), "{name}");
        assert_eq!(objective.check(40, DATASET_LEN, 3).is_ok(), !name.starts_with("hfvae"), "{name}");
    }
}

/// With its own weights at zero, and for InfoVAE with α = 0, λ = 1, each is the ELBO, in value and gradient.
#[test]
fn without_its_regulariser_each_is_the_elbo() {
    let mut objectives: Vec<(String, Box<dyn Objective>)> = Vec::new();
    for divergence in divergences() {
        objectives.push(named::<InfoVae>("info-vae", json!({ "alpha": 0, "lambda": 1, "divergence": divergence })));
    }
    for form in ["i", "ii"] {
        let json = json!({ "form": form, "off_diagonal_weight": 0, "diagonal_weight": 0 });
        objectives.push(named::<DipVae>("dip-vae", json));
    }
    let json =
        json!({ "hsic_weight": 0, "groups": [[0], [1, 2]], "statistic": "joint", "form": "biased", "bandwidth": 1 });
    objectives.push(named::<HsicVae>("hsic-vae", json));
    let codes = Codes::random(6, 3, 66).leaves();
    let inputs = [&codes.mean, &codes.log_var, &codes.z];
    let elbo = codes.evaluate(&Elbo, DATASET_LEN).loss;
    let of_elbo = gradients(&elbo, &inputs);
    for (name, objective) in objectives {
        objective.check(6, DATASET_LEN, 3).expect("the ELBO is no negative weight");
        let loss = codes.evaluate(objective.as_ref(), DATASET_LEN).loss;
        assert_near(&loss, &elbo, 1e-13);
        for (gradient, expected) in gradients(&loss, &inputs).iter().zip(&of_elbo) {
            assert!(number(&(gradient - expected).abs().max()) < 1e-14, "{name}");
        }
    }
}

/// Curves are unweighted: the same at ten times the weights.
#[test]
fn reported_terms_do_not_move_with_the_weights() {
    let codes = Codes::random(6, 3, 67);
    let divergence = &divergences()[0];
    let pairs: Vec<[Box<dyn Objective>; 2]> = vec![
        [1, 10].map(|w| named::<WaeMmd>("", json!({ "divergence_weight": w, "divergence": divergence })).1),
        [1, 10].map(|w| named::<InfoVae>("", json!({ "alpha": 0.5, "lambda": w, "divergence": divergence })).1),
        [1, 10].map(|w| named::<DipVae>("", json!({ "form": "ii", "off_diagonal_weight": w, "diagonal_weight": w })).1),
    ];
    for [one, ten] in pairs {
        let [one, ten] = [one, ten].map(|objective| codes.evaluate(objective.as_ref(), DATASET_LEN));
        assert!(number(&(&ten.loss - &one.loss)) > 0.1, "{one:?} and {ten:?}");
        for ((name, one), (other, ten)) in one.scalars.entries().iter().zip(ten.scalars.entries()) {
            assert_eq!((name, one), (other, ten));
        }
    }
}

/// The prior's samples are drawn from the run's generator in z's shape and kind, at every evaluation anew.
#[test]
fn the_prior_is_drawn_from_the_run_s_generator() {
    let codes = Codes::random(6, 3, 68);
    let objective: WaeMmd = read(json!({ "divergence_weight": 1, "divergence": divergences()[0] }));
    let (noise, same) = (generator(69), generator(69));
    let step = Tensor::from(0_i64);
    let context = BatchContext { step: &step, dataset_len: DATASET_LEN, noise: &noise };
    for _ in 0..2 {
        let reported = objective.evaluate(&codes.pass(), &context).scalars;
        let prior = same.normal(&[6, 3], Kind::Double);
        assert_near(reported.get("mmd").expect("mmd"), &objective.divergence.estimate(&codes.z, &prior), 0.0);
    }
    assert_eq!(codes.z.kind(), DOUBLE.0);
}
