//! The step contract, held by any configuration.

use crate::open;
use elbo_experiments::BuiltIn;
use elbo_native::recorder::{Operator, record};
use elbo_runner::{Event, Run};
use serde_json::Value;

/// The operators of one `advance`.
fn step(run: &mut Run<BuiltIn>) -> (Event, Vec<Operator>) {
    let (event, operators) = record(|| run.advance().expect("a step")).expect("recorded");
    (event, operators)
}

/// Takes four steps of `config`, and compares the second with the third.
///
/// # Panics
/// They differ in an operator, a shape or a host number, the host waits in one, or the log point at the fourth is not seen to.
pub fn check(name: &str, config: &Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = open(config, &folder.path().join(name));
    // The first step lays out the window.
    step(&mut run);
    let (_, second) = step(&mut run);
    let (_, third) = step(&mut run);
    assert!(second.len() > 50, "{name}: the recorder saw {} operators", second.len());
    assert_eq!(second.len(), third.len(), "{name}");
    for (number, (one, other)) in second.iter().zip(&third).enumerate() {
        assert_eq!(one, other, "{name}: operator {number} of {}", second.len());
    }
    let waits: Vec<_> = second.iter().filter(|operator| operator.synchronises()).collect();
    assert!(waits.is_empty(), "{name}: the host waits in {waits:?}");
    // Step 4 is a log point, and there the host does wait: the recorder can see it.
    let (event, fourth) = step(&mut run);
    assert!(matches!(event, Event::Logged { step: 4, .. }));
    assert!(fourth.iter().any(Operator::synchronises), "{name}: a log point reads the window");
}
