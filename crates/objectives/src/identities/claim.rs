//! What is compared, and the worst case of all comparisons.

use serde::Serialize;
use std::collections::HashMap;

/// How far a wrong form must be off, relatively, to count as refuted: far above any tolerance.
pub const REFUTATION_MARGIN: f64 = 1e-3;

/// What a claim says about its two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Left = right in every model.
    Identity,
    /// Left ≤ right in every model.
    Inequality,
    /// A printed or plausible form that is wrong: it must fail in at least one model.
    Refutation,
}

/// How the two sides are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Finite sums.
    Enumeration,
    /// Integrals.
    Quadrature,
}

impl Method {
    /// Greatest relative difference that counts as equal.
    ///
    /// Enumeration: sums of at most some thousand terms of order 1 lose about 1e-13, and numerical maxima and derivatives of such
    /// sums about 1e-12; 1e-10 leaves room for every seed. Quadrature: the rules are exact to rounding for these integrands, but
    /// derivatives of integrals divide by a step of 0.005 and heavy tails are cut at 20; 1e-8.
    pub const fn tolerance(self) -> f64 {
        match self {
            Self::Enumeration => 1e-10,
            Self::Quadrature => 1e-8,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    AtMost,
}

/// One statement of the mathematics page.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    section: &'static str,
    note: &'static str,
    name: &'static str,
    /// One of a family that shares name and statement: the row of a table.
    case: &'static str,
    statement: &'static str,
    relation: Relation,
    refuted: bool,
    method: Method,
}

impl Claim {
    /// Left = right. `section` of `docs/mathematics.md`; `note` is the note's equation, or empty.
    pub const fn equal(section: &'static str, note: &'static str, name: &'static str, statement: &'static str) -> Self {
        let (relation, method) = (Relation::Equal, Method::Enumeration);
        Self { section, note, name, case: "", statement, relation, refuted: false, method }
    }

    /// Left ≤ right.
    pub const fn at_most(
        section: &'static str,
        note: &'static str,
        name: &'static str,
        statement: &'static str,
    ) -> Self {
        Self { relation: Relation::AtMost, ..Self::equal(section, note, name, statement) }
    }

    /// The same statement, which is wrong: expected to fail.
    pub const fn refuted(self) -> Self {
        Self { refuted: true, ..self }
    }

    /// The same statement, computed by quadrature.
    pub const fn by_quadrature(self) -> Self {
        Self { method: Method::Quadrature, ..self }
    }

    /// The same statement for one row of a table.
    pub const fn of(self, case: &'static str) -> Self {
        Self { case, ..self }
    }

    fn kind(&self) -> Kind {
        match (self.refuted, self.relation) {
            (true, _) => Kind::Refutation,
            (false, Relation::Equal) => Kind::Identity,
            (false, Relation::AtMost) => Kind::Inequality,
        }
    }

    /// How far the statement is from true, relative to the larger side and to 1 nat: sides near 0 are compared absolutely.
    fn excess(&self, left: f64, right: f64) -> f64 {
        let difference = match self.relation {
            Relation::Equal => (left - right).abs(),
            Relation::AtMost => left - right,
        };
        difference / left.abs().max(right.abs()).max(1.0)
    }
}

/// A claim after all comparisons: the pair of sides that is furthest from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Section of `docs/mathematics.md`.
    pub section: &'static str,
    /// Equation of the note; empty where the note has none.
    pub note: &'static str,
    /// Name, by which the mathematics page refers to it.
    pub name: String,
    /// The formula.
    pub statement: &'static str,
    /// What is said about the two sides.
    pub kind: Kind,
    /// How they were computed.
    pub method: Method,
    /// Models in which the sides were compared.
    pub models: usize,
    /// Comparisons in all of them.
    pub comparisons: usize,
    /// Left side of the worst comparison (of a refutation: the clearest).
    pub left: f64,
    /// Right side of it.
    pub right: f64,
    /// Left − right.
    pub difference: f64,
    /// The difference relative to the larger side and to 1: its size for an equation, signed for `≤` (negative is slack).
    pub relative: f64,
    /// An identity or inequality holds up to it; a refutation needs more than it.
    pub tolerance: f64,
    /// Whether the claim is as it should be: a refutation holds when the wrong form fails.
    pub holds: bool,
    #[serde(skip)]
    last_model: usize,
}

impl Check {
    /// One word or two.
    pub fn verdict(&self) -> &'static str {
        match (self.kind, self.holds) {
            (Kind::Refutation, true) => "refuted, as it should be",
            (Kind::Refutation, false) => "NOT REFUTED",
            (_, true) => "holds",
            (_, false) => "FAILS",
        }
    }

    /// Keeps the comparison if it is worse than those before. What is not a number is the worst for what should hold, and proves nothing
    /// for a refutation.
    fn record(&mut self, left: f64, right: f64, relative: f64) {
        self.comparisons += 1;
        let refutation = self.kind == Kind::Refutation;
        let rank = |relative: f64| match (relative.is_nan(), refutation) {
            (false, _) => relative,
            (true, true) => f64::NEG_INFINITY,
            (true, false) => f64::INFINITY,
        };
        if self.comparisons == 1 || rank(relative) > rank(self.relative) {
            (self.left, self.right, self.difference, self.relative) = (left, right, left - right, relative);
        }
        // Written so that what is not a number does not hold.
        self.holds = if refutation { self.relative > self.tolerance } else { self.relative <= self.tolerance };
    }
}

/// All claims seen so far.
#[derive(Debug, Default)]
pub struct Ledger {
    tolerance: Option<f64>,
    model: usize,
    checks: Vec<Check>,
    places: HashMap<(&'static str, &'static str), usize>,
}

impl Ledger {
    /// An empty ledger. `tolerance` stands in for [`Method::tolerance`]; refutations keep [`REFUTATION_MARGIN`].
    pub fn new(tolerance: Option<f64>) -> Self {
        Self { tolerance, ..Self::default() }
    }

    /// Comparisons from here on belong to another model.
    pub fn next_model(&mut self) {
        self.model += 1;
    }

    /// Compares the two sides of `claim` in the present model.
    pub fn compare(&mut self, claim: Claim, left: f64, right: f64) {
        let place = *self.places.entry((claim.name, claim.case)).or_insert(self.checks.len());
        if place == self.checks.len() {
            self.checks.push(self.opened(&claim));
        }
        let check = &mut self.checks[place];
        if check.last_model != self.model || check.models == 0 {
            (check.models, check.last_model) = (check.models + 1, self.model);
        }
        check.record(left, right, claim.excess(left, right));
    }

    /// The checks by section; within one in the order of their first comparison, the cases of a claim together.
    pub fn into_checks(self) -> Vec<Check> {
        let number = |check: &Check| check.section.parse::<f64>().expect("a section is a number");
        let mut first = HashMap::new();
        for (&(name, _), &place) in &self.places {
            let earliest = first.entry(name).or_insert(place);
            *earliest = place.min(*earliest);
        }
        let mut order: Vec<(usize, usize)> =
            self.places.iter().map(|((name, _), &place)| (first[name], place)).collect();
        order.sort_unstable();
        let mut checks: Vec<Check> = order.into_iter().map(|(_, place)| self.checks[place].clone()).collect();
        checks.sort_by(|one, other| number(one).total_cmp(&number(other)));
        checks
    }

    fn opened(&self, claim: &Claim) -> Check {
        let usual = self.tolerance.unwrap_or(claim.method.tolerance());
        let separator = if claim.case.is_empty() { "" } else { ": " };
        Check {
            section: claim.section,
            note: claim.note,
            name: format!("{}{separator}{}", claim.name, claim.case),
            statement: claim.statement,
            kind: claim.kind(),
            method: claim.method,
            models: 0,
            comparisons: 0,
            left: f64::NAN,
            right: f64::NAN,
            difference: f64::NAN,
            relative: f64::NAN,
            tolerance: if claim.refuted { REFUTATION_MARGIN } else { usual },
            holds: false,
            last_model: 0,
        }
    }
}
