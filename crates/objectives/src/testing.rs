//! The conformance suite: what every objective must hold to be trained, stepped on a GPU and read from its curves.
//!
//! One call in a test, in this repository or in a crate of your own:
//!
//! ```
//! use elbo_core::Weight;
//! use elbo_objectives::BetaVae;
//! use elbo_objectives::testing::Conformance;
//!
//! let objective = BetaVae { beta: Weight::constant(4.0).unwrap() };
//! Conformance::of(&objective).documented_in("Reports nothing but what every run shows.").holds();
//! ```
//!
//! | rule | what is asked |
//! |---|---|
//! | [`Rule::Purity`] | the same pass and noise give the same loss, scalars and gradients, with or without a graph; the pass is left as it was |
//! | [`Rule::Gradient`] | the gradient of the whole loss with respect to mean, log-variance, z, log-likelihood and a decoder's parameter is the central difference, in float64; of a surrogate, the plain objective's in the mean over noise ([`Conformance::surrogate_of`]) |
//! | [`Rule::Extremes`] | finite loss, scalars and gradients for a batch of 1, of 2, larger than the data set, for equal codes, σ → 0, huge means, logits of ±100; or a refusal by [`Objective::check`] in one line that says what it expected |
//! | [`Rule::Kind`] | the loss is of its input's kind: float64 stays float64 |
//! | [`Rule::Documentation`] | every reported name stands in a text, as `` `name` `` |
//! | [`Rule::Graph`] | reported scalars carry no graph |
//! | [`Rule::Step`] | no operator that makes the host wait, and two steps run the same operators with the same shapes and host scalars |
//!
//! The number of samples K comes from [`Objective::samples`]. The suite computes on the CPU; a copy from host to device inside
//! `evaluate` is not seen there, and a read through `TryFrom` or `copy_data`, which runs no operator on the CPU, only where what is read
//! decides which operators follow.

mod documentation;
mod extremes;
mod gradient;
mod inputs;
mod purity;
mod step;

use crate::Objective;
use inputs::Setting;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the suite asks of an objective; [the module](self) has the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A function of pass, noise and step alone.
    Purity,
    /// The gradient belongs to the loss.
    Gradient,
    /// Finite, or refused, where inputs are extreme.
    Extremes,
    /// The loss has its input's kind.
    Kind,
    /// Reported names are explained.
    Documentation,
    /// Reported values have no graph.
    Graph,
    /// A step can be captured.
    Step,
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Purity => "purity",
            Self::Gradient => "gradient",
            Self::Extremes => "extremes",
            Self::Kind => "kind",
            Self::Documentation => "documentation",
            Self::Graph => "graph",
            Self::Step => "step",
        })
    }
}

/// A rule that an objective breaks, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.rule, self.message)
    }
}

/// The suite, set up for one objective.
#[derive(Clone, Copy)]
#[must_use]
pub struct Conformance<'a> {
    objective: &'a dyn Objective,
    plain: Option<&'a dyn Objective>,
    documentation: &'a str,
    setting: Setting,
}

impl fmt::Debug for Conformance<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Conformance").field("setting", &self.setting).finish_non_exhaustive()
    }
}

impl<'a> Conformance<'a> {
    /// The suite for `objective`: 6 examples of a data set of 50, 4 latent dimensions, K of [`Objective::samples`].
    pub fn of(objective: &'a dyn Objective) -> Self {
        let setting = Setting { batch: 6, dataset_len: 50, latent: 4, samples: objective.samples() };
        Self { objective, plain: None, documentation: "", setting }
    }

    /// A batch of another size, for objectives that ask for one.
    pub fn batch(mut self, batch: i64) -> Self {
        self.setting.batch = batch;
        self
    }

    /// A data set of another size.
    pub fn dataset_len(mut self, dataset_len: i64) -> Self {
        self.setting.dataset_len = dataset_len;
        self
    }

    /// Another number of latent dimensions, for objectives that name theirs.
    pub fn latent(mut self, latent: i64) -> Self {
        self.setting.latent = latent;
        self
    }

    /// The text in which every reported name must stand in backticks, for example `include_str!("../README.md")`.
    ///
    /// A part in angle brackets stands for any word: `` `estimate/<term>_mws` ``. The names that every run shows (`reconstruction`, `kl`,
    /// `kl_per_dimension`, `elbo`) need no mention.
    pub fn documented_in(mut self, text: &'a str) -> Self {
        self.documentation = text;
        self
    }

    /// Says that the objective's gradient is a surrogate (`dreg` is one): not its loss's, draw by draw, but equal to `plain`'s in the mean
    /// over the noise of z. That is what is checked then: along a random direction of mean, of log-variance and of a decoder's parameter,
    /// over 4000 draws of z, within 3 standard errors.
    pub fn surrogate_of(mut self, plain: &'a dyn Objective) -> Self {
        self.plain = Some(plain);
        self
    }

    /// Runs the suite and panics with one sentence for each rule that is broken.
    pub fn holds(&self) {
        let violations = self.violations();
        let sentences: Vec<String> = violations.iter().map(|violation| format!("\n  {violation}")).collect();
        assert!(
            violations.is_empty(),
            "the objective breaks {} rules of the suite:{}",
            violations.len(),
            sentences.concat()
        );
    }

    /// Runs the suite: the rules that are broken, each once. An impure objective is held to no other rule.
    pub fn violations(&self) -> Vec<Violation> {
        elbo_native::testing::single_thread();
        let Setting { batch, dataset_len, latent, .. } = self.setting;
        if let Err(refusal) = self.objective.check(batch, dataset_len, latent) {
            let message = format!(
                "the suite's own batch of {batch} of {dataset_len} examples with {latent} latent dimensions is refused, so that \
                 nothing could be checked (batch, dataset_len and latent change it): {refusal}"
            );
            return vec![Violation { rule: Rule::Extremes, message }];
        }
        let guarded = |rule: &dyn Fn() -> Result<(), String>| {
            catch_unwind(AssertUnwindSafe(rule))
                .unwrap_or_else(|panic| Err(format!("it panics: {}", first_line(panic.as_ref()))))
        };
        if let Err(message) = guarded(&|| purity::check(self.objective, self.setting)) {
            // Of a loss that changes by itself, or changes its pass, the other rules would say nothing.
            return vec![Violation { rule: Rule::Purity, message }];
        }
        let gradient = || match self.plain {
            None => gradient::central_differences(self.objective, self.setting),
            Some(plain) => gradient::surrogate(self.objective, plain, self.setting),
        };
        let results = [
            (Rule::Gradient, guarded(&gradient)),
            (Rule::Extremes, guarded(&|| extremes::check(self.objective, self.setting))),
            (Rule::Kind, guarded(&|| purity::kind(self.objective, self.setting))),
            (Rule::Documentation, guarded(&|| documentation::check(self.objective, self.setting, self.documentation))),
            (Rule::Graph, guarded(&|| purity::graph(self.objective, self.setting))),
            (Rule::Step, guarded(&|| step::check(self.objective, self.setting))),
        ];
        let broken =
            |(rule, result): (Rule, Result<(), String>)| result.err().map(|message| Violation { rule, message });
        results.into_iter().filter_map(broken).collect()
    }
}

/// What a panic said, up to its first line break.
fn first_line(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("without a word").to_owned()
}
