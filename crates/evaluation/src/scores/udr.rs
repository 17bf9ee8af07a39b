//! Unsupervised disentanglement ranking (Duan et al. 2020): models that found the same dimensions found something; no factors needed.
//!
//! ```text
//! R[a][b] = |Spearman correlation of z_a of one model and z_b of the other|, over the same images
//! UDR_ij  = [ Σ_b max_a R[a][b]² / Σ_a R[a][b]  +  Σ_a max_b R[a][b]² / Σ_b R[a][b] ] / (D_i + D_j)       Duan et al. 2020, Eq. 4
//! UDR_i   = median over the other models j of UDR_ij
//! ```
//!
//! over informative dimensions alone, those with a mean KL above 0.01 nats. Protocol: mean codes of 10 000 images, models that differ in
//! their seed. This is the paper's UDR-S; its UDR-L takes the weights of a Lasso instead of rank correlations. Its use is to choose among
//! runs; values of different data sets do not compare.

use rayon::prelude::*;

/// Mean KL of a dimension, in nats, above which it is informative.
pub const INFORMATIVE: f64 = 0.01;

/// One model's codes `[D][n]` of the same images as the other models', informative dimensions alone.
pub type Informative = Vec<Vec<f64>>;

/// The score of each of at least two models.
///
/// A model without informative dimensions scores 0.
pub fn udr(models: &[Informative]) -> Vec<f64> {
    assert!(models.len() >= 2, "UDR compares models: expected at least 2, got {}", models.len());
    let lengths: Vec<usize> = models.iter().flatten().map(Vec::len).collect();
    assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "all models must have codes of the same images");
    let ranks: Vec<Vec<Vec<f64>>> =
        models.par_iter().map(|model| model.iter().map(|values| standardised_ranks(values)).collect()).collect();
    let others = |i: usize| (0..models.len()).filter(move |&j| j != i);
    let score = |i: usize| median(others(i).map(|j| pair(&ranks[i], &ranks[j])).collect());
    (0..models.len()).into_par_iter().map(score).collect()
}

/// `UDR_ij` of two models' standardised ranks.
fn pair(one: &[Vec<f64>], other: &[Vec<f64>]) -> f64 {
    if one.is_empty() || other.is_empty() {
        return 0.0;
    }
    let correlation = |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>().abs();
    let strengths: Vec<Vec<f64>> = one.iter().map(|a| other.iter().map(|b| correlation(a, b)).collect()).collect();
    let relative = |values: &mut dyn Iterator<Item = f64>| {
        let (largest, sum) = values.fold((0.0_f64, 0.0), |(largest, sum), value| (largest.max(value), sum + value));
        if sum > 0.0 { largest * largest / sum } else { 0.0 }
    };
    let rows: f64 = strengths.iter().map(|row| relative(&mut row.iter().copied())).sum();
    let columns: f64 = (0..other.len()).map(|b| relative(&mut strengths.iter().map(|row| row[b]))).sum();
    (rows + columns) / (one.len() + other.len()) as f64
}

/// Ranks, ties sharing their mean rank, with mean 0 and sum of squares 1: their products' sum is Spearman's correlation.
fn standardised_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a].total_cmp(&values[b]).is_eq()) {
        let shared = before as f64 + (tied.len() - 1) as f64 / 2.0;
        for &row in tied {
            ranks[row] = shared;
        }
        before += tied.len();
    }
    let mean = (values.len() - 1) as f64 / 2.0;
    let norm = ranks.iter().map(|rank| (rank - mean).powi(2)).sum::<f64>().sqrt();
    ranks.iter().map(|rank| if norm > 0.0 { (rank - mean) / norm } else { 0.0 }).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
