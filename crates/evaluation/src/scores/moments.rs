//! Figures from the codes alone, without factors: dimensions in use, and the dependence that second moments show.

use super::{Score, Table, bootstrap};

/// Variance of a dimension's mean code above which the dimension is in use (Burda et al. 2016, §5.2).
pub const ACTIVE: f64 = 0.01;

/// Number of dimensions whose codes have a variance above [`ACTIVE`]; codes are the posterior means.
pub fn active_units(table: &Table, resamples: usize, seed: u64) -> Score {
    let columns: Vec<Vec<f64>> = (0..table.dimensions()).map(|d| table.dimension(d)).collect();
    let rows: Vec<usize> = (0..table.rows()).collect();
    let count = |rows: &[usize]| columns.iter().filter(|values| variance(values, rows) > ACTIVE).count() as f64;
    let resamples = bootstrap(rows.len(), resamples, seed, count);
    Score::within(0.0..=columns.len() as f64, count(&rows), &resamples)
}

/// Total correlation in nats of the normal distribution with the codes' covariance, `½ (Σ_d ln Σ_dd − ln det Σ)`.
///
/// A lower bound on the codes' total correlation only where they are jointly normal; of mean codes, which can be correlated where samples
/// are not (Locatello et al. 2019, §5.3). Of all dimensions, as published: the means of collapsed ones are tiny, but may be correlated as
/// much as any. Constant dimensions are left out; infinite where a dimension is a linear function of others.
pub fn gaussian_total_correlation(table: &Table, resamples: usize, seed: u64) -> Score {
    let rows: Vec<usize> = (0..table.rows()).collect();
    let columns: Vec<Vec<f64>> =
        (0..table.dimensions()).map(|d| table.dimension(d)).filter(|values| variance(values, &rows) > 1e-12).collect();
    let value = correlation_deficit(&columns, &rows);
    if value.is_infinite() {
        return Score { value, low: value, high: value };
    }
    let resamples = bootstrap(rows.len(), resamples, seed, |rows| correlation_deficit(&columns, rows));
    Score::within(0.0..=f64::INFINITY, value, &resamples)
}

/// −½ ln det of the correlation matrix, by Cholesky decomposition.
fn correlation_deficit(columns: &[Vec<f64>], rows: &[usize]) -> f64 {
    let count = rows.len() as f64;
    let standardised: Vec<Vec<f64>> = columns
        .iter()
        .map(|values| {
            let mean = rows.iter().map(|&row| values[row]).sum::<f64>() / count;
            let scale = (variance(values, rows) * (count - 1.0)).sqrt();
            rows.iter().map(|&row| (values[row] - mean) / scale).collect()
        })
        .collect();
    let size = columns.len();
    let mut lower = vec![vec![0.0; size]; size];
    let mut log_determinant = 0.0;
    for i in 0..size {
        for j in 0..=i {
            let correlation: f64 = standardised[i].iter().zip(&standardised[j]).map(|(a, b)| a * b).sum();
            let rest = correlation - (0..j).map(|k| lower[i][k] * lower[j][k]).sum::<f64>();
            if i == j {
                // What is left of the variance; below this, nothing but rounding.
                if rest < 1e-12 {
                    return f64::INFINITY;
                }
                lower[i][i] = rest.sqrt();
                log_determinant += rest.ln();
            } else {
                lower[i][j] = rest / lower[j][j];
            }
        }
    }
    (-0.5 * log_determinant).max(0.0)
}

/// Unbiased variance of some of the values.
pub(crate) fn variance(values: &[f64], rows: &[usize]) -> f64 {
    let count = rows.len() as f64;
    let mean = rows.iter().map(|&row| values[row]).sum::<f64>() / count;
    rows.iter().map(|&row| (values[row] - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0)
}
