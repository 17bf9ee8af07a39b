//! Fused Adam and `AdamW`: against the paper's recursion in float64, against closed forms, and what a skipped step leaves alone.

use elbo_native::{AdamState, AdamStep, Generator, fused_adam, testing::single_thread};
use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn scalar(value: f64) -> Tensor {
    Tensor::full([], value, FLOAT)
}

/// Parameters of several shapes with all that Adam keeps for them.
struct Optimiser {
    parameters: Vec<Tensor>,
    exp_avg: Vec<Tensor>,
    exp_avg_sq: Vec<Tensor>,
    steps: Vec<Tensor>,
}

impl Optimiser {
    fn new(parameters: Vec<Tensor>) -> Self {
        let zeros = || parameters.iter().map(Tensor::zeros_like).collect();
        let (exp_avg, exp_avg_sq) = (zeros(), zeros());
        let steps = parameters.iter().map(|_| scalar(0.0)).collect();
        Self { parameters, exp_avg, exp_avg_sq, steps }
    }

    fn random(kind: Kind, seed: u64) -> Self {
        let noise = Generator::new(Device::Cpu, seed).unwrap();
        Self::new([vec![4, 3], vec![5], vec![], vec![2, 3, 2, 2]].iter().map(|size| noise.normal(size, kind)).collect())
    }

    fn state(&self) -> AdamState<'_> {
        AdamState {
            parameters: &self.parameters,
            exp_avg: &self.exp_avg,
            exp_avg_sq: &self.exp_avg_sq,
            steps: &self.steps,
        }
    }

    fn step(&self, gradients: &[Tensor], settings: &Settings, skip: Option<&Tensor>) {
        let learning_rate = scalar(settings.learning_rate);
        fused_adam(&self.state(), gradients, &settings.step(&learning_rate, skip)).unwrap();
    }

    /// Everything that a step may change, copied.
    fn everything(&self) -> Vec<Tensor> {
        [&self.parameters, &self.exp_avg, &self.exp_avg_sq, &self.steps]
            .into_iter()
            .flatten()
            .map(Tensor::copy)
            .collect()
    }

    fn gradients(&self, seed: u64) -> Vec<Tensor> {
        let noise = Generator::new(Device::Cpu, seed).unwrap();
        self.parameters.iter().map(|p| noise.normal(&p.size(), p.kind())).collect()
    }
}

#[derive(Clone, Copy)]
struct Settings {
    learning_rate: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    decoupled: bool,
}

const PLAIN: Settings =
    Settings { learning_rate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false };

impl Settings {
    fn step<'a>(&self, learning_rate: &'a Tensor, skip: Option<&'a Tensor>) -> AdamStep<'a> {
        let Self { beta1, beta2, epsilon, weight_decay, decoupled, .. } = *self;
        AdamStep { learning_rate, beta1, beta2, epsilon, weight_decay, decoupled, skip }
    }

    /// The learning rate as the device holds it.
    fn rounded(&self) -> f64 {
        f64::from(self.learning_rate as f32)
    }
}

/// Kingma & Ba's Algorithm 1, and Loshchilov & Hutter's Algorithm 2, for one number, in float64.
#[derive(Clone, Copy)]
struct Reference {
    theta: f64,
    m: f64,
    v: f64,
    t: i32,
}

impl Reference {
    fn step(&mut self, gradient: f64, settings: &Settings) {
        let Settings { beta1, beta2, epsilon, weight_decay, decoupled, .. } = *settings;
        let rate = settings.rounded();
        self.t += 1;
        let mut g = gradient;
        if decoupled {
            self.theta -= rate * weight_decay * self.theta;
        } else {
            g += weight_decay * self.theta;
        }
        self.m = beta1 * self.m + (1.0 - beta1) * g;
        self.v = beta2 * self.v + (1.0 - beta2) * g * g;
        let m_hat = self.m / (1.0 - beta1.powi(self.t));
        let v_hat = self.v / (1.0 - beta2.powi(self.t));
        self.theta -= rate * m_hat / (v_hat.sqrt() + epsilon);
    }
}

fn flat(tensors: &[Tensor]) -> Vec<f64> {
    tensors.iter().flat_map(|t| Vec::<f64>::try_from(t.to_kind(Kind::Double).flatten(0, -1)).unwrap()).collect()
}

fn largest_difference(found: &[f64], expected: impl Iterator<Item = f64>) -> f64 {
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn assert_follows_the_papers(kind: Kind, settings: &Settings, tolerance: f64) {
    let optimiser = Optimiser::random(kind, 1);
    let mut reference: Vec<Reference> =
        flat(&optimiser.parameters).into_iter().map(|theta| Reference { theta, m: 0.0, v: 0.0, t: 0 }).collect();
    for seed in 0..20 {
        let gradients = optimiser.gradients(100 + seed);
        optimiser.step(&gradients, settings, None);
        reference.iter_mut().zip(flat(&gradients)).for_each(|(r, gradient)| r.step(gradient, settings));
    }
    let differences = [
        largest_difference(&flat(&optimiser.parameters), reference.iter().map(|r| r.theta)),
        largest_difference(&flat(&optimiser.exp_avg), reference.iter().map(|r| r.m)),
        largest_difference(&flat(&optimiser.exp_avg_sq), reference.iter().map(|r| r.v)),
    ];
    assert!(differences.iter().all(|&d| d < tolerance), "{differences:?}");
    assert_eq!(flat(&optimiser.steps), [20.0; 4]);
}

#[test]
fn twenty_steps_follow_the_papers() {
    single_thread();
    let quick = Settings { beta1: 0.5, beta2: 0.9, epsilon: 1e-3, learning_rate: 0.1, ..PLAIN };
    for base in [PLAIN, quick] {
        for weight_decay in [0.0, 0.05] {
            for decoupled in [false, true] {
                let settings = Settings { weight_decay, decoupled, ..base };
                assert_follows_the_papers(Kind::Double, &settings, 1e-12);
                assert_follows_the_papers(Kind::Float, &settings, 3e-6);
            }
        }
    }
}

/// For a constant gradient both corrected moments are exact, so every step is η against its sign, whatever its size (ε = 0).
#[test]
fn a_constant_gradient_moves_by_the_learning_rate_each_step() {
    single_thread();
    let double = (Kind::Double, Device::Cpu);
    let optimiser = Optimiser::new(vec![Tensor::zeros([3], double)]);
    let gradients = [Tensor::from_slice(&[1e-3, -2.0, 500.0])];
    let settings = Settings { epsilon: 0.0, ..PLAIN };
    for step in 1..=10 {
        optimiser.step(&gradients, &settings, None);
        let moved = f64::from(step) * settings.rounded();
        let expected = [-moved, moved, -moved];
        assert!(largest_difference(&flat(&optimiser.parameters), expected.into_iter()) < 1e-13);
    }
}

/// Without a gradient `AdamW` shrinks a weight by (1 − ηλ) a step, and Adam, to which decay is a gradient, moves it by η at first.
#[test]
fn weight_decay_alone_is_a_factor_or_a_sign() {
    single_thread();
    let start = Tensor::from_slice(&[2.0, -3.0]);
    let gradients = [start.zeros_like()];
    let settings = Settings { weight_decay: 0.1, epsilon: 0.0, ..PLAIN };

    let decoupled = Optimiser::new(vec![start.copy()]);
    // ε = 0 would divide 0 by 0.
    let with_epsilon = Settings { decoupled: true, epsilon: 1e-8, ..settings };
    (0..5).for_each(|_| decoupled.step(&gradients, &with_epsilon, None));
    let factor = (1.0 - settings.rounded() * 0.1).powi(5);
    assert!(largest_difference(&flat(&decoupled.parameters), [2.0 * factor, -3.0 * factor].into_iter()) < 1e-14);

    let coupled = Optimiser::new(vec![start.copy()]);
    coupled.step(&gradients, &settings, None);
    let rate = settings.rounded();
    assert!(largest_difference(&flat(&coupled.parameters), [2.0 - rate, -3.0 + rate].into_iter()) < 1e-14);
}

/// Not a bit of parameters, moments or step counts, though the gradient is not even finite.
#[test]
fn a_skipped_step_changes_nothing() {
    single_thread();
    for settings in
        [PLAIN, Settings { weight_decay: 0.1, ..PLAIN }, Settings { weight_decay: 0.1, decoupled: true, ..PLAIN }]
    {
        for kind in [Kind::Float, Kind::Double] {
            let optimiser = Optimiser::random(kind, 1);
            optimiser.step(&optimiser.gradients(2), &settings, None);
            let before = optimiser.everything();
            for value in [1.0, f64::NAN, f64::INFINITY] {
                let gradients: Vec<_> = optimiser.parameters.iter().map(|p| p.full_like(value)).collect();
                optimiser.step(&gradients, &settings, Some(&scalar(1.0)));
                assert_eq!(optimiser.everything(), before);
            }
        }
    }
}

#[test]
fn a_flag_of_zero_is_no_flag() {
    single_thread();
    let (flagged, plain) = (Optimiser::random(Kind::Float, 1), Optimiser::random(Kind::Float, 1));
    for seed in 0..5 {
        flagged.step(&flagged.gradients(seed), &PLAIN, Some(&scalar(0.0)));
        plain.step(&plain.gradients(seed), &PLAIN, None);
        assert_eq!(flagged.everything(), plain.everything());
    }
}

/// A run in which some steps are skipped is, bit for bit, the run of the others.
#[test]
fn skipped_steps_might_as_well_not_have_been() {
    single_thread();
    let settings = Settings { weight_decay: 0.1, ..PLAIN };
    let (mixed, plain) = (Optimiser::random(Kind::Float, 1), Optimiser::random(Kind::Float, 1));
    // One flag tensor, refilled in place as in a captured step.
    let mut flag = scalar(0.0);
    for (seed, skipped) in [false, true, false, false, true, true, false].into_iter().enumerate() {
        let gradients = mixed.gradients(seed as u64);
        let _ = flag.fill_(f64::from(u8::from(skipped)));
        mixed.step(&gradients, &settings, Some(&flag));
        if !skipped {
            plain.step(&gradients, &settings, None);
        }
        assert_eq!(mixed.everything(), plain.everything());
    }
    assert_eq!(flat(&mixed.steps), [4.0; 4]);
}

/// The learning rate is read from its tensor at each step.
#[test]
fn a_learning_rate_changed_in_place_holds_from_the_next_step() {
    single_thread();
    let double = (Kind::Double, Device::Cpu);
    let optimiser = Optimiser::new(vec![Tensor::zeros([1], double)]);
    let gradients = [Tensor::ones([1], double)];
    let settings = Settings { epsilon: 0.0, ..PLAIN };
    let mut learning_rate = scalar(0.5);
    let step = |rate: &Tensor| fused_adam(&optimiser.state(), &gradients, &settings.step(rate, None)).unwrap();
    step(&learning_rate);
    let _ = learning_rate.fill_(0.25);
    step(&learning_rate);
    assert!((optimiser.parameters[0].double_value(&[0]) + 0.75).abs() < 1e-14);
}

/// The kernels walk memory and know no strides; a transposed or an expanded gradient must come to the same as a plain one.
#[test]
fn the_layout_of_a_gradient_does_not_matter() {
    single_thread();
    let make = || Optimiser::new(vec![Tensor::zeros([3, 2], FLOAT), Tensor::zeros([4], FLOAT)]);
    let transposed = Tensor::from_slice(&[1.0_f32, -2.0, 3.0, -4.0, 5.0, -6.0]).view([2, 3]).transpose(0, 1);
    let expanded = scalar(2.0).expand([4], false);
    let (a, b) = (make(), make());
    let settings = Settings { epsilon: 1.0, ..PLAIN };
    a.step(&[transposed.shallow_clone(), expanded.shallow_clone()], &settings, None);
    b.step(&[transposed.contiguous(), expanded.contiguous()], &settings, None);
    assert_eq!(a.everything(), b.everything());
    assert!(transposed.stride() == [1, 3] && flat(&[expanded]) == [2.0; 4]);
}

/// A channels-last parameter keeps its layout; its moments, made from it, have the same.
#[test]
fn a_parameter_may_have_a_dense_layout_of_its_own() {
    single_thread();
    let noise = Generator::new(Device::Cpu, 4).unwrap();
    let plain = noise.normal(&[2, 3, 4, 4], Kind::Float);
    let channels_last = plain.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
    let gradient = [noise.normal(&[2, 3, 4, 4], Kind::Float)];
    let (a, b) = (Optimiser::new(vec![plain]), Optimiser::new(vec![channels_last]));
    assert_ne!(a.parameters[0].stride(), b.parameters[0].stride());
    a.step(&gradient, &PLAIN, None);
    b.step(&gradient, &PLAIN, None);
    // Two layouts are cut into vectors in different places, and the last bit of a fused multiply-add may differ.
    assert!(largest_difference(&flat(&a.parameters), flat(&b.parameters).into_iter()) < 1e-7);
}

#[test]
fn parameters_that_require_gradients_stay_leaves() {
    single_thread();
    let parameter = Tensor::zeros([2], FLOAT).set_requires_grad(true);
    let optimiser = Optimiser::new(vec![parameter]);
    optimiser.step(&[Tensor::ones([2], FLOAT)], &PLAIN, None);
    assert!(optimiser.parameters[0].is_leaf() && optimiser.parameters[0].requires_grad());
    assert!(!optimiser.exp_avg[0].requires_grad());
}

#[test]
fn no_parameters_are_no_work() {
    single_thread();
    Optimiser::new(Vec::new()).step(&[], &PLAIN, None);
}

#[test]
fn what_does_not_belong_together_is_refused_by_name() {
    single_thread();
    let parameter = || Tensor::zeros([2, 3], FLOAT);
    let optimiser = Optimiser::new(vec![parameter(), parameter()]);
    let good = [parameter(), parameter()];
    let rate = scalar(0.1);
    let error = |state: &AdamState<'_>, gradients: &[Tensor], rate: &Tensor, skip: Option<&Tensor>| {
        let before = optimiser.everything();
        let message = fused_adam(state, gradients, &PLAIN.step(rate, skip)).unwrap_err().to_string();
        assert_eq!(optimiser.everything(), before);
        assert!(!message.contains('\n'), "{message}");
        message
    };
    let state = optimiser.state();
    assert_eq!(error(&state, &good[..1], &rate, None), "2 parameters, but 1 gradients");
    let other_kind = [parameter(), Tensor::zeros([2, 3], (Kind::Double, Device::Cpu))];
    assert!(error(&state, &other_kind, &rate, None).starts_with("gradient 1 is CPUDoubleType"));
    let other_shape = [parameter(), Tensor::zeros([3, 2], FLOAT)];
    assert!(error(&state, &other_shape, &rate, None).starts_with("gradient 1 is CPUFloatType [3, 2]"));
    let vector = Tensor::zeros([2], FLOAT);
    assert!(error(&state, &good, &vector, None).starts_with("the learning rate must be a float32 scalar on cpu"));
    let double = Tensor::zeros([], (Kind::Double, Device::Cpu));
    assert!(error(&state, &good, &rate, Some(&double)).starts_with("the skip flag must be a float32 scalar"));
    let integers = [scalar(0.0), Tensor::zeros([], (Kind::Int64, Device::Cpu))];
    assert!(error(&AdamState { steps: &integers, ..state }, &good, &rate, None).starts_with("a step count must be"));
    let transposed = [parameter(), Tensor::zeros([3, 2], FLOAT).transpose(0, 1)];
    let message = error(&AdamState { exp_avg: &transposed, ..state }, &good, &rate, None);
    assert!(message.starts_with("the moments of parameter 1 are laid out"), "{message}");
}
