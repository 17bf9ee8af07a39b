//! The recorder: what it sees, what it calls a synchronisation, and that two steps of training come out equal.

use elbo_native::recorder::{Operator, record};
use elbo_native::{AdamState, AdamStep, Generator, clip_by_global_norm, fused_adam, gradients, testing::single_thread};
use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn names(operators: &[Operator]) -> Vec<&str> {
    operators.iter().map(|operator| operator.name.as_str()).collect()
}

fn synchronising(operators: &[Operator]) -> Vec<&str> {
    operators.iter().filter(|operator| operator.synchronises()).map(|operator| operator.name.as_str()).collect()
}

fn recorded<T>(f: impl FnOnce() -> T) -> Vec<Operator> {
    record(f).unwrap().1
}

/// A two-layer regression with noise of its own, a clip and fused Adam: all that a training step is made of.
struct Training {
    parameters: Vec<(String, Tensor)>,
    exp_avg: Vec<Tensor>,
    exp_avg_sq: Vec<Tensor>,
    steps: Vec<Tensor>,
    learning_rate: Tensor,
    noise: Generator,
    x: Tensor,
}

impl Training {
    fn new() -> Self {
        single_thread();
        let noise = Generator::new(Device::Cpu, 1).unwrap();
        let parameters: Vec<_> = [("a.weight", vec![8, 5]), ("a.bias", vec![8]), ("b.weight", vec![5, 8])]
            .into_iter()
            .map(|(name, size)| (name.to_owned(), (noise.normal(&size, Kind::Float) * 0.3).set_requires_grad(true)))
            .collect();
        let zeros = || parameters.iter().map(|(_, p)| p.zeros_like().set_requires_grad(false)).collect();
        let (exp_avg, exp_avg_sq) = (zeros(), zeros());
        let steps = parameters.iter().map(|_| Tensor::zeros([], FLOAT)).collect();
        let learning_rate = Tensor::full([], 1e-2, FLOAT);
        let x = noise.normal(&[16, 5], Kind::Float);
        Self { parameters, exp_avg, exp_avg_sq, steps, learning_rate, noise, x }
    }

    fn step(&self, skip: Option<&Tensor>) -> Tensor {
        let p = |index: usize| &self.parameters[index].1;
        let noisy = &self.x + self.noise.normal(&self.x.size(), Kind::Float) * 0.1;
        let output = noisy.linear(p(0), Some(p(1))).relu().linear(p(2), None::<&Tensor>);
        let loss = (output - &self.x).square().mean(None::<Kind>);
        let gradients = gradients(&loss, &self.parameters).unwrap();
        let _norm = clip_by_global_norm(&gradients, 1.0).unwrap();
        let parameters: Vec<_> = self.parameters.iter().map(|(_, p)| p.shallow_clone()).collect();
        let state = AdamState {
            parameters: &parameters,
            exp_avg: &self.exp_avg,
            exp_avg_sq: &self.exp_avg_sq,
            steps: &self.steps,
        };
        let step = AdamStep {
            learning_rate: &self.learning_rate,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
            skip,
        };
        fused_adam(&state, &gradients, &step).unwrap();
        loss.detach()
    }
}

/// The whole step: forward, backward, clip, update. The learning rate moves on the device and is no difference.
#[test]
fn two_steps_of_training_record_the_same_and_never_synchronise() {
    let mut training = Training::new();
    let flag = Tensor::zeros([], FLOAT);
    for skip in [None, Some(&flag)] {
        let first = recorded(|| training.step(skip));
        let _ = training.learning_rate.fill_(0.5e-2);
        let second = recorded(|| training.step(skip));
        assert_eq!(first, second);
        assert_eq!(synchronising(&first), Vec::<&str>::new());
        let names = names(&first);
        for expected in ["aten::randn", "aten::linear", "aten::mm", "aten::threshold_backward", "aten::_foreach_norm"] {
            assert!(names.contains(&expected), "{expected} is not in {names:?}");
        }
        assert_eq!(names.iter().filter(|&&name| name == "elbo::fused_adam").count(), 1);
    }
    assert!(training.step(None).double_value(&[]).is_finite());
}

#[test]
fn recording_does_not_change_what_is_computed() {
    let (watched, alone) = (Training::new(), Training::new());
    for _ in 0..3 {
        let (loss, _) = record(|| watched.step(None)).unwrap();
        assert_eq!(loss, alone.step(None));
    }
}

#[test]
fn the_update_is_one_operator_with_its_tensors_and_settings() {
    let training = Training::new();
    let operators = recorded(|| training.step(None));
    let update = operators.iter().find(|operator| operator.name == "elbo::fused_adam").unwrap();
    let parameters: [&[i64]; 3] = [&[8, 5], &[8], &[5, 8]];
    assert_eq!(update.shapes[..3], parameters);
    assert_eq!(update.shapes[3..6], parameters);
    assert_eq!(
        update.shapes[6..],
        [Vec::<i64>::new(), vec![], vec![], vec![]],
        "three step counts and the learning rate"
    );
    assert_eq!(update.scalars, ["0.90000000000000002", "0.999", "1e-08", "0", "false"]);
    assert!(update.devices.iter().all(|&device| device == Device::Cpu));
}

/// A schedule computed on the host is the mistake this is for.
#[test]
fn a_changed_host_scalar_is_a_difference() {
    single_thread();
    let x = Tensor::ones([3], FLOAT);
    let weighted = |weight: f64| recorded(|| &x * weight);
    assert_eq!(weighted(0.1), weighted(0.1));
    assert_ne!(weighted(0.1), weighted(0.1 + 1e-17 * 4.0));
    assert_eq!(weighted(0.1)[0].scalars, ["0.10000000000000001"]);
    let clamped = |most: f64| recorded(|| x.clamp_max(most));
    assert_ne!(clamped(1.0), clamped(2.0));
    let rolled = |shift: i64| recorded(|| x.roll([shift], [0]));
    assert_ne!(rolled(1), rolled(2));
    assert_eq!(rolled(2)[0].scalars, ["[2]", "[0]"]);
}

#[test]
fn a_changed_shape_is_a_difference() {
    single_thread();
    let of = |n: i64| recorded(|| Tensor::ones([n], FLOAT).square());
    assert_eq!(of(3), of(3));
    assert_ne!(of(3), of(4));
}

#[test]
fn reading_a_value_is_seen() {
    single_thread();
    let x = Tensor::ones([3], FLOAT);
    let operators = recorded(|| x.double_value(&[1]));
    assert!(synchronising(&operators).contains(&"aten::_local_scalar_dense"), "{:?}", names(&operators));
    let operators = recorded(|| x.int64_value(&[0]));
    assert!(!synchronising(&operators).is_empty(), "{:?}", names(&operators));
}

/// Each of these has a shape, or a branch, that only the values know.
#[test]
fn shapes_that_depend_on_values_are_seen() {
    single_thread();
    let x = Tensor::from_slice(&[0.0_f32, 1.0, 1.0, 2.0]);
    let mask = x.gt(0.5);
    let counts = Tensor::from_slice(&[1_i64, 0, 2, 1]);
    let cases: [(&str, Vec<Operator>); 9] = [
        ("nonzero", recorded(|| x.nonzero())),
        ("masked_select", recorded(|| x.masked_select(&mask))),
        ("a boolean index", recorded(|| x.index(&[Some(&mask)]))),
        ("unique", recorded(|| x.unique_dim(0, true, false, false))),
        ("unique_consecutive", recorded(|| x.unique_consecutive(false, false, 0))),
        ("equal", recorded(|| x.equal(&mask))),
        ("is_nonzero", recorded(|| x.max().is_nonzero())),
        ("bincount", recorded(|| counts.bincount::<Tensor>(None, 0))),
        ("repeat_interleave", recorded(|| x.repeat_interleave_self_tensor(&counts, 0, None))),
    ];
    for (what, operators) in &cases {
        assert!(!synchronising(operators).is_empty(), "{what}: {:?}", names(operators));
    }
}

#[test]
fn plain_arithmetic_and_indexing_by_integers_do_not_synchronise() {
    single_thread();
    let x = Tensor::ones([4, 3], FLOAT);
    let rows = Tensor::from_slice(&[2_i64, 0]);
    let operators = recorded(|| {
        let picked = x.index_select(0, &rows) + x.index(&[Some(&rows)]);
        let weight = Tensor::full([], 3.0, FLOAT);
        let repeated = picked.repeat_interleave_self_int(2, 0, None);
        let best = (repeated * weight).softmax(-1, None::<Kind>).logsumexp([-1], false).max();
        best.where_self(&best.isfinite(), &best.zeros_like())
    });
    assert!(operators.len() > 10);
    assert_eq!(synchronising(&operators), Vec::<&str>::new());
}

#[test]
fn a_copy_between_devices_synchronises_and_one_within_does_not() {
    let copy = |devices: [Device; 2]| Operator {
        name: "aten::copy_".to_owned(),
        shapes: vec![vec![2]; 2],
        devices: devices.to_vec(),
        scalars: vec!["false".to_owned()],
    };
    assert!(copy([Device::Cuda(0), Device::Cpu]).synchronises());
    assert!(!copy([Device::Cuda(0); 2]).synchronises());
    assert!(!Operator { name: "aten::mul".to_owned(), ..copy([Device::Cuda(0), Device::Cpu]) }.synchronises());
}

#[test]
fn operators_inside_others_come_after_them() {
    single_thread();
    let (x, w) = (Tensor::ones([2, 3], FLOAT), Tensor::ones([4, 3], FLOAT));
    let operators = recorded(|| x.linear(&w, Some(&Tensor::ones([4], FLOAT))));
    let position = |name: &str| operators.iter().position(|operator| operator.name == name).unwrap();
    assert!(position("aten::linear") < position("aten::addmm"));
    let linear = &operators[position("aten::linear")];
    assert_eq!(linear.shapes, [vec![2, 3], vec![4, 3], vec![4]]);
}

#[test]
fn nothing_is_seen_before_after_or_on_another_thread() {
    single_thread();
    let x = Tensor::ones([3], FLOAT);
    let _ = x.square();
    let other = x.copy();
    let operators = recorded(|| {
        let _elsewhere = std::thread::spawn(move || other.exp()).join().unwrap();
        x.sqrt()
    });
    let _ = x.abs();
    assert_eq!(names(&operators), ["aten::sqrt"]);
    assert_eq!(recorded(|| ()), []);
}

#[test]
fn two_threads_record_at_once_without_mixing() {
    single_thread();
    let on_thread = |square: bool| {
        std::thread::spawn(move || {
            single_thread();
            let x = Tensor::ones([3], FLOAT);
            (0..200).all(|_| {
                let operators = recorded(|| if square { x.square() } else { x.exp() });
                operators[0].name == if square { "aten::square" } else { "aten::exp" }
                    && operators.iter().all(|operator| (operator.name == "aten::exp") != square)
            })
        })
    };
    let threads = [on_thread(true), on_thread(false)];
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}

#[test]
fn a_recording_inside_a_recording_is_refused_and_the_outer_goes_on() {
    single_thread();
    let x = Tensor::ones([3], FLOAT);
    let operators = recorded(|| {
        let error = record(|| x.exp()).unwrap_err().to_string();
        assert_eq!(error, "this thread is recording operators already");
        x.sqrt()
    });
    assert_eq!(names(&operators), ["aten::sqrt"]);
}

#[test]
fn a_panic_ends_the_recording() {
    single_thread();
    let x = Tensor::ones([3], FLOAT);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        recorded(|| {
            let _ = x.exp();
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(names(&recorded(|| x.sqrt())), ["aten::sqrt"]);
}

/// An operator that fails is recorded, and so are those after it.
#[test]
fn an_error_inside_leaves_the_list_whole() {
    single_thread();
    let x = Tensor::ones([3], FLOAT);
    let operators = recorded(|| {
        assert!(x.f_mm(&x).is_err());
        x.sqrt()
    });
    assert_eq!(names(&operators), ["aten::mm", "aten::sqrt"]);
}
