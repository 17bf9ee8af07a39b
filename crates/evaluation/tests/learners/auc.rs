use elbo_evaluation::learners::auc::Ranking;
use fastrand::Rng;

/// Of the four pairs of a positive and a negative, (0.35, 0.4) alone is in the wrong order.
#[test]
fn one_of_four_pairs_out_of_order_leaves_three_quarters() {
    let ranking = Ranking::new(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]);
    assert_eq!(ranking.area(None), Some(0.75));
}

/// The definition: all pairs, ties half; a row that counts three times is three rows.
#[test]
fn the_area_is_the_share_of_pairs_in_order_and_ties_are_half() {
    let mut rng = Rng::with_seed(1);
    let scores: Vec<f64> = (0..60).map(|_| rng.u8(..9).into()).collect();
    let positive: Vec<bool> = scores.iter().map(|score| rng.f64() * 9.0 < *score).collect();
    let counts: Vec<u32> = (0..60).map(|_| rng.u32(..4)).collect();
    let pairs = |counts: &[u32]| {
        let (mut won, mut all) = (0.0, 0.0);
        for i in (0..60).filter(|&i| positive[i]) {
            for j in (0..60).filter(|&j| !positive[j]) {
                let weight = f64::from(counts[i] * counts[j]);
                all += weight;
                won += weight * f64::midpoint(f64::from(scores[i].total_cmp(&scores[j]) as i8), 1.0);
            }
        }
        won / all
    };
    let ranking = Ranking::new(&scores, &positive);
    assert!((ranking.area(None).expect("both kinds") - pairs(&[1; 60])).abs() < 1e-14);
    assert!((ranking.area(Some(&counts)).expect("both kinds") - pairs(&counts)).abs() < 1e-14);
}

#[test]
fn there_is_no_area_without_positives_or_without_negatives() {
    assert_eq!(Ranking::new(&[1.0, 2.0], &[true, true]).area(None), None);
    assert_eq!(Ranking::new(&[1.0, 2.0], &[false, false]).area(None), None);
    assert_eq!(Ranking::new(&[1.0, 2.0], &[false, true]).area(Some(&[3, 0])), None);
}
