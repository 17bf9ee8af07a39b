//! The indicator on a linear model: the vector flips the attribute, steps across it do not.

use crate::linear::{LATENT, codes, generator, images, vae};
use elbo_evaluation::attributes::indicator::Spread;
use elbo_evaluation::attributes::{Edits, direction};
use elbo_evaluation::classifier::{Groups, Settings, train};
use tch::{Device, Kind, Tensor};

/// Without the attribute the first coordinate is −1; the vector is 2 along it, so that an edit of strength 1 gives a picture that has it,
/// of strength 0 or less none that does. Directions from one picture without it to another have nothing of the first coordinate. A uniform
/// direction of length 2 turns −1 into something above 0 where its angle with the first axis is below 60°: in six dimensions the share of
/// such is ½ I_{3/4}(5/2, 1/2) = 0.127, of 300 directions 0.13 ± 0.02; the classifier's border lies somewhere between −1 and 1.
#[test]
fn an_edit_by_the_vector_flips_the_attribute_and_no_other_does() {
    let (codes, has) = codes(1200, 1);
    let images = images(&codes);
    let (held_out, learning) = Groups::of(&has, 2, None, Device::Cpu).split(0.25, 2).expect("a split");
    let settings = Settings { steps: 150, ..Settings::default() };
    let judge = train(&images, &learning, &settings, 3, &mut |_, _| Ok(())).expect("trained").classifier;
    let (rows, has) = learning.joined();
    let vector = direction::difference(&codes.index_select(0, &rows), &has);
    let vae = vae();
    let without = codes.index_select(0, &held_out.rows()[0]);
    let edits = Edits { vae: &vae, classifier: &judge, class: 1, codes: &without, batch: 64 };

    let mut steps = 0;
    let strengths = [-1.0, 0.0, 0.5, 1.0, 2.0];
    let found = edits
        .indicator(&vector, &strengths, 300, &generator(4), &mut |done, total| {
            steps += 1;
            assert!(done == steps && done <= total);
            Ok(())
        })
        .expect("shares");
    assert!((found.length - 2.0).abs() < 0.1, "{}", found.length);
    let shares: Vec<f64> = found.attribute.iter().map(|share| share.value).collect();
    assert!(shares[0] < 0.02 && shares[1] < 0.02 && shares[3] > 0.98 && shares[4] > 0.98, "{shares:?}");
    let (random, between) = (Spread::of(&found.random[3]), Spread::of(&found.between[3]));
    assert!(random.mean > 0.02 && random.mean < 0.3, "{random:?}");
    assert!(between.mean < 0.02, "{between:?}");
    assert_eq!(
        (found.random[1].as_slice(), found.between[1].as_slice()),
        (&[shares[1]; 300][..], &[shares[1]; 300][..])
    );

    let mut across = vec![0.0_f32; LATENT as usize];
    across[2] = 2.0;
    let across = edits.share(&Tensor::from_slice(&across));
    assert!(
        across.value < 0.02
            && (across.standard_error.powi(2) * without.size()[0] as f64 - across.value * (1.0 - across.value)).abs()
                < 1e-12
    );
}

#[test]
fn an_interruption_ends_the_edits() {
    let (codes, has) = codes(60, 1);
    let groups = Groups::of(&has, 2, None, Device::Cpu);
    let judge = train(&images(&codes), &groups, &Settings { steps: 1, ..Settings::default() }, 3, &mut |_, _| Ok(()))
        .expect("trained");
    let vae = vae();
    let edits = Edits { vae: &vae, classifier: &judge.classifier, class: 1, codes: &codes, batch: 64 };
    let vector = Tensor::ones([LATENT], (Kind::Float, Device::Cpu));
    let stopped = edits.indicator(&vector, &[0.0, 1.0], 2, &generator(4), &mut |_, _| Err(anyhow::anyhow!("stop")));
    assert_eq!(stopped.expect_err("interrupted").to_string(), "stop");
}

/// Shares 0.1, 0.2 and 0.6: mean 0.3, variance (0.04 + 0.01 + 0.09) / 2; one direction has no spread.
#[test]
fn a_spread_is_mean_and_standard_deviation() {
    let spread = Spread::of(&[0.1, 0.2, 0.6]);
    assert!((spread.mean - 0.3).abs() < 1e-12 && (spread.standard_deviation - 0.07_f64.sqrt()).abs() < 1e-12);
    assert!(Spread::of(&[0.4]).standard_deviation.is_nan());
}
