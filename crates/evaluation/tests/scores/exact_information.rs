//! MIG as Chen et al. define it.

use crate::codes;
use elbo_core::{Gaussian, Generator};
use elbo_data::Factors;
use elbo_evaluation::exact::Samples;
use elbo_evaluation::scores::mig_chen;
use elbo_evaluation::scores::mig_chen::MigChen;
use tch::{Device, Kind, Tensor};

/// Encodings of the grid with 4, 5 and 6 levels: means by `code`, one standard deviation for all.
fn found(code: impl Fn(&[f64]) -> Vec<f64>, scale: f64, left_out: &[usize]) -> MigChen {
    let flat: Vec<i64> = codes::grid(1).concat().iter().map(|&level| level as i64).collect();
    let names = ["a", "b", "c"].map(ToString::to_string);
    let factors = Factors::new(&names, &flat, None).unwrap().unwrap();
    with_factors(&factors, code, scale, left_out)
}

/// The same encodings beside any factors.
fn with_factors(factors: &Factors, code: impl Fn(&[f64]) -> Vec<f64>, scale: f64, left_out: &[usize]) -> MigChen {
    elbo_native::testing::single_thread();
    let table = codes::table(1, |v, _| code(v));
    let size = [table.rows() as i64, table.dimensions() as i64];
    let mean = Tensor::from_slice(table.codes()).view(size);
    let log_var = mean.full_like(2.0 * scale.ln());
    let noise = Generator::new(Device::Cpu, 1).unwrap();
    let own = Tensor::arange(size[0], (Kind::Int64, Device::Cpu)).repeat([10]);
    let rows = |t: &Tensor| t.index_select(0, &own);
    let z = Gaussian::new(rows(&mean), rows(&log_var)).sample(&noise, 1);
    let samples = Samples { z, own };
    mig_chen(&Gaussian::new(mean, log_var), factors, left_out, (&samples, None), (20, 1), &mut |_, _| Ok(())).unwrap()
}

/// Narrow encodings of the levels: a sample tells its level, so `I(z_d; v_k) = ln levels`, on the diagonal alone. The gap is all there is.
#[test]
fn narrow_codes_of_the_factors_tell_ln_levels_and_score_1() {
    let found = found(<[f64]>::to_vec, 1e-3, &[]);
    assert!((found.score.value - 1.0).abs() < 1e-9, "{:?}", found.score);
    for (d, row) in found.mutual_information.iter().enumerate() {
        for (k, information) in row.iter().enumerate() {
            let expected = if d == k { (codes::SIZES[k] as f64).ln() } else { 0.0 };
            assert!((information - expected).abs() < 1e-9, "{d} {k}: {information}");
        }
    }
}

/// The information of a mean is ln levels whatever its scale; that of a sample is not.
///
/// Dimension 0 encodes factor a (4 levels at −1, −⅓, ⅓, 1) with deviation ½, I by quadrature over z.
#[test]
fn wide_codes_tell_what_quadrature_says() {
    let scale = 0.5;
    let found = found(|v| vec![v[0], 0.0], scale, &[]);
    let normal =
        |z: f64, mean: f64| (-0.5 * ((z - mean) / scale).powi(2)).exp() / (scale * (2.0 * std::f64::consts::PI).sqrt());
    let means = [-1.0, -1.0 / 3.0, 1.0 / 3.0, 1.0];
    let step = 1e-3;
    let expected: f64 = (-6000..6000)
        .map(|index| {
            let z = f64::from(index) * step;
            let mixture = means.iter().map(|mean| normal(z, *mean)).sum::<f64>() / 4.0;
            means.iter().map(|mean| normal(z, *mean) / 4.0 * (normal(z, *mean).max(1e-300) / mixture).ln()).sum::<f64>()
                * step
        })
        .sum();
    let information = found.mutual_information[0][0];
    // 1200 samples; the standard deviation of a log-ratio is about 0.6.
    assert!((information - expected).abs() < 3.0 * 0.6 / 1200_f64.sqrt(), "{information} instead of {expected}");
    assert!(expected > 0.5 && expected < 4.0_f64.ln() - 0.3, "a case that tells samples from means: {expected}");
    let mig = information / 4.0_f64.ln() / 3.0;
    assert!((found.score.value - mig).abs() < 1e-9 && found.score.low < mig && mig < found.score.high);
}

/// Without factor a, whose code is doubled, only the other two count.
#[test]
fn a_factor_left_out_does_not_count() {
    let code = |v: &[f64]| vec![v[0], v[0], v[1], v[2]];
    let (all, two) = (found(code, 1e-3, &[]), found(code, 1e-3, &[0]));
    assert!((all.score.value - 2.0 / 3.0).abs() < 1e-9, "{:?}", all.score);
    assert!((two.score.value - 1.0).abs() < 1e-9, "{:?}", two.score);
    assert_eq!(two.mutual_information[0].len(), 2);
}

/// Another project reads the table of factors, stored column by column, row by row: a reshape where a transpose is needed. Levels of one
/// factor then stand beside codes of another image, and codes that tell every factor seem to tell next to nothing.
#[test]
fn a_reshape_in_the_place_of_a_transpose_is_refuted() {
    let levels = codes::grid(1);
    let columns: Vec<i64> = (0..3).flat_map(|k| levels.iter().map(move |row| row[k] as i64)).collect();
    let names = ["a", "b", "c"].map(ToString::to_string);
    let reshaped = Factors::new(&names, &columns, None).unwrap().unwrap();
    let wrong = with_factors(&reshaped, <[f64]>::to_vec, 1e-3, &[]);
    let right = found(<[f64]>::to_vec, 1e-3, &[]);
    assert!((right.score.value - 1.0).abs() < 1e-9 && wrong.score.value < 0.5, "{:?}", wrong.score);
}
