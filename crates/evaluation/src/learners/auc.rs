//! Area under the ROC curve: the chance that a positive row has a higher score than a negative one.
//!
//! ```text
//! AUC = P(s⁺ > s⁻) + 1/2 P(s⁺ = s⁻)                              Hanley & McNeil 1982
//! ```

/// Rows in the order of their scores, so that the area can be taken again and again with other counts.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// Row and whether it is positive, lowest score first.
    rows: Vec<(usize, bool)>,
    /// Where each group of equal scores ends.
    ends: Vec<usize>,
}

impl Ranking {
    /// Of one score and one mark a row.
    pub fn new(scores: &[f64], positive: &[bool]) -> Self {
        assert_eq!(scores.len(), positive.len(), "one score and one mark a row");
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(a.cmp(&b)));
        let differs =
            |&place: &usize| place == order.len() || scores[order[place]].total_cmp(&scores[order[place - 1]]).is_ne();
        Self {
            ends: (1..=order.len()).filter(differs).collect(),
            rows: order.iter().map(|&row| (row, positive[row])).collect(),
        }
    }

    /// The area with each row counted as often as `counts` says; once for `None`.
    ///
    /// `None` where positive or negative rows are missing, and the area has no meaning.
    pub fn area(&self, counts: Option<&[u32]>) -> Option<f64> {
        let (mut positives, mut negatives, mut pairs) = (0.0, 0.0, 0.0);
        let mut start = 0;
        for &end in &self.ends {
            let (mut here, mut below) = (0.0, 0.0);
            for &(row, positive) in &self.rows[start..end] {
                let count = counts.map_or(1.0, |counts| f64::from(counts[row]));
                *(if positive { &mut here } else { &mut below }) += count;
            }
            pairs += here * (negatives + 0.5 * below);
            positives += here;
            negatives += below;
            start = end;
        }
        (positives > 0.0 && negatives > 0.0).then(|| pairs / (positives * negatives))
    }
}
