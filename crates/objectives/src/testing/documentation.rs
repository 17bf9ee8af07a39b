//! Reported names against a text that explains them.

use super::inputs::{Inputs, Setting, evaluate};
use crate::Objective;
use tch::Kind;

/// What every run shows, explained in `docs/curves.md` of elbo.
const SHOWN_BY_EVERY_RUN: [&str; 4] = ["reconstruction", "kl", "kl_per_dimension", "elbo"];

/// Every reported name stands in `text`, in backticks.
pub(super) fn check(objective: &dyn Objective, setting: Setting, text: &str) -> Result<(), String> {
    let terms = evaluate(objective, &Inputs::random(setting, Kind::Float, 1).pass(), setting, 0);
    let missing: Vec<&str> = terms
        .scalars
        .entries()
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !SHOWN_BY_EVERY_RUN.contains(name) && !is_documented(name, text))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join("`, `");
    Err(if text.is_empty() {
        format!("`{names}` is explained nowhere: hand the text that does to documented_in")
    } else {
        format!("`{names}` is missing from the documentation")
    })
}

fn is_documented(name: &str, text: &str) -> bool {
    // Every other piece between backticks is code.
    text.lines().any(|line| line.split('`').skip(1).step_by(2).any(|code| stands_for(code, name)))
}

/// Whether `pattern`, in which `<word>` stands for one or more characters but no `/`, is or stands for `name`.
fn stands_for(pattern: &str, name: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('<') else { return pattern == name };
    let Some((_, after)) = rest.split_once('>') else { return pattern == name };
    name.strip_prefix(before).is_some_and(|name| {
        let longest = name.find('/').unwrap_or(name.len());
        (1..=longest).filter(|&end| name.is_char_boundary(end)).any(|end| stands_for(after, &name[end..]))
    })
}

#[cfg(test)]
mod tests {
    use super::{is_documented, stands_for};

    #[test]
    fn a_placeholder_stands_for_a_word_and_not_for_a_folder() {
        assert!(stands_for("estimate/<term>_<estimator>", "estimate/mutual_information_mws"));
        assert!(stands_for("schedule/<weight>", "schedule/beta"));
        assert!(!stands_for("<anything>", "schedule/beta"));
        assert!(!stands_for("schedule/<weight>", "schedule/"));
        assert!(!stands_for("estimate/<term>_mws", "estimate/mutual_information_mss"));
        assert!(!stands_for("a < b", "a < c"));
    }

    #[test]
    fn a_name_counts_in_backticks_only() {
        assert!(is_documented("hsic", "| `mmd`, `hsic` | the term |"));
        assert!(!is_documented("hsic", "hsic `mmd` hsic"));
        assert!(!is_documented("hsic", "`hsic_weight`"));
    }
}
