use elbo_evaluation::learners::tree::{Columns, Grown, Tree};
use fastrand::Rng;

/// Rows of three features, and whole-numbered targets, whose sums have no rounding.
fn problem(count: usize, seed: u64) -> (Vec<[f64; 3]>, Vec<f64>) {
    let mut rng = Rng::with_seed(seed);
    let rows: Vec<[f64; 3]> = (0..count).map(|_| [rng.f64(), f64::from(rng.u8(..6)), rng.f64()]).collect();
    let target = |x: &[f64; 3]| (8.0 * (4.0 * x[0]).sin() + 3.0 * x[1] * x[2] + 2.0 * rng.f64()).round();
    let targets = rows.iter().map(target).collect();
    (rows, targets)
}

fn grow(rows: &[[f64; 3]], targets: &[f64], weights: Option<&[u32]>, depth: usize) -> Grown {
    let columns = Columns::new(rows.as_flattened(), 3);
    Tree::grow(&columns, targets, weights, depth, &mut Rng::with_seed(7))
}

/// Sum of squared deviations from the mean.
fn deviation(targets: &[f64], rows: &[usize]) -> f64 {
    let mean = rows.iter().map(|&row| targets[row]).sum::<f64>() / rows.len() as f64;
    rows.iter().map(|&row| (targets[row] - mean).powi(2)).sum()
}

/// By how much each feature's best threshold lowers the squared deviations of some rows, over all thresholds between two of their values.
fn best_gains(x: &[[f64; 3]], targets: &[f64], rows: &[usize]) -> [f64; 3] {
    [0, 1, 2].map(|feature| {
        let gain = |threshold: f64| {
            let (left, right): (Vec<usize>, Vec<usize>) = rows.iter().partition(|&&row| x[row][feature] <= threshold);
            if right.is_empty() {
                return f64::NEG_INFINITY;
            }
            deviation(targets, rows) - deviation(targets, &left) - deviation(targets, &right)
        };
        rows.iter().map(|&row| gain(x[row][feature])).fold(f64::NEG_INFINITY, f64::max)
    })
}

/// Every node of the tree is held against all features and all thresholds, tried one by one.
#[test]
fn every_split_is_the_best_of_all() {
    let (x, targets) = problem(120, 1);
    let grown = grow(&x, &targets, None, 3);
    let mut gains = [0.0; 3];
    let mut stack = vec![(0, (0..120).collect::<Vec<usize>>())];
    let mut splits = 0;
    while let Some((node, rows)) = stack.pop() {
        let Some(split) = grown.tree.split(node) else {
            assert!(rows.iter().all(|&row| grown.leaves[row] == node), "rows of leaf {node}");
            assert!(node >= 7 || deviation(&targets, &rows) < 1e-9, "node {node} was left unsplit");
            continue;
        };
        splits += 1;
        let best = best_gains(&x, &targets, &rows);
        let (left, right): (Vec<usize>, Vec<usize>) =
            rows.iter().partition(|&&row| x[row][split.feature] <= split.threshold);
        let gain = deviation(&targets, &rows) - deviation(&targets, &left) - deviation(&targets, &right);
        // Rounding only.
        assert!((gain - best.into_iter().fold(0.0, f64::max)).abs() < 1e-9, "node {node}: {gain} of {best:?}");
        let edge = |rows: &[usize], pick: fn(f64, f64) -> f64, start| {
            rows.iter().map(|&row| x[row][split.feature]).fold(start, pick)
        };
        let (below, above) = (edge(&left, f64::max, f64::NEG_INFINITY), edge(&right, f64::min, f64::INFINITY));
        assert!((split.threshold - f64::midpoint(below, above)).abs() < 1e-15);
        gains[split.feature] += gain;
        stack.extend([(2 * node + 1, left), (2 * node + 2, right)]);
    }
    assert!(splits == 7, "a tree of depth 3 on noisy targets has 7 splits, got {splits}");
    for (ours, gain) in grown.gains.iter().zip(gains) {
        assert!((ours - gain).abs() < 1e-9, "{ours} for {gain}");
    }
}

/// With whole-numbered targets all sums are exact, so that both trees are the same to the last bit.
#[test]
fn a_weight_is_as_many_rows() {
    let (x, targets) = problem(80, 2);
    let mut rng = Rng::with_seed(3);
    let weights: Vec<u32> = (0..80).map(|_| rng.u32(1..4)).collect();
    let often = |row: usize| std::iter::repeat_n(row, weights[row] as usize);
    let repeated: Vec<usize> = (0..80).flat_map(often).collect();
    let many = grow(
        &repeated.iter().map(|&row| x[row]).collect::<Vec<_>>(),
        &repeated.iter().map(|&row| targets[row]).collect::<Vec<_>>(),
        None,
        3,
    );
    let weighted = grow(&x, &targets, Some(&weights), 3);
    assert_eq!((weighted.tree, weighted.gains), (many.tree, many.gains));
    assert_ne!(weighted.leaves.len(), many.leaves.len());
}

#[test]
fn equal_targets_and_constant_features_are_not_split() {
    let (x, _) = problem(20, 4);
    assert_eq!(grow(&x, &[1.5; 20], None, 3).leaves, [0; 20]);
    let targets: Vec<f64> = (0..20).map(f64::from).collect();
    assert_eq!(grow(&[[1.0, 2.0, 3.0]; 20], &targets, None, 3).leaves, [0; 20]);
    let mut zeros = [[0.0; 3]; 20];
    zeros[3] = [-0.0; 3];
    zeros[5] = [f64::NAN; 3];
    assert_eq!(grow(&zeros, &targets, None, 3).leaves, [0; 20]);
}
