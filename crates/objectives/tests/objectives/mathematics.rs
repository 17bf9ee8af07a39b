//! The identities of the mathematics page, and the ledger that judges them: it must be able to say no.

use elbo_objectives::identities::claim::REFUTATION_MARGIN;
use elbo_objectives::identities::quadrature::{
    argmax, derivative, half_line, interval, line, line_with_kinks, plane, supremum,
};
use elbo_objectives::identities::{Check, Claim, Kind, Ledger, Method, Options, check_all};
use std::collections::BTreeSet;

const EQUAL: Claim = Claim::equal("1", "", "equal", "left = right");
const AT_MOST: Claim = Claim::at_most("1", "", "at-most", "left ≤ right");

fn verdict(claim: Claim, sides: &[(f64, f64)]) -> Check {
    let mut ledger = Ledger::new(None);
    for &(left, right) in sides {
        ledger.next_model();
        ledger.compare(claim, left, right);
    }
    ledger.into_checks().remove(0)
}

fn all(seed: u64, models: usize, tolerance: Option<f64>) -> Vec<Check> {
    elbo_native::testing::single_thread();
    check_all(&Options { seed, models, tolerance })
}

/// On models that no default shows.
#[test]
fn every_claim_is_as_it_should_be_whatever_the_seed() {
    for seed in [2, 3, 4] {
        for check in all(seed, 12, None) {
            assert!(
                check.holds,
                "seed {seed}: {} ({}): {} against {}",
                check.name, check.statement, check.left, check.right
            );
        }
    }
}

/// Rounding alone is more than nothing: with a tolerance of 0 identities fail, so that a pass means that sides were compared. Inequalities
/// and refutations have slack of another order and stay.
#[test]
fn without_tolerance_rounding_fails_the_identities_alone() {
    let checks = all(1, 3, Some(0.0));
    let failing: Vec<&Check> = checks.iter().filter(|check| !check.holds).collect();
    assert!(failing.len() > 30, "{} fail", failing.len());
    assert!(failing.iter().all(|check| check.kind != Kind::Refutation && check.difference.abs() < 1e-7));
}

/// A wrong right side fails by its distance, in one model of many, and the ledger shows that model.
#[test]
fn a_wrong_right_side_fails() {
    let good = verdict(EQUAL, &[(1.0, 1.0), (2.0, 2.0 + 1e-12)]);
    assert!(good.holds && good.verdict() == "holds" && good.models == 2);
    let bad = verdict(EQUAL, &[(1.0, 1.0), (2.0, 2.0 + 1e-9), (3.0, 3.0)]);
    assert!(!bad.holds && bad.verdict() == "FAILS");
    assert_eq!((bad.left, bad.right), (2.0, 2.0 + 1e-9));
    assert_eq!(bad.models, 3);
}

/// The difference is relative to the larger side, and absolute near 0.
#[test]
fn differences_are_relative_to_the_larger_side_and_to_one_nat() {
    assert!(verdict(EQUAL, &[(1e6, 1e6 + 1e-5)]).holds);
    assert!(!verdict(EQUAL, &[(1e6, 1e6 + 1e-3)]).holds);
    assert!(verdict(EQUAL, &[(0.0, 1e-11)]).holds);
    assert!(!verdict(EQUAL, &[(0.0, 1e-9)]).holds);
    assert!(verdict(EQUAL.by_quadrature(), &[(0.0, 1e-9)]).holds);
    assert!(!verdict(EQUAL.by_quadrature(), &[(0.0, 1e-7)]).holds);
}

/// ≤ allows any slack and equality up to rounding; the least slack is shown.
#[test]
fn an_inequality_fails_on_one_side_only() {
    let good = verdict(AT_MOST, &[(0.0, 5.0), (1.0, 1.5), (-3.0, 0.0)]);
    assert!(good.holds);
    assert_eq!((good.left, good.right, good.difference), (1.0, 1.5, -0.5));
    assert!(verdict(AT_MOST, &[(1.0 + 1e-12, 1.0)]).holds);
    assert!(!verdict(AT_MOST, &[(0.0, 5.0), (1.0 + 1e-9, 1.0)]).holds);
}

/// A wrong form that fails nowhere is not refuted, and one counterexample refutes it.
#[test]
fn a_refutation_needs_a_counterexample() {
    let right = verdict(EQUAL.refuted(), &[(1.0, 1.0), (2.0, 2.0 + 1e-9)]);
    assert!(!right.holds && right.verdict() == "NOT REFUTED");
    let wrong = verdict(EQUAL.refuted(), &[(1.0, 1.0), (2.0, 2.5)]);
    assert!(wrong.holds && wrong.verdict() == "refuted, as it should be");
    assert!(verdict(AT_MOST.refuted(), &[(2.0, 1.0)]).holds);
    assert!(!verdict(AT_MOST.refuted(), &[(1.0, 2.0)]).holds);
}

/// What is not a number never holds, wherever it comes, and refutes nothing.
#[test]
fn not_a_number_fails() {
    for sides in
        [[(f64::NAN, 1.0), (1.0, 1.0)], [(1.0, 1.0), (1.0, f64::NAN)], [(f64::INFINITY, f64::INFINITY), (1.0, 1.0)]]
    {
        assert!(!verdict(EQUAL, &sides).holds);
        assert!(!verdict(AT_MOST, &sides).holds);
        assert!(!verdict(EQUAL.refuted(), &sides).holds);
    }
}

/// A tolerance from outside moves identities and inequalities, not what counts as refuted.
#[test]
fn the_tolerance_of_a_refutation_is_its_margin() {
    let mut ledger = Ledger::new(Some(0.25));
    for claim in [EQUAL, EQUAL.of("a row").refuted()] {
        ledger.compare(claim, 1.0, 1.2);
    }
    let checks = ledger.into_checks();
    let tolerances: Vec<u64> = checks.iter().map(|check| check.tolerance.to_bits()).collect();
    assert_eq!(tolerances, [0.25, REFUTATION_MARGIN].map(f64::to_bits));
    assert_eq!(checks[1].name, "equal: a row");
    assert!(checks.iter().all(|check| check.holds));
}

/// Names are what the page refers to, so that each stands for one claim; and every section with mathematics of its own is there.
#[test]
fn names_are_unique_and_all_sections_are_there() {
    let checks = all(1, 1, None);
    let names: BTreeSet<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names.len(), checks.len());
    let sections: BTreeSet<&str> = checks.iter().map(|check| check.section).collect();
    assert_eq!(sections, BTreeSet::from(["1", "2", "3", "3.1", "4", "5", "6", "7", "8", "9", "10"]));
    assert!(checks.iter().any(|check| check.method == Method::Quadrature));
}

/// The mathematics page says by which check each statement is held: none is missing in its section, none is named that does not exist, and
/// those in italics are the refutations.
#[test]
fn the_mathematics_page_names_every_check() {
    let page = include_str!("../../../../docs/mathematics.md");
    let checks = all(1, 1, None);
    let plain = |check: &Check| check.name.split(':').next().expect("a name").to_owned();
    for check in &checks {
        let name = plain(check);
        let heading = format!("{}. ", check.section.split('.').next().expect("a section"));
        let section = page.split("\n## ").find(|part| part.starts_with(&heading));
        let section = section.unwrap_or_else(|| panic!("§{} is not on the page", check.section));
        assert!(section.contains(&format!("`{name}`")), "docs/mathematics.md §{}: `{name}` is missing", check.section);
    }
    for paragraph in page.split("\n\n").filter(|paragraph| paragraph.starts_with("Checked")) {
        for (place, name) in paragraph.split('`').enumerate().skip(1).step_by(2) {
            let of_that_name: Vec<&Check> = checks.iter().filter(|check| plain(check) == name).collect();
            assert!(!of_that_name.is_empty(), "docs/mathematics.md: there is no check `{name}`");
            let italic = paragraph.split('`').nth(place - 1).expect("text before it").ends_with('*');
            let wrong = of_that_name.iter().all(|check| check.kind == Kind::Refutation);
            assert_eq!(italic, wrong, "docs/mathematics.md: `{name}` stands in italics exactly if it is refuted");
        }
    }
}

/// `∫ e^−z² = √π`, with and without pieces; `∫ e^−|z − 1| = 2` across its kink; `∫_0^1 √x = 2/3` with its steep end.
#[test]
fn the_rules_of_quadrature_give_known_integrals() {
    let bell = |z: f64| (-z * z).exp();
    let root = std::f64::consts::PI.sqrt();
    let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-13, "{value} for {expected}");
    near(line(bell), root);
    near(line_with_kinks(&[], bell), root);
    near(line_with_kinks(&[0.3], bell), root);
    near(line_with_kinks(&[-0.5, 0.3, 2.0], bell), root);
    near(plane(8.0, 0.125, |x, y| bell(x) * bell(y)), std::f64::consts::PI);
    near(half_line(|x| (-x).exp()), 1.0);
    near(line_with_kinks(&[1.0], |z| (-(z - 1.0).abs()).exp()), 2.0);
    near(interval(0.0, 1.0, f64::sqrt), 2.0 / 3.0);
    near(interval(-1.0, 3.0, |x| x * x), 28.0 / 3.0);
}

/// sin′ = cos, the top of −(x − 1.2)² stands at 1.2, and `sup_t 3t − t²` is 9/4.
#[test]
fn derivatives_and_maxima_are_sharp() {
    assert!((derivative(0.7, f64::sin) - 0.7_f64.cos()).abs() < 1e-13);
    assert!((argmax(-5.0, 9.0, |x| -(x - 1.2).powi(2)) - 1.2).abs() < 1e-12);
    assert!((supremum(0.0, 8.0, |t| 3.0 * t - t * t) - 2.25).abs() < 1e-14);
    assert!((supremum(0.0, 8.0, |t| -2.0 * t)).abs() < 1e-14);
}
