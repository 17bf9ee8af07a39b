//! Every objective holds the exported suite: one line of the table each.

use elbo_objectives::capacity::Capacity;
use elbo_objectives::testing::Conformance;
use elbo_objectives::{BetaTcVae, BetaVae, Elbo, Estimator, FreeBits, Iwae, Objective, StickingTheLanding};
use serde::de::DeserializeOwned;

const README: &str = include_str!("../../README.md");

/// A line of the table.
struct Case {
    name: String,
    objective: Box<dyn Objective>,
    plain: Option<Box<dyn Objective>>,
    batch: i64,
    dataset_len: i64,
    latent: i64,
}

/// An objective as a configuration has it, 6 examples of 50, 4 latent dimensions.
fn case<O: DeserializeOwned + Objective + 'static>(name: &str, json: &str) -> Case {
    let objective = serde_json::from_str::<O>(json).unwrap_or_else(|error| panic!("{name}: {json}: {error}"));
    let name = format!("{name} {json}");
    Case { name, objective: Box::new(objective), plain: None, batch: 6, dataset_len: 50, latent: 4 }
}

impl Case {
    /// The batch is the data set.
    fn of_the_whole_data_set(self) -> Self {
        let name = format!("{} of the whole data set", self.name);
        Self { name, dataset_len: self.batch, ..self }
    }

    /// Its gradient is `plain`'s in the mean over noise.
    fn surrogate_of<O: DeserializeOwned + Objective + 'static>(self, json: &str) -> Self {
        Self { plain: Some(case::<O>("plain", json).objective), ..self }
    }
}

fn table() -> Vec<Case> {
    let mut table = vec![
        case::<Elbo>("elbo", "{}"),
        case::<BetaVae>("beta-vae", r#"{"beta":0}"#),
        case::<BetaVae>("beta-vae", r#"{"beta":4}"#),
        case::<BetaVae>("beta-vae", r#"{"beta":{"schedule":"linear","from":0,"to":4,"steps":1000}}"#),
        case::<BetaVae>("beta-vae", r#"{"beta":{"schedule":"cosine","from":0,"to":4,"steps":1000}}"#),
        case::<BetaVae>("beta-vae", r#"{"beta":{"schedule":"cyclical","from":0,"to":4,"steps":1000}}"#),
        case::<FreeBits>("free-bits", r#"{"free_nats":0,"beta":1}"#),
        case::<FreeBits>("free-bits", r#"{"free_nats":0.5,"beta":2}"#),
        case::<FreeBits>("free-bits", r#"{"free_nats":1000,"beta":1}"#),
        case::<Iwae>("iwae", r#"{"samples":1,"gradient":"plain"}"#),
        case::<Iwae>("iwae", r#"{"samples":5,"gradient":"plain"}"#),
        case::<Iwae>("iwae", r#"{"samples":1,"gradient":"dreg"}"#)
            .surrogate_of::<Iwae>(r#"{"samples":1,"gradient":"plain"}"#),
        case::<Iwae>("iwae", r#"{"samples":5,"gradient":"dreg"}"#)
            .surrogate_of::<Iwae>(r#"{"samples":5,"gradient":"plain"}"#),
        case::<StickingTheLanding>("sticking-the-landing", "{}").surrogate_of::<Elbo>("{}"),
    ];
    for form in ["batch-mean", "per-sample"] {
        let ramp = format!(r#""start_capacity":0,"max_capacity":1.5,"ramp_steps":100,"form":"{form}""#);
        table.push(case::<Capacity>("capacity", &format!(r#"{{"capacity_weight":1000,{ramp},"target":"kl"}}"#)));
        for estimator in ["uniform", "mss", "balanced"] {
            let target = format!(r#""target":"mutual-information","estimator":"{estimator}""#);
            table.push(case::<Capacity>("capacity", &format!(r#"{{"capacity_weight":10,{ramp},{target}}}"#)));
            let json = format!(r#"{{"capacity_weight":10,{ramp},{target},"aggregate_kl_weight":2}}"#);
            table.push(case::<Capacity>("capacity", &json).of_the_whole_data_set());
        }
        let target = r#""target":"mutual-information","estimator":"exact","aggregate_kl_weight":1"#;
        let json = format!(r#"{{"capacity_weight":10,{ramp},{target}}}"#);
        table.push(case::<Capacity>("capacity", &json).of_the_whole_data_set());
    }
    for estimator in Estimator::ALL {
        let json = format!(r#"{{"mi_weight":1,"tc_weight":6,"dw_kl_weight":1,"estimator":"{estimator}"}}"#);
        table.push(case::<BetaTcVae>("beta-tcvae", &json).of_the_whole_data_set());
        if *estimator != Estimator::Exact {
            table.push(case::<BetaTcVae>("beta-tcvae", &json));
        }
    }
    for (name, objective) in crate::regularisers::all() {
        table.push(Case { name, objective, plain: None, batch: 6, dataset_len: 50, latent: 3 });
    }
    table
}

#[test]
fn every_objective_conforms() {
    let mut failures = Vec::new();
    for case in table() {
        let suite =
            Conformance::of(&*case.objective).batch(case.batch).dataset_len(case.dataset_len).latent(case.latent);
        let suite = match &case.plain {
            Some(plain) => suite.surrogate_of(&**plain),
            None => suite,
        };
        for violation in suite.documented_in(README).violations() {
            failures.push(format!("{}: {violation}", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The surrogates' gradients are not their losses' draw by draw: declared plain, they are caught.
#[test]
fn a_surrogate_that_is_not_declared_fails_its_central_differences() {
    for case in table().into_iter().filter(|case| case.plain.is_some()) {
        let violations = Conformance::of(&*case.objective).documented_in(README).violations();
        assert_eq!(violations.len(), 1, "{}: {violations:?}", case.name);
        assert!(violations[0].to_string().contains("the central difference"), "{}: {}", case.name, violations[0]);
    }
}
