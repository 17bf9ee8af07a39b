//! JSON that people write: a run's configuration with overrides, a sweep's grid.

use super::meter::{Bound, file, within};
use super::one_line;
use elbo_experiments::BuiltIn;
use elbo_experiments::sweep::Sweep;
use elbo_runner::RunConfig;
use elbo_runner::config::Override;
use std::collections::BTreeSet;

/// Members of a sweep here: enough for every way to make them, few enough for many sweeps a second.
const MEMBERS: usize = 64;

/// A configuration and, each after a zero byte, overrides as `--set` has them.
pub fn config(bytes: &[u8]) {
    let mut parts = bytes.split(|&byte| byte == 0);
    let path = file("config.json", parts.next().unwrap_or_default());
    let mut overrides: Vec<Override> = Vec::new();
    for part in parts.take(8) {
        match String::from_utf8_lossy(part).parse() {
            Ok(change) => overrides.push(change),
            // It is quoted and printed by the command line's parser.
            Err(problem) => assert!(!problem.is_empty()),
        }
    }
    let bound = Bound::Bytes((8 << 20) + 400 * bytes.len());
    match within(bound, bytes.len(), || RunConfig::<BuiltIn>::read(&path, &overrides)) {
        Ok(config) => {
            let printed = serde_json::to_value(&config).expect("JSON");
            let again = RunConfig::<BuiltIn>::from_value(printed.clone(), "again").expect("what was printed is read");
            assert_eq!(serde_json::to_value(&again).expect("JSON"), printed, "another configuration than was printed");
        }
        Err(error) => one_line(&error),
    }
}

/// A grid.
pub fn grid(bytes: &[u8]) {
    let path = file("grid.json", bytes);
    // Members repeat what the grid says once.
    let bound = Bound::Bytes((16 << 20) + 200 * MEMBERS * bytes.len());
    match within(bound, bytes.len(), || Sweep::read_up_to(&path, MEMBERS)) {
        Ok(sweep) => {
            assert!(!sweep.members.is_empty() && sweep.members.len() <= MEMBERS);
            let names: BTreeSet<&str> = sweep.members.iter().map(|member| member.name.as_str()).collect();
            assert_eq!(names.len(), sweep.members.len(), "two members of one name");
            for (index, member) in sweep.members.iter().enumerate() {
                assert_eq!((member.index, member.config["name"].as_str()), (index, Some(member.name.as_str())));
                // The name is a directory's.
                assert!(!member.name.starts_with('.') && !member.name.contains(['/', '\\']), "{}", member.name);
            }
        }
        Err(error) => one_line(&error),
    }
}
