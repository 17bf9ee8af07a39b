//! How many modes a distribution of (μ, τ) has.
//!
//! The posterior's two differ by the sign of τ, and its density falls to a quarter of the peaks between them. So modes are counted along
//! τ, by one rule for every approximation and for the exact marginal.

/// A valley parts two peaks where the density falls below this share of the lower one.
const VALLEY: f64 = 0.8;
/// A mode holds at least this share of the mass.
const LEAST_SHARE: f64 = 0.1;

/// Peaks of `density` on even points that are parted by valleys below 0.8 of the lower peak, and hold a tenth of the mass between their
/// valleys.
pub fn modes(density: &[f64]) -> usize {
    let total: f64 = density.iter().sum();
    // Alternately a peak and the lowest point before the next one.
    let mut peaks: Vec<usize> = (0..density.len())
        .filter(|&i| {
            let before = i.checked_sub(1).map_or(f64::NEG_INFINITY, |before| density[before]);
            let after = density.get(i + 1).copied().unwrap_or(f64::NEG_INFINITY);
            density[i] > before && density[i] >= after && density[i] > 0.0
        })
        .collect();
    let lowest = |a: usize, b: usize| (a..=b).min_by(|&i, &j| density[i].total_cmp(&density[j])).unwrap_or(a);
    loop {
        let depth = |pair: &[usize]| density[lowest(pair[0], pair[1])] / density[pair[0]].min(density[pair[1]]);
        let shallow = peaks.windows(2).enumerate().max_by(|a, b| depth(a.1).total_cmp(&depth(b.1)));
        match shallow {
            Some((index, pair)) if depth(pair) > VALLEY => {
                let lower = if density[pair[0]] < density[pair[1]] { index } else { index + 1 };
                peaks.remove(lower);
            }
            _ => break,
        }
    }
    let mut edges = vec![0];
    edges.extend(peaks.windows(2).map(|pair| lowest(pair[0], pair[1])));
    edges.push(density.len());
    let share = |pair: &&[usize]| density[pair[0]..pair[1]].iter().sum::<f64>() / total >= LEAST_SHARE;
    edges.windows(2).filter(share).count()
}

/// The density of `values` on even `points`: a histogram, smoothed by a Gaussian of standard deviation `bandwidth`. Values beyond the
/// ends are left out; what is left integrates to the share of values that is inside.
pub fn smoothed(values: &[f64], points: &[f64], bandwidth: f64) -> Vec<f64> {
    let spacing = points[1] - points[0];
    let mut counts = vec![0.0; points.len()];
    for value in values {
        let place = ((value - points[0]) / spacing).round();
        if place >= 0.0 && (place as usize) < counts.len() {
            counts[place as usize] += 1.0;
        }
    }
    let scale = 1.0 / (values.len() as f64 * bandwidth * std::f64::consts::TAU.sqrt());
    let kernel = |distance: f64| (-0.5 * (distance / bandwidth).powi(2)).exp();
    points
        .iter()
        .map(|x| points.iter().zip(&counts).map(|(y, count)| count * kernel(x - y)).sum::<f64>() * scale)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: one peak; two with a deep valley; two with a valley of 0.9; a second peak with a twentieth of the mass; a plateau.
    #[test]
    fn peaks_count_that_are_parted_and_heavy() {
        assert_eq!(modes(&[0.0, 1.0, 3.0, 2.0, 0.0]), 1);
        assert_eq!(modes(&[0.0, 3.0, 1.0, 2.0, 0.0]), 2);
        assert_eq!(modes(&[0.0, 3.0, 1.8, 2.0, 0.0]), 1);
        assert_eq!(modes(&[9.0, 10.0, 0.0, 1.0, 0.0]), 1);
        assert_eq!(modes(&[0.0, 2.0, 2.0, 0.0]), 1);
        assert_eq!(modes(&[0.0, 3.0, 1.0, 3.0, 1.0, 3.0]), 3);
    }

    /// One value smoothed is the Gaussian itself; it integrates to 1.
    #[test]
    fn one_value_becomes_a_gaussian() {
        let points: Vec<f64> = (-40..=40).map(|i| f64::from(i) * 0.1).collect();
        let density = smoothed(&[0.5], &points, 0.3);
        let at = |i: usize| (-0.5 * ((points[i] - 0.5) / 0.3).powi(2)).exp() / (0.3 * std::f64::consts::TAU.sqrt());
        assert!((0..points.len()).all(|i| (density[i] - at(i)).abs() < 1e-12));
        assert!((density.iter().sum::<f64>() * 0.1 - 1.0).abs() < 1e-9);
    }
}
