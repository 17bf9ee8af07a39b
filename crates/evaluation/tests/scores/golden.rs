//! `tests/metrics.json`: codes, factors and what scikit-learn and numpy make of them, with the formulas beside.

use elbo_evaluation::scores::Table;
use serde_json::Value;

pub(crate) fn case() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/metrics.json");
    let text = std::fs::read_to_string(file).expect("the file is in the repository");
    let mut metrics: Value = serde_json::from_str(&text).expect("it is JSON");
    metrics["case"].take()
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number")).collect()
}

pub(crate) fn whole(value: &Value) -> Vec<usize> {
    value.as_array().expect("a list").iter().map(|value| value.as_u64().expect("a whole number") as usize).collect()
}

pub(crate) fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().expect("a list").iter().map(numbers).collect()
}

/// The 400 images of the case: codes and factors are stored column by column.
pub(crate) fn table(case: &Value) -> Table {
    let codes = rows(&case["codes"]);
    let factors: Vec<Vec<usize>> = case["factors"].as_array().expect("a list").iter().map(whole).collect();
    let row = |place: usize| codes.iter().map(|column| column[place]).collect();
    let levels = |place: usize| factors.iter().map(|column| column[place]).collect();
    let count = codes[0].len();
    Table::from_rows(&(0..count).map(row).collect::<Vec<_>>(), &(0..count).map(levels).collect::<Vec<_>>())
}

pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < tolerance, "at {place}: {found} instead of {expected}");
    }
}
