//! Interventional robustness (Suter et al. 2019): how far a code strays while the factor it stands for is held and the others change.
//!
//! ```text
//! deviation[d][k] = mean over levels v of Q99 { |z_d − E[z_d | v_k = v]| : images with v_k = v }
//! IRS_d = max_k 1 − deviation[d][k] / max |z_d − E z_d|          IRS = Σ_d w_d IRS_d,  w_d ∝ max |z_d − E z_d|
//! ```
//!
//! Protocol: mean codes of 10 000 images; the 99% quantile, not the maximum (as in the large study of Locatello et al. 2019); dimensions
//! weigh by their own spread, so that collapsed ones count for nothing. Codes that are constant score 0: nothing strays, but nothing is
//! told either. Sizes matter: the fewer images, the smaller the quantile of a level's few.

use super::{Score, Table, bootstrap};

/// Share of a level's images whose deviation is counted.
const QUANTILE: f64 = 0.99;

/// The score over all rows of `table`.
pub fn irs(table: &Table, resamples: usize, seed: u64) -> Score {
    let columns = Columns {
        codes: (0..table.dimensions()).map(|d| table.dimension(d)).collect(),
        factors: (0..table.factors()).map(|k| table.factor(k)).collect(),
        sizes: table.sizes(),
    };
    let rows: Vec<usize> = (0..table.rows()).collect();
    let value = columns.score(&rows);
    Score::with_resamples(value, &bootstrap(rows.len(), resamples, seed, |rows| columns.score(rows)))
}

struct Columns<'a> {
    codes: Vec<Vec<f64>>,
    factors: Vec<Vec<usize>>,
    sizes: &'a [usize],
}

impl Columns<'_> {
    fn score(&self, rows: &[usize]) -> f64 {
        let (mut total, mut weights) = (0.0, 0.0);
        for codes in &self.codes {
            let mean = rows.iter().map(|&row| codes[row]).sum::<f64>() / rows.len() as f64;
            let largest = rows.iter().map(|&row| (codes[row] - mean).abs()).fold(0.0, f64::max);
            // Below this, a constant's rounding.
            if largest <= 1e-12 * mean.abs().max(1.0) {
                continue;
            }
            let deviation = |k: usize| self.deviation(codes, k, rows);
            let least = (0..self.factors.len()).map(deviation).fold(f64::INFINITY, f64::min);
            total += largest * (1.0 - least / largest);
            weights += largest;
        }
        if weights > 0.0 { total / weights } else { 0.0 }
    }

    /// Mean over the levels of factor `k` of the quantile of deviations from the level's mean.
    fn deviation(&self, codes: &[f64], k: usize, rows: &[usize]) -> f64 {
        let mut by_level: Vec<Vec<f64>> = vec![Vec::new(); self.sizes[k]];
        for &row in rows {
            by_level[self.factors[k][row]].push(codes[row]);
        }
        let deviations: Vec<f64> =
            by_level.iter_mut().filter(|values| !values.is_empty()).map(|values| spread(values)).collect();
        deviations.iter().sum::<f64>() / deviations.len() as f64
    }
}

/// The quantile of |value − mean|, between order statistics linearly.
fn spread(values: &mut [f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    for value in values.iter_mut() {
        *value = (*value - mean).abs();
    }
    let place = QUANTILE * (values.len() - 1) as f64;
    let (_, below, above) = values.select_nth_unstable_by(place as usize, f64::total_cmp);
    let below = *below;
    let next = above.iter().copied().fold(f64::INFINITY, f64::min);
    if next.is_finite() { below + (next - below) * place.fract() } else { below }
}
