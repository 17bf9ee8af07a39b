//! The mixture in blocks with its gradient by hand, against the plain form under autograd.

use crate::setting::{Codes, DOUBLE, assert_near, generator, number};
use elbo_core::Gaussian;
use elbo_objectives::Estimator;
use elbo_objectives::estimator::{Densities, MemoryBudget, Points, pairwise_log_density};
use tch::{Device, Kind, Tensor};

const DATASET_LEN: i64 = 30;
/// Small enough that a block is one point, and large enough that all points are one block.
const BUDGETS: [MemoryBudget; 3] = [MemoryBudget(1), MemoryBudget(3 * 8 * 3 * 6 * 2), MemoryBudget(1 << 20)];

/// `log q(z_g)` and `log q(z_d)` as the formulas have them.
fn plain(codes: &Codes, log_weights: &Tensor, groups: &[Vec<i64>]) -> (Tensor, Tensor) {
    let pairwise = pairwise_log_density(&codes.z, &codes.mean, &codes.log_var);
    let group = |dimensions: &Vec<i64>| {
        let chosen = pairwise.index_select(0, &Tensor::from_slice(dimensions));
        (chosen.sum_dim_intlist(0, false, None) + log_weights).logsumexp(-1, false)
    };
    let joint = Tensor::stack(&groups.iter().map(group).collect::<Vec<_>>(), 1);
    (joint, (&pairwise + log_weights).logsumexp(-1, false).transpose(0, 1))
}

fn gradients(loss: &Tensor, codes: &Codes) -> Vec<Tensor> {
    Tensor::run_backward(&[loss], &[&codes.z, &codes.mean, &codes.log_var], true, false)
}

fn dataset_len(estimator: Estimator, batch: i64) -> i64 {
    if estimator == Estimator::Exact { batch } else { DATASET_LEN }
}

/// Values and gradients of every estimator, for the joint, for overlapping groups, under any cotangent, at every budget.
#[test]
fn blocks_equal_the_plain_form() {
    let codes = Codes::random(6, 3, 21).leaves();
    let groups = [vec![0, 1, 2], vec![0, 2], vec![1], vec![2, 1]];
    let noise = generator(22);
    for &estimator in Estimator::ALL {
        let n = dataset_len(estimator, 6);
        let (joint, marginals) = plain(&codes, &estimator.log_weights(0..6, 6, n, DOUBLE), &groups);
        let cotangents = [noise.normal(&joint.size(), Kind::Double), noise.normal(&marginals.size(), Kind::Double)];
        for budget in BUDGETS {
            let found = estimator.group_densities(Points::of_each_row(&codes.z), &codes.gaussian(), n, &groups, budget);
            assert_near(&found.groups, &joint, 1e-12);
            assert_near(&found.marginals, &marginals, 1e-12);
            let weighted = |groups: &Tensor, marginals: &Tensor| {
                [
                    (groups * &cotangents[0]).sum(None::<Kind>),
                    (marginals * &cotangents[1]).sum(None::<Kind>),
                    (groups * &cotangents[0]).sum(None::<Kind>)
                        + (marginals * &cotangents[1]).square().sum(None::<Kind>),
                ]
            };
            let pairs = weighted(&found.groups, &found.marginals).into_iter().zip(weighted(&joint, &marginals));
            for (ours, theirs) in pairs {
                for (ours, theirs) in gradients(&ours, &codes).iter().zip(gradients(&theirs, &codes)) {
                    assert_near(ours, &theirs, 1e-10);
                }
            }
        }
    }
}

/// Seven points of six rows, some rows twice and some not at all: the weights follow the row that a point was drawn from.
#[test]
fn points_may_belong_to_any_row() {
    let codes = Codes::random(6, 3, 23);
    let own = [0_i64, 5, 5, 2, 1, 0, 3];
    let z = codes.rows(&own).z.set_requires_grad(true);
    let rows = codes.leaves();
    for &estimator in Estimator::ALL {
        let n = dataset_len(estimator, 6);
        let whole = estimator.log_weights(0..6, 6, n, DOUBLE);
        let weights = whole.index_select(0, &Tensor::from_slice(&own));
        let points =
            Codes { z: z.shallow_clone(), mean: rows.mean.shallow_clone(), log_var: rows.log_var.shallow_clone() };
        let (joint, marginals) = plain(&points, &weights, &[vec![0, 1, 2]]);
        for budget in BUDGETS {
            let named = Points { z: &z, own: Some(&Tensor::from_slice(&own)) };
            let found = Densities::estimate_at(estimator, &rows.gaussian(), named, n, budget);
            assert_near(&found.joint, &joint.squeeze_dim(1), 1e-12);
            assert_near(&found.marginals, &marginals, 1e-12);
            let conditional: Vec<Tensor> = own
                .iter()
                .enumerate()
                .map(|(point, &row)| {
                    let row = |t: &Tensor| t.narrow(0, row, 1);
                    Gaussian::new(row(&rows.mean), row(&rows.log_var)).log_density(&z.narrow(0, point as i64, 1))
                })
                .collect();
            assert_near(&found.conditional, &Tensor::cat(&conditional, 0), 1e-12);
            let loss = |joint: &Tensor, marginals: &Tensor| {
                joint.sin().sum(None::<Kind>) + marginals.square().sum(None::<Kind>)
            };
            let (ours, theirs) = (loss(&found.joint, &found.marginals), loss(&joint.squeeze_dim(1), &marginals));
            for (ours, theirs) in gradients(&ours, &points).iter().zip(gradients(&theirs, &points)) {
                assert_near(ours, &theirs, 1e-10);
            }
        }
    }
}

/// The joint by matrix products in float64 equals the differences for float32 codes, value and gradient, down to σ = 10⁻³, where the same
/// products in float32 are off by whole nats.
#[test]
fn the_joint_by_products_keeps_its_digits_where_float32_products_lose_them() {
    let noise = generator(24);
    for log_sigma in [0.0, -3.0, 1e-3_f64.ln()] {
        let mean = noise.normal(&[40, 5], Kind::Float);
        let log_var = noise.normal(&[40, 5], Kind::Float) * 0.1 + 2.0 * log_sigma;
        let narrow = Codes::sampled(mean, log_var, &noise).leaves();
        let wide = |t: &Tensor| t.detach().to_kind(Kind::Double).set_requires_grad(true);
        let exact = Codes { z: wide(&narrow.z), mean: wide(&narrow.mean), log_var: wide(&narrow.log_var) };
        for &estimator in Estimator::ALL {
            let n = dataset_len(estimator, 40).max(40);
            let budget = MemoryBudget(3 * 8 * 40 * 7);
            let found = estimator.log_joint(&narrow.z, &narrow.gaussian(), n, budget);
            let truth = Densities::estimate(estimator, &exact.gaussian(), &exact.z, n).joint;
            assert_eq!(found.kind(), Kind::Float);
            assert_near(&found.to_kind(Kind::Double), &truth, 2e-5);
            for (ours, theirs) in gradients(&found.mean(None), &narrow).iter().zip(gradients(&truth.mean(None), &exact))
            {
                let scale = number(&theirs.abs().max()).max(1e-3);
                assert_near(&(ours.to_kind(Kind::Double) / scale), &(theirs / scale), 1e-5);
            }
        }
        let precision = (-&narrow.log_var).exp();
        let products = narrow.z.square().matmul(&precision.transpose(0, 1)) * -0.5
            + narrow.z.matmul(&(&narrow.mean * &precision).transpose(0, 1))
            - (narrow.mean.square() * &precision).sum_dim_intlist(-1, false, None) * 0.5;
        let differences = (narrow.z.unsqueeze(1) - &narrow.mean).square() * precision * -0.5;
        let own = |t: &Tensor| t.diag(0).detach().to_kind(Kind::Double);
        let lost = number(&(own(&products) - own(&differences.sum_dim_intlist(-1, false, None))).abs().max());
        assert!(if log_sigma < -6.0 { lost > 0.5 } else { lost < 0.1 }, "σ = {}: {lost}", log_sigma.exp());
    }
}

/// B = 2048, D = 64, widths down to 10⁻³: joint and product of marginals within 10⁻⁴ of their own size.
#[test]
fn float32_is_within_a_ten_thousandth_of_float64() {
    let noise = generator(25);
    let mean = noise.normal(&[2048, 64], Kind::Float);
    // Between 10⁻³ and 1, evenly in the logarithm.
    let log_var = noise.uniform(&[2048, 64], Kind::Float) * (2.0 * 1e-3_f64.ln());
    let narrow = Codes::sampled(mean, log_var, &noise);
    let wide = |t: &Tensor| t.to_kind(Kind::Double);
    // Every 16th point: the rows do not depend on each other.
    let own = Tensor::arange(128, (Kind::Int64, Device::Cpu)) * 16;
    let z = narrow.z.index_select(0, &own);
    for estimator in [Estimator::Mws, Estimator::Balanced] {
        let budget = MemoryBudget::of(Device::Cpu);
        let points = Points { z: &z, own: Some(&own) };
        let found = Densities::estimate_at(estimator, &narrow.gaussian(), points, 737_280, budget);
        let (z, posterior) = (wide(&z), Gaussian::new(wide(&narrow.mean), wide(&narrow.log_var)));
        let truth = Densities::estimate_at(estimator, &posterior, Points { z: &z, own: Some(&own) }, 737_280, budget);
        let product = |densities: &Densities| wide(&densities.marginals).sum_dim_intlist(-1, false, None);
        let size = truth.joint.abs() + product(&truth).abs();
        for (ours, theirs) in [(wide(&found.joint), truth.joint.shallow_clone()), (product(&found), product(&truth))] {
            let worst = number(&((ours - theirs).abs() / &size).max());
            assert!(worst < 1e-4, "{estimator}: {worst:e}");
        }
    }
}

/// σ → 0, huge means, equal codes, a batch of two: finite values and gradients in float32.
#[test]
fn extreme_codes_give_finite_values_and_gradients() {
    let noise = generator(26);
    let float = (Kind::Float, Device::Cpu);
    for (name, mean, log_var) in [
        ("narrow", noise.normal(&[8, 3], Kind::Float), Tensor::full([8, 3], -60.0, float)),
        ("very narrow", noise.normal(&[8, 3], Kind::Float), Tensor::full([8, 3], -100.0, float)),
        ("far", noise.normal(&[8, 3], Kind::Float) * 1e6, Tensor::zeros([8, 3], float)),
        ("equal", Tensor::zeros([8, 3], float), Tensor::zeros([8, 3], float)),
        ("wide", noise.normal(&[2, 3], Kind::Float), Tensor::full([2, 3], 60.0, float)),
    ] {
        let codes = Codes::sampled(mean, log_var, &noise).leaves();
        for &estimator in Estimator::ALL {
            let n = dataset_len(estimator, codes.z.size()[0]);
            let found = Densities::estimate(estimator, &codes.gaussian(), &codes.z, n);
            let loss = found.joint.mean(None) + found.marginals.mean(None);
            let all = gradients(&loss, &codes).into_iter().chain([loss]);
            for value in all {
                assert!(
                    bool::try_from(value.isfinite().all()).expect("a truth value"),
                    "{name}, {estimator}: {value:?}"
                );
            }
        }
    }
}
