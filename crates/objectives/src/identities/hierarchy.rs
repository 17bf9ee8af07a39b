//! §5: the hierarchical decomposition (HFVAE), with groups and with groups of groups.

use super::aggregate::dimension_wise_kl;
use super::discrete::{Discrete, kl};
use super::{Claim, Ledger};

const GROUPS: Claim = Claim::equal("5", "", "hfvae-groups", "E KL = MI + TC(groups) + Σ_g TC(within g) + Σ_d KL_d");
const NESTED: Claim =
    Claim::equal("5", "", "hfvae-nested", "E KL = MI + TC at every depth of [[[0,1],2],3] + Σ_d KL_d");
const BETWEEN: Claim = Claim::at_most("5", "", "hfvae-tc-of-groups", "TC between groups ≤ TC between dimensions");

/// For a model of four coordinates.
pub(super) fn check(ledger: &mut Ledger, model: &Discrete) {
    let q = model.aggregate();
    let mean_kl = model.data_mean(|x| kl(&model.encoder[x], &model.prior));
    let rest = model.data_mean(|x| kl(&model.encoder[x], &q)) + dimension_wise_kl(model, &q, &model.prior);
    let tc = |groups: &[&[usize]]| total_correlation(model, &q, groups);

    let between = tc(&[&[0, 1], &[2, 3]]);
    ledger.compare(GROUPS, mean_kl, rest + between + tc(&[&[0], &[1]]) + tc(&[&[2], &[3]]));
    ledger.compare(NESTED, mean_kl, rest + tc(&[&[0, 1, 2], &[3]]) + tc(&[&[0, 1], &[2]]) + tc(&[&[0], &[1]]));
    ledger.compare(BETWEEN, between, tc(&[&[0], &[1], &[2], &[3]]));
}

/// `KL(q(z_G) ‖ Π_g q(z_g))`, G the union of the groups.
fn total_correlation(model: &Discrete, q: &[f64], groups: &[&[usize]]) -> f64 {
    let union = groups.concat();
    let table = model.marginal(q, &union);
    let inner = Discrete { levels: union.iter().map(|&d| model.levels[d]).collect(), ..model.clone() };
    let position = |d: &usize| union.iter().position(|other| other == d).expect("a coordinate of the union");
    let groups: Vec<Vec<usize>> = groups.iter().map(|group| group.iter().map(position).collect()).collect();
    kl(&table, &inner.product_of_marginals(&table, &groups))
}
