//! The conformance suite catches what it is there for: one objective for each rule that breaks it, and that one alone.

use elbo_core::{BatchContext, ForwardPass};
use elbo_objectives::testing::{Conformance, Rule};
use elbo_objectives::{Elbo, ElboParts, Objective, Terms};
use std::cell::Cell;
use tch::{Kind, Tensor};

/// An objective from a closure.
struct Made<F>(F);

impl<F: Fn(&ForwardPass, &BatchContext<'_>) -> Terms> Objective for Made<F> {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        (self.0)(pass, context)
    }
}

fn made<F: Fn(&ForwardPass, &BatchContext<'_>) -> Terms>(evaluate: F) -> Made<F> {
    Made(evaluate)
}

/// Minus the ELBO, and the parts.
fn elbo(pass: &ForwardPass) -> (Tensor, ElboParts) {
    let parts = ElboParts::of(pass);
    (&parts.reconstruction + &parts.kl, parts)
}

/// The rules that `objective` breaks, with what is said about them.
fn broken(objective: &dyn Objective) -> (Vec<Rule>, String) {
    let violations = Conformance::of(objective).documented_in("`known`").violations();
    let messages: Vec<String> = violations.iter().map(ToString::to_string).collect();
    (violations.iter().map(|violation| violation.rule).collect(), messages.join("\n"))
}

#[track_caller]
fn assert_breaks(objective: &dyn Objective, rules: &[Rule], words: &str) {
    let (found, messages) = broken(objective);
    assert_eq!(found, rules, "{messages}");
    assert!(messages.contains(words), "expected '{words}' in: {messages}");
}

#[test]
fn an_objective_that_counts_its_calls_is_impure() {
    let calls = Cell::new(0.0);
    let objective = made(|pass, _| {
        calls.set(calls.get() + 1.0);
        Terms::new(elbo(pass).0 + calls.get())
    });
    assert_breaks(&objective, &[Rule::Purity], "the same pass and noise gave a loss of");
}

#[test]
fn an_objective_that_draws_from_the_process_wide_generator_is_impure() {
    let objective = made(|pass, _| Terms::new(elbo(pass).0 * Tensor::rand([], (Kind::Float, tch::Device::Cpu))));
    assert_breaks(&objective, &[Rule::Purity], "a second time");
}

#[test]
fn an_objective_that_draws_from_the_noise_it_is_given_is_pure() {
    let objective = made(|pass, context| {
        let draw = context.noise.uniform(&[], pass.z.kind());
        Terms::new(elbo(pass).0 * draw)
    });
    assert_breaks(&objective, &[], "");
}

#[test]
fn an_objective_that_changes_the_pass_is_impure() {
    let objective = made(|pass, _| {
        let loss = elbo(pass).0;
        let _ = pass.z.detach().g_add_scalar_(1.0);
        Terms::new(loss)
    });
    assert_breaks(&objective, &[Rule::Purity], "evaluation changed the z of the pass");
}

#[test]
fn an_objective_that_accumulates_gradients_is_impure() {
    let objective = made(|pass, _| {
        let norm = pass.z.square().sum(None);
        if norm.requires_grad() {
            norm.backward();
        }
        Terms::new(elbo(pass).0)
    });
    assert_breaks(&objective, &[Rule::Purity], "accumulated a gradient");
}

#[test]
fn an_objective_whose_scalars_come_and_go_is_impure() {
    let calls = Cell::new(0);
    let objective = made(|pass, _| {
        calls.set(calls.get() + 1);
        let (loss, parts) = elbo(pass);
        if calls.get() == 1 { Terms::new(loss).with_elbo(&parts) } else { Terms::new(loss) }
    });
    assert_breaks(&objective, &[Rule::Purity], "gave the scalars");
}

/// A `detach` in the wrong place: the value is right, and the encoder is pulled by half of it.
#[test]
fn a_detached_term_has_a_wrong_gradient() {
    let objective = made(|pass, _| Terms::new(ElboParts::of(pass).reconstruction + ElboParts::of(pass).kl.detach()));
    assert_breaks(&objective, &[Rule::Gradient], "the central difference");
}

/// What a surrogate's loss looks like to differences: a wrong gradient, unless it is said.
#[test]
fn a_surrogate_gradient_has_to_be_declared() {
    let halved = made(|pass, _| {
        let (loss, _) = elbo(pass);
        Terms::new(loss.detach() * 0.5 + loss * 0.5)
    });
    assert_breaks(&halved, &[Rule::Gradient], "the central difference");
    let violations = Conformance::of(&halved).surrogate_of(&Elbo).violations();
    assert!(violations.len() == 1 && violations[0].rule == Rule::Gradient, "{violations:?}");
    assert!(violations[0].message.contains("the standard error is"), "{}", violations[0]);
}

/// The sampled KL in place of the closed form: another value and another gradient draw by draw, and the same in the mean.
#[test]
fn a_declared_surrogate_is_held_to_the_mean_over_noise() {
    let sampled = made(|pass, _| {
        let log_q = pass.posterior.log_density(&pass.z).expect("a density");
        let log_p = elbo_core::posterior::standard_normal_log_density(&pass.z);
        Terms::new((log_q - log_p - pass.log_likelihood()).mean(None))
    });
    Conformance::of(&sampled).surrogate_of(&Elbo).holds();
    Conformance::of(&sampled).holds();
}

/// A kink is no wrong gradient: a triangle wave in z has one every 4e-4, so that a tenth of z's differences are taken across one.
#[test]
fn kinks_are_left_out() {
    let wave = |z: &Tensor| ((z * 1250.0).frac().abs() - 0.5).abs().sum(None::<Kind>) * 1e-3;
    Conformance::of(&made(|pass, _| Terms::new(elbo(pass).0 + wave(&pass.z)))).holds();
}

/// A loss in steps has a difference that depends on its distance everywhere: nothing is shown, and that is said.
#[test]
fn a_loss_without_a_smooth_place_cannot_be_checked() {
    let jagged = made(|pass, _| Terms::new(elbo(pass).0 + (&pass.z * 1e9).sin().sum(None)));
    let (found, messages) = broken(&jagged);
    assert!(found.contains(&Rule::Gradient) && messages.contains("central difference"), "{messages}");
}

/// 1/σ² overflows nothing, and log(σ²) of an underflown σ² is −∞.
#[test]
fn a_loss_that_is_not_finite_for_narrow_codes_is_caught() {
    let objective = made(|pass, _| {
        let gaussian = pass.posterior.gaussian().expect("a density");
        let variance = gaussian.log_var.exp().square().square();
        Terms::new(elbo(pass).0 + variance.log().sum(None))
    });
    let (found, messages) = broken(&objective);
    assert_eq!(found, [Rule::Extremes], "{messages}");
    assert!(messages.contains("of σ → 0 is -inf in Float"), "{messages}");
}

/// √0 is finite and its slope is not.
#[test]
fn a_gradient_that_is_not_finite_for_equal_codes_is_caught() {
    let objective = made(|pass, _| Terms::new(elbo(pass).0 + pass.z.var_dim(0, false, false).sqrt().sum(None)));
    assert_breaks(&objective, &[Rule::Extremes], "with respect to the z is not finite");
}

/// The spread of one row is 0/0: `benchmark_VAE`'s MSS divides by B − 1 in the same way.
#[test]
fn a_batch_of_one_has_to_be_finite_or_refused() {
    let unbiased = made(|pass, _| Terms::new(elbo(pass).0 + pass.z.var_dim(0, true, false).sum(None)));
    assert_breaks(&unbiased, &[Rule::Extremes], "a batch of 1");
    let panicking = made(|pass, _| {
        assert!(pass.batch() > 1, "a batch of one");
        Terms::new(elbo(pass).0)
    });
    assert_breaks(&panicking, &[Rule::Extremes], "a batch of 1 makes evaluate panic, and check lets it pass");
}

/// Refuses a batch of one, in the words it is given.
struct Refusing(&'static str);

impl Objective for Refusing {
    fn evaluate(&self, pass: &ForwardPass, _context: &BatchContext<'_>) -> Terms {
        assert!(pass.batch() > 1, "a batch that was refused is not evaluated");
        Terms::new(elbo(pass).0)
    }

    fn check(&self, batch: i64, _dataset_len: i64, _latent: i64) -> anyhow::Result<()> {
        if batch < 2 { Err(anyhow::anyhow!(self.0)) } else { Ok(()) }
    }
}

#[test]
fn a_refusal_has_to_say_what_it_expected() {
    assert_breaks(&Refusing("expected a batch of at least 2; got 1"), &[], "");
    assert_breaks(&Refusing("bad batch"), &[Rule::Extremes], "is not one line with 'expected …'");
    assert_breaks(&Refusing("expected\nmore"), &[Rule::Extremes], "is not one line");
}

#[test]
fn a_suite_that_could_check_nothing_does_not_pass() {
    let message = Conformance::of(&Refusing("expected a batch of at least 2; got 1")).batch(1).violations();
    assert_eq!(message.len(), 1);
    assert!(message[0].message.contains("nothing could be checked"), "{}", message[0]);
}

/// A tensor of one kind in the middle makes the loss of that kind.
#[test]
fn a_loss_that_loses_float64_is_caught() {
    let objective = made(|pass, _| Terms::new(elbo(pass).0.to_kind(Kind::Float)));
    let (found, messages) = broken(&objective);
    assert!(found.contains(&Rule::Kind), "{messages}");
    assert!(messages.contains("from inputs of kind Double came a loss of kind Float"), "{messages}");
}

#[test]
fn a_scalar_that_no_text_explains_is_caught() {
    let objective = made(|pass, _| {
        let (loss, parts) = elbo(pass);
        Terms::new(loss).with_elbo(&parts).with("known", &parts.kl).with("mystery", &parts.kl)
    });
    assert_breaks(&objective, &[Rule::Documentation], "`mystery` is missing from the documentation");
    let violations = Conformance::of(&objective).violations();
    assert!(violations[0].message.contains("hand the text that does to documented_in"), "{violations:?}");
}

#[test]
fn a_scalar_with_a_graph_is_caught() {
    let objective = made(|pass, _| {
        let (loss, parts) = elbo(pass);
        let terms = Terms::new(loss).with("known", &parts.kl);
        let _ = terms.scalars.get("known").expect("just reported").set_requires_grad(true);
        terms
    });
    assert_breaks(&objective, &[Rule::Graph], "the scalar 'known' carries a graph");
}

/// A value read on the host: right in every number, and it stops the device.
#[test]
#[expect(clippy::disallowed_methods, reason = "what the suite has to catch where no lint does")]
fn a_host_synchronisation_is_caught() {
    let objective = made(|pass, _| {
        let (loss, parts) = elbo(pass);
        let is_positive = parts.kl.double_value(&[]) > 0.0;
        Terms::new(if is_positive { loss } else { loss * 1.0 })
    });
    assert_breaks(&objective, &[Rule::Step], "makes the host wait for the device");
}

/// `TryFrom` copies memory and runs no operator on the CPU; what it decides is seen.
#[test]
fn a_decision_by_a_value_is_caught() {
    let objective = made(|pass, _| {
        let (loss, parts) = elbo(pass);
        let is_positive = f64::try_from(&parts.kl.detach()).expect("a scalar") > 0.0;
        Terms::new(if is_positive { loss } else { loss * 1.0 })
    });
    assert_breaks(&objective, &[Rule::Step], "another");
}

/// A weight that is computed on the host changes the operators' arguments from step to step: a captured graph would replay the first.
#[test]
fn a_host_number_that_moves_between_steps_is_caught() {
    let calls = Cell::new(0.0);
    let objective = made(|pass, _| {
        calls.set(calls.get() + 1e-30);
        let (loss, parts) = elbo(pass);
        // Too small to change the loss.
        Terms::new(loss + parts.kl * calls.get())
    });
    assert_breaks(&objective, &[Rule::Step], "another");
}

#[test]
#[should_panic(expected = "the objective breaks 1 rules of the suite:\n  kind: from inputs of kind")]
fn holds_panics_with_one_sentence_for_each_rule() {
    Conformance::of(&made(|pass, _| Terms::new(elbo(pass).0.to_kind(Kind::Double)))).holds();
}
