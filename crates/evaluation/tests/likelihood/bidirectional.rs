use crate::linear::{Linear, WRONG};
use crate::model::{Known, generator, number, quiet};
use elbo_evaluation::likelihood::simulation::simulate_pairs;
use elbo_evaluation::likelihood::{Bidirectional, Settings, bidirectional};
use tch::Kind;

fn settings(temperatures: usize) -> Settings {
    Settings { pilot_temperatures: 10, ..Settings::new(temperatures, 8) }
}

/// The mean of log p(x) over the very pictures of a call with this seed, in closed form.
fn truth(model: &Linear, count: i64, kind: Kind, seed: u64) -> f64 {
    let vae = model.vae(Known::Density, WRONG, kind);
    let (_, x) = simulate_pairs(&vae, count, &generator(seed));
    number(&model.log_evidence(&x).mean(None))
}

/// On data of the model the forward estimate is from below and the backward one from above, within the errors of the
/// two; the pictures are those of the closed form, so that the errors are those of the chains alone. With few
/// temperatures the gap is far from zero, with many it is a few hundredths of a nat.
#[test]
fn the_evidence_is_between_forward_and_backward() {
    let (model, count) = (Linear::correlated(6, 3, 1), 150);
    for kind in [Kind::Double, Kind::Float] {
        let vae = model.vae(Known::Density, WRONG, kind);
        let truth = truth(&model, count, kind, 11);
        let run = |temperatures: usize| {
            bidirectional(&vae, count, &settings(temperatures), &generator(11), &mut quiet()).expect("no interruption")
        };
        let (few, many) = (run(8), run(128));
        for result in [few, many] {
            let Bidirectional { forward, backward, gap, gap_standard_error } = result;
            assert!((gap - (backward.value - forward.value)).abs() < 1e-12);
            assert!(gap > -3.0 * gap_standard_error, "{result:?}");
            assert!(forward.value < truth + 3.0 * gap_standard_error, "{forward:?} above {truth}");
            assert!(backward.value > truth - 3.0 * gap_standard_error, "{backward:?} below {truth}");
        }
        let spread = many.forward.standard_error.min(many.backward.standard_error);
        assert!(many.gap_standard_error < spread / 4.0, "the gap is taken picture by picture: {many:?}");
        assert!(few.gap > 3.0 * few.gap_standard_error, "eight temperatures are not enough: {few:?}");
        assert!(many.gap < few.gap / 4.0, "{many:?} after {few:?}");
        assert!((many.forward.value - truth).abs() < 0.08 && (many.backward.value - truth).abs() < 0.08, "{many:?}");
    }
}
