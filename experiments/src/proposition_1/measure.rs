//! T against T*.

use super::encoders::{KnownEncoder, log_ratio_to_prior};
use elbo_adversarial::Critic;
use elbo_adversarial::ratio::logistic_cost;
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{Generator, choices};
use serde::Serialize;
use tch::{Kind, Tensor, no_grad};

choices! {
    /// What q(z|x) is told apart from.
    pub enum Contrast {
        /// p(z) = N(0, I).
        Prior = "prior",
        /// r(z|x), the Gaussian of q's mean and variances: adaptive contrast.
        Adaptive = "adaptive",
    }
}

/// An encoder and what it is contrasted with.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// q(z|x).
    pub encoder: &'a dyn KnownEncoder,
    /// The other side.
    pub contrast: Contrast,
}

/// Pairs for the critic: one x, and z of either side as the critic sees it (in adaptive contrast whitened).
#[derive(Debug)]
pub struct Draw {
    /// `[B, observed]`.
    pub x: Tensor,
    /// From q(z|x), `[B, D]`.
    pub of_encoder: Tensor,
    /// From N(0, I), `[B, D]`: the prior, or r whitened.
    pub of_contrast: Tensor,
}

impl Contrast {
    /// What a critic's name ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Prior => "",
            Self::Adaptive => "+adaptive",
        }
    }
}

impl Problem<'_> {
    /// `count` fresh pairs of either side.
    pub fn draw(&self, count: i64, noise: &Generator) -> Draw {
        let x = self.encoder.observe(count, noise);
        let z = self.encoder.sample(&x, noise);
        let of_contrast = noise.normal(&z.size(), Kind::Float);
        Draw { of_encoder: self.seen(&x, &z), of_contrast, x }
    }

    /// z as the critic sees it.
    fn seen(&self, x: &Tensor, z: &Tensor) -> Tensor {
        match self.contrast {
            Contrast::Prior => z.shallow_clone(),
            Contrast::Adaptive => {
                let moments = self.encoder.moments(x);
                (z - &moments.mean) * (&moments.log_var * -0.5).exp()
            }
        }
    }

    /// What the critic's value lacks of log q(z|x) − log p(z): log r(z|x) − log p(z) in adaptive contrast, else 0; `[B]`.
    fn known_part(&self, x: &Tensor, z: &Tensor) -> Tensor {
        match self.contrast {
            Contrast::Prior => z.select(1, 0).zeros_like(),
            Contrast::Adaptive => log_ratio_to_prior(&self.encoder.moments(x), z),
        }
    }

    /// `count` fresh x with a z of q(z|x), of the prior and of the contrast each, and T* at all of them.
    pub fn samples(&self, count: i64, noise: &Generator) -> Samples {
        let encoder = self.encoder;
        let parts = (0..count).step_by(CHUNK as usize).map(|start| {
            let x = encoder.observe(CHUNK.min(count - start), noise);
            let under_q = encoder.sample(&x, noise);
            let under_p = noise.normal(&under_q.size(), Kind::Float);
            let under_contrast = match self.contrast {
                Contrast::Prior => under_p.shallow_clone(),
                Contrast::Adaptive => encoder.moments(&x).sample(noise, 1),
            };
            let sides = [under_q, under_p, under_contrast].map(|z| {
                let truth = encoder.log_density(&x, &z) - standard_normal_log_density(&z);
                Side { seen: self.seen(&x, &z), known: self.known_part(&x, &z), truth }
            });
            (x, sides)
        });
        Samples { contrast: self.contrast, parts: parts.collect() }
    }

    /// Holds `critic` against T*. `batch` is the B of the saturation.
    pub fn measure(&self, critic: &dyn Critic, samples: &Samples, batch: i64) -> Measurement {
        Measurement::of(&samples.values(critic), self, batch)
    }
}

/// Pairs that are evaluated at a time: a network's features of them stay in the cache.
const CHUNK: i64 = 4096;

/// Fresh samples with the truth.
#[derive(Debug)]
pub struct Samples {
    contrast: Contrast,
    parts: Vec<(Tensor, [Side; 3])>,
}

/// z of one side.
#[derive(Debug)]
struct Side {
    seen: Tensor,
    known: Tensor,
    truth: Tensor,
}

/// T, the known part and T* of samples of one distribution, float64 `[n]`.
#[derive(Debug)]
pub struct Values {
    /// The critic's value plus the known part, nats: to be held against [`Values::truth`].
    pub estimate: Tensor,
    /// log q(z|x) − log p(z), nats.
    pub truth: Tensor,
    /// log r(z|x) − log p(z) in adaptive contrast, else 0.
    pub known: Tensor,
}

impl Values {
    /// The first `count`.
    pub fn first(&self, count: i64) -> Self {
        let part = |t: &Tensor| t.narrow(0, 0, count.min(t.size()[0]));
        Self { estimate: part(&self.estimate), truth: part(&self.truth), known: part(&self.known) }
    }

    /// In memory of their own, so that the rest of what they were taken from can go.
    pub fn copied(&self) -> Self {
        Self { estimate: self.estimate.copy(), truth: self.truth.copy(), known: self.known.copy() }
    }
}

impl Samples {
    /// The values under q, under p, and under the contrast.
    pub fn values(&self, critic: &dyn Critic) -> [Values; 3] {
        let of = |index: usize| {
            let all = |of: &dyn Fn(&Tensor, &Side) -> Tensor| {
                let parts: Vec<Tensor> =
                    self.parts.iter().map(|(x, sides)| of(x, &sides[index]).to_kind(Kind::Double)).collect();
                Tensor::cat(&parts, 0)
            };
            let known = all(&|_, side| side.known.shallow_clone());
            let critic = no_grad(|| all(&|x, side| critic.log_ratio(x, &side.seen)));
            Values { estimate: critic + &known, truth: all(&|_, side| side.truth.shallow_clone()), known }
        };
        let (under_q, under_p) = (of(0), of(1));
        let under_contrast = match self.contrast {
            Contrast::Prior => under_p.first(i64::MAX),
            Contrast::Adaptive => of(2),
        };
        [under_q, under_p, under_contrast]
    }
}

/// How near T is to T*. In nats, but for correlations and shares.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// `√E_q(T − T*)²`: where the encoder's step evaluates T.
    pub rmse_under_q: f64,
    /// `√E_p(T − T*)²`.
    pub rmse_under_p: f64,
    /// `√E_r(T − T*)²`, where the contrast is not the prior.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse_under_contrast: Option<f64>,
    /// Pearson's correlation of T and T* under q.
    pub correlation: f64,
    /// The same under p.
    pub correlation_under_p: f64,
    /// `E_q T`, which is KL(q ‖ p) for T = T*.
    pub kl_estimate: f64,
    /// Its standard error.
    pub kl_standard_error: f64,
    /// KL(q ‖ p), averaged over x.
    pub kl_closed_form: f64,
    /// `E_q T − E_p e^T + 1` on samples that T was not trained on: at most the KL in expectation, whatever T. In adaptive contrast that
    /// of q and r, with `E_q log r/p` added.
    pub nwj_bound: f64,
    /// Its standard error; means little where e^T has a heavy tail.
    pub nwj_standard_error: f64,
    /// By how much the classifier's cost is above that of T*.
    pub excess_cost: f64,
    /// Share of samples of q at which the ratio to be learnt is beyond B : 1, |log q/contrast| > log B: among the B samples that a step has
    /// of either side fewer than one of the rarer side is expected for each B of the other, so that no batch shows how far T should go.
    pub saturated_under_q: f64,
    /// The same share of samples of the contrast.
    pub saturated_under_contrast: f64,
}

impl Measurement {
    /// From the values under q, under p and under the contrast.
    pub fn of([q, p, contrast]: &[Values; 3], problem: &Problem<'_>, batch: i64) -> Self {
        let scalar = |t: Tensor| t.double_value(&[]);
        let rmse = |values: &Values| scalar((&values.estimate - &values.truth).square().mean(None).sqrt());
        let correlation = |values: &Values| {
            let [one, two] = [&values.estimate, &values.truth].map(|t| t - t.mean(None));
            scalar((&one * &two).mean(None) / (one.square().mean(None) * two.square().mean(None)).sqrt())
        };
        // Of a mean.
        let standard_error = |t: &Tensor| scalar(t.std(true)) / (t.size()[0] as f64).sqrt();
        let learnt = |values: &Values| &values.estimate - &values.known;
        let to_learn = |values: &Values| &values.truth - &values.known;
        let cost = |value: &dyn Fn(&Values) -> Tensor| scalar(logistic_cost(&value(q), &value(contrast)));
        let ratio = learnt(contrast).exp();
        let saturated =
            |values: &Values| scalar(to_learn(values).abs().gt((batch as f64).ln()).to_kind(Kind::Double).mean(None));
        let errors = [standard_error(&q.estimate), standard_error(&ratio)];
        Self {
            rmse_under_q: rmse(q),
            rmse_under_p: rmse(p),
            rmse_under_contrast: (problem.contrast == Contrast::Adaptive).then(|| rmse(contrast)),
            correlation: correlation(q),
            correlation_under_p: correlation(p),
            kl_estimate: scalar(q.estimate.mean(None)),
            kl_standard_error: errors[0],
            kl_closed_form: problem.encoder.kl_to_prior(),
            nwj_bound: scalar(q.estimate.mean(None) - ratio.mean(None) + 1.0),
            nwj_standard_error: errors[0].hypot(errors[1]),
            excess_cost: cost(&learnt) - cost(&to_learn),
            saturated_under_q: saturated(q),
            saturated_under_contrast: saturated(contrast),
        }
    }
}
