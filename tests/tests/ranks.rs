//! Several processes that train one model compute what one process computes.
//!
//! The ranks are threads here, each with a process group of its own, and meet over TCP as processes do; `experiments/tests/ranks.rs` has
//! the processes.

use elbo_core::{Algorithm, BatchContext, Generator, ModelConfig, OptimizerConfig, Ranks};
use elbo_experiments::BuiltIn;
use elbo_native::testing::single_thread;
use elbo_native::{ProcessGroup, Store};
use elbo_objectives::{Elbo, SingleObjective};
use elbo_runner::{BuildContext, Method};
use elbo_tests::shipped;
use serde_json::{Value, json};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tch::{Device, Kind, Tensor};

const TIMEOUT: Duration = Duration::from_mins(1);
const BATCH: i64 = 12;
const DATASET_LEN: i64 = 600;

/// Runs `work` on ranks 0 to `size` − 1.
fn among<T: Send + 'static>(size: i64, work: impl Fn(Arc<Ranks>) -> T + Clone + Send + 'static) -> Vec<T> {
    let (server, port) = Store::serve("127.0.0.1", 0, "test", TIMEOUT).expect("a store");
    let threads: Vec<_> = (0..size)
        .map(|rank| {
            let work = work.clone();
            thread::spawn(move || {
                single_thread();
                let store = Store::join("127.0.0.1", port, "test", TIMEOUT).expect("a store");
                let group = ProcessGroup::gloo(&store, rank, size, Some("lo"), TIMEOUT).expect("a group");
                work(Arc::new(Ranks::new(group)))
            })
        })
        .collect();
    let results = threads.into_iter().map(|thread| thread.join().expect("a rank")).collect();
    drop(server);
    results
}

fn build(method: &Value, model: &Value, optimizer: &Value, channels: i64) -> Box<dyn Algorithm> {
    build_on(Device::Cpu, method, model, optimizer, channels)
}

fn build_on(device: Device, method: &Value, model: &Value, optimizer: &Value, channels: i64) -> Box<dyn Algorithm> {
    let model: ModelConfig = serde_json::from_value(model.clone()).expect("a model");
    let optimizer: OptimizerConfig = serde_json::from_value(optimizer.clone()).expect("an optimiser");
    let method: BuiltIn = serde_json::from_value(method.clone()).expect("a method");
    let initialisation = Generator::new(Device::Cpu, 1).expect("a generator");
    method
        .build(&BuildContext {
            model: &model,
            optimizer: &optimizer,
            image: [channels, 32, 32],
            dataset_len: DATASET_LEN,
            device,
            initialisation: &initialisation,
        })
        .expect("an algorithm")
}

/// The terms of a step, and the parameters after it.
type Step = (Vec<(String, Vec<f64>)>, Vec<(String, Vec<f64>)>);

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.detach().to_kind(Kind::Double).reshape([-1])).expect("values")
}

fn train(algorithm: &mut dyn Algorithm, steps: i64, channels: i64) -> Vec<Step> {
    let device = algorithm.state()[0].1.device();
    let noise = Generator::new(device, 2).expect("a generator");
    (0..steps)
        .map(|step| {
            let x = noise.uniform(&[BATCH, channels, 32, 32], Kind::Float);
            let step = Tensor::from(step).to_device(device);
            let context = BatchContext { step: &step, dataset_len: DATASET_LEN, noise: &noise };
            let terms = algorithm.train_step(&x, &context).expect("a step");
            let named = |(name, tensor): &(String, Tensor)| (name.clone(), values(tensor));
            (terms.entries().iter().map(named).collect(), algorithm.vae().parameters().iter().map(named).collect())
        })
        .collect()
}

/// The largest difference of two courses, in units of 1 + the largest number of the term or tensor.
fn difference(one: &[Step], other: &[Step]) -> (f64, String) {
    assert_eq!(one.len(), other.len());
    let mut worst = (0.0, String::new());
    for (step, (a, b)) in one.iter().zip(other).enumerate() {
        for ((name, a), (other_name, b)) in a.0.iter().chain(&a.1).zip(b.0.iter().chain(&b.1)) {
            assert_eq!((name, a.len()), (other_name, b.len()));
            let scale = 1.0 + a.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale;
            assert!(apart.is_finite(), "{name}");
            if apart > worst.0 {
                worst = (apart, format!("{name} of step {step}"));
            }
        }
    }
    worst
}

fn mlp(likelihood: &Value) -> Value {
    let mut model = json!({ "network": "mlp", "latent": 10, "encoder_hidden": [16], "encoder_activation": "relu",
                            "decoder_hidden": [16], "decoder_activation": "tanh" });
    model.as_object_mut().expect("an object").extend(likelihood.as_object().expect("an object").clone());
    model
}

/// Every method of one objective that ships.
fn pure_methods() -> Vec<Value> {
    let adversarial = ["factor-vae", "vae-gan", "aae", "wae-gan", "info-vae-gan", "avb"];
    let mut methods: Vec<Value> = Vec::new();
    for (_, config) in shipped() {
        let mut method = config["method"].clone();
        if method["target"] == "mutual-information" {
            // No code carries more than the logarithm of the batch.
            method["max_capacity"] = json!(2.0);
        }
        if !adversarial.iter().any(|&name| method["name"] == name) && !methods.contains(&method) {
            methods.push(method);
        }
    }
    methods
}

/// One step of plain gradient descent at rate 1, which is the gradient: the terms and it agree to float32's rounding of sums taken in
/// another order. Then three small steps, whose later terms are taken at parameters that differ by rounding already.
#[test]
fn two_ranks_give_the_loss_and_gradients_of_one_process() {
    single_thread();
    let methods = pure_methods();
    assert!(methods.len() >= 12, "{} methods", methods.len());
    for method in methods {
        for (rate, steps, tolerance) in [(1.0, 1, 1e-6), (1e-3, 3, 1e-5)] {
            let model = mlp(&json!({ "likelihood": "gaussian", "sigma": "learnt" }));
            let sgd = json!({ "name": "sgd", "learning_rate": rate });
            let expected = train(&mut *build(&method, &model, &sgd, 1), steps, 1);
            let method_of_ranks = method.clone();
            let found = among(2, move |ranks| {
                let mut algorithm = build(&method_of_ranks, &model, &sgd, 1);
                algorithm.train_among(ranks).expect("a method of one objective");
                train(&mut *algorithm, steps, 1)
            });
            for course in &found {
                let (apart, place) = difference(&expected, course);
                assert!(apart < tolerance, "{method} at rate {rate}: {place} is {apart:e} apart");
            }
            assert!(found[0] == found[1], "{method}: the ranks agree bit for bit");
        }
    }
}

/// The same with convolutions, colour, Adam and three ranks.
#[test]
fn three_ranks_train_convolutions_with_adam() {
    single_thread();
    let method =
        json!({ "name": "beta-tcvae", "mi_weight": 1.0, "tc_weight": 6.0, "dw_kl_weight": 1.0, "estimator": "mws" });
    let model = json!({ "network": "burgess", "latent": 4, "likelihood": "bernoulli" });
    let adam = json!({ "name": "adam", "learning_rate": 1e-4, "clip_norm": 1.0 });
    let expected = train(&mut *build(&method, &model, &adam, 3), 3, 3);
    let found = among(3, move |ranks| {
        let mut algorithm = build(&method, &model, &adam, 3);
        algorithm.train_among(ranks).expect("a method of one objective");
        train(&mut *algorithm, 3, 3)
    });
    for course in &found {
        let (apart, place) = difference(&expected, course);
        // Adam divides by the size of the gradient: where that is close to 0, rounding decides the direction of 1e-4.
        assert!(apart < 1e-4, "{place} is {apart:e} apart");
    }
}

/// How many GPUs there are; says why where there is none.
fn gpus() -> i64 {
    single_thread();
    // Before anything asks: the answer is kept.
    let status = elbo_native::initialise();
    let count = tch::Cuda::device_count();
    if count == 0 {
        println!("skipped: {status}");
    }
    count
}

/// A ring of as many ranks as there are GPUs (one, on most machines): sums, rows and rank 0's tensors by NCCL, and the step of one process.
#[test]
fn ranks_with_a_gpu_each_exchange_by_nccl_where_a_gpu_is_present() {
    let gpus = gpus();
    let size = [3, 2, 1].into_iter().find(|&size| size <= gpus).unwrap_or(0);
    if size == 0 {
        return;
    }
    let method =
        json!({ "name": "beta-tcvae", "mi_weight": 1.0, "tc_weight": 6.0, "dw_kl_weight": 1.0, "estimator": "mws" });
    let model = json!({ "network": "burgess", "latent": 4, "likelihood": "bernoulli" });
    let sgd = json!({ "name": "sgd", "learning_rate": 1e-3 });
    let expected = train(&mut *build_on(Device::Cuda(0), &method, &model, &sgd, 1), 3, 1);
    let (server, port) = Store::serve("127.0.0.1", 0, "nccl", TIMEOUT).expect("a store");
    let found = among(size, move |ranks| {
        let store = Store::join("127.0.0.1", port, "nccl", TIMEOUT).expect("a store");
        let device = Device::Cuda(ranks.rank() as usize);
        assert!(ranks.join_gpus(&store, "here", device).expect("a ring"), "each rank has a GPU to itself");
        let own = Tensor::from_slice(&[ranks.rank(), 10]).to_device(device);
        let all = ranks.gather(&[(&own, 0)]).expect("all rows");
        let sum = ranks.sum(&[own.shallow_clone()]).expect("a sum");
        ranks.take_first(&own).expect("rank 0's");
        ranks.settle().expect("all came");
        let rows: Vec<f64> = (0..size).flat_map(|rank| [rank as f64, 10.0]).collect();
        assert_eq!(values(&all[0]), rows);
        assert_eq!(values(&sum[0]), [(0..size).sum::<i64>() as f64, 10.0 * size as f64]);
        assert_eq!(values(&own), [0.0, 10.0]);
        let mut algorithm = build_on(device, &method, &model, &sgd, 1);
        algorithm.train_among(ranks).expect("a method of one objective");
        train(&mut *algorithm, 3, 1)
    });
    drop(server);
    let (apart, place) = difference(&expected, &found[0]);
    // cuDNN takes other algorithms for other batch sizes.
    assert!(apart < 1e-4, "{place} is {apart:e} apart");
    assert!(found.iter().all(|course| *course == found[0]), "the ranks agree bit for bit");
}

/// Both ranks on one GPU, whose tensors gloo takes by way of the host.
#[test]
fn two_ranks_agree_with_one_on_cuda_where_a_gpu_is_present() {
    if gpus() == 0 {
        return;
    }
    let method =
        json!({ "name": "beta-tcvae", "mi_weight": 1.0, "tc_weight": 6.0, "dw_kl_weight": 1.0, "estimator": "mws" });
    let model = json!({ "network": "burgess", "latent": 4, "likelihood": "bernoulli" });
    let sgd = json!({ "name": "sgd", "learning_rate": 1e-3 });
    let expected = train(&mut *build_on(Device::Cuda(0), &method, &model, &sgd, 1), 1, 1);
    let found = among(2, move |ranks| {
        let mut algorithm = build_on(Device::Cuda(0), &method, &model, &sgd, 1);
        algorithm.train_among(ranks).expect("a method of one objective");
        train(&mut *algorithm, 1, 1)
    });
    let (apart, place) = difference(&expected, &found[0]);
    // cuDNN takes other algorithms for other batch sizes.
    assert!(apart < 1e-4, "{place} is {apart:e} apart");
    assert!(found[0] == found[1], "the ranks agree bit for bit");
}

/// What makes the first test worth its name: the usual data-parallel training, which averages gradients of R losses of B/R examples, is
/// another thing for a loss that sets examples against each other.
#[test]
fn the_mean_of_two_half_batches_is_another_loss() {
    single_thread();
    let sgd = json!({ "name": "sgd", "learning_rate": 1e-3 });
    let method =
        json!({ "name": "beta-tcvae", "mi_weight": 1.0, "tc_weight": 6.0, "dw_kl_weight": 1.0, "estimator": "mws" });
    let whole = build(&method, &mlp(&json!({ "likelihood": "bernoulli" })), &sgd, 1);
    let noise = || Generator::new(Device::Cpu, 3).expect("a generator");
    let x = noise().uniform(&[BATCH, 1, 32, 32], Kind::Float);
    let step = Tensor::from(0_i64);
    let loss = |x: &Tensor| {
        let context = BatchContext { step: &step, dataset_len: DATASET_LEN, noise: &noise() };
        values(whole.evaluate(x, &context).expect("terms").get("loss").expect("a loss"))[0]
    };
    let halves = f64::midpoint(loss(&x.narrow(0, 0, BATCH / 2)), loss(&x.narrow(0, BATCH / 2, BATCH / 2)));
    let together = loss(&x);
    assert!((halves - together).abs() > 0.1, "{halves} and {together}");
}

#[test]
fn methods_and_models_that_cannot_be_shared_say_so() {
    single_thread();
    let adam = json!({ "name": "adam", "learning_rate": 1e-4 });
    let method = |name: &str| {
        shipped()
            .into_iter()
            .map(|(_, config)| config["method"].clone())
            .find(|method| method["name"] == name)
            .expect(name)
    };
    let refused = among(1, move |ranks| {
        let bernoulli = |posterior: &Value| mlp(&json!({ "likelihood": "bernoulli", "posterior": posterior }));
        let factor_vae =
            build(&method("factor-vae"), &bernoulli(&Value::Null), &adam, 1).train_among(Arc::clone(&ranks));
        let model: ModelConfig =
            serde_json::from_value(bernoulli(&json!({ "family": "implicit", "noise": 4 }))).expect("a model");
        let initialisation = Generator::new(Device::Cpu, 1).expect("a generator");
        let vae = model.build([1, 32, 32], &initialisation, Device::Cpu).expect("a VAE");
        let optimizer = serde_json::from_value(adam.clone()).expect("an optimiser");
        let implicit = SingleObjective::new(vae, Elbo {}, &optimizer).expect("an algorithm").train_among(ranks);
        [factor_vae, implicit].map(|refused| refused.expect_err("it cannot").to_string())
    });
    assert!(refused[0][0].starts_with("method.name: expected a method of one objective"), "{refused:?}");
    assert!(refused[0][1].starts_with("model.posterior: expected gaussian"), "{refused:?}");
}

/// A fingerprint that could not tell would be no check.
#[test]
fn ranks_notice_that_their_parameters_differ() {
    single_thread();
    for (change, expected) in [(0.0, vec![]), (1e-7, vec![2])] {
        let differing = among(3, move |ranks| {
            let weight = Tensor::linspace(0.1, 1.0, 50, (Kind::Float, Device::Cpu));
            if ranks.rank() == 2 {
                let _ = weight.narrow(0, 7, 1).g_add_scalar_(change);
            }
            ranks
                .differing(&[Tensor::ones([3], (Kind::Float, Device::Cpu)), weight.shallow_clone()])
                .expect("an answer")
        });
        assert_eq!(differing, [expected.clone(), expected.clone(), expected], "{change}");
    }
}
