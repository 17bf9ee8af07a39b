//! Active units and the total correlation of second moments.

use crate::codes;
use elbo_evaluation::scores::{Table, active_units, gaussian_total_correlation};

/// Standard deviations of 0.05 and 0.2 lie on either side of the bound, a variance of 0.01.
#[test]
fn a_unit_is_active_where_its_code_varies() {
    let table = codes::table(20, |v, _| vec![v[0], 0.0, 0.05 * v[1].signum(), 0.2 * v[2].signum()]);
    let found = active_units(&table, 20, 1);
    for value in [found.value, found.low, found.high] {
        assert!((value - 2.0).abs() < 1e-12, "{found:?}");
    }
}

/// Two codes with correlation ρ: −½ ln(1 − ρ²). Here z₁ = z₀ + v₁ with Var z₀ and Var v₁ known: ρ² = Var z₀/(Var z₀ + Var v₁).
#[test]
fn two_correlated_codes_have_the_closed_form() {
    // Levels of 4 and 5 in [−1, 1]: variances 5/9 and 1/2, uncorrelated over the grid.
    let table = codes::table(10, |v, _| vec![v[0], v[0] + v[1]]);
    let rho_squared = (5.0 / 9.0) / (5.0 / 9.0 + 0.5);
    let found = gaussian_total_correlation(&table, 20, 1);
    let expected = -0.5 * (1.0_f64 - rho_squared).ln();
    assert!((found.value - expected).abs() < 1e-9, "{} instead of {expected}", found.value);
    assert!(found.low < expected && expected < found.high);
}

#[test]
fn independent_codes_have_none_and_copies_infinitely_much() {
    assert!(gaussian_total_correlation(&codes::identity(), 5, 1).value < 1e-9);
    assert!(gaussian_total_correlation(&codes::constant(), 5, 1).value < 1e-9);
    assert!(gaussian_total_correlation(&codes::duplicated(), 5, 1).value.is_infinite());
}

/// Three codes: ln det by hand. Correlations ½, ½ and 0: det = 1 − ¼ − ¼ = ½, so the total correlation is ½ ln 2.
#[test]
fn three_codes_by_their_determinant() {
    let (a, b, c) = (0.5_f64, 0.5_f64, 0.5_f64.sqrt());
    // An orthogonal design of 8 rows: every sign of (x, y, w) once.
    let rows: Vec<Vec<f64>> = (0..8)
        .map(|row| {
            let sign = |bit: usize| if row >> bit & 1 == 0 { 1.0 } else { -1.0 };
            vec![a * sign(0) + b * sign(1) + c * sign(2), sign(0), sign(1)]
        })
        .collect();
    let table = Table::from_rows(&rows, &vec![vec![0]; 8]);
    let found = gaussian_total_correlation(&table, 2, 1).value;
    assert!((found - 0.5 * 2.0_f64.ln()).abs() < 1e-12, "{found}");
}
