//! Round numbers, and how they are written.

/// The smallest of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten that is at least `value`.
pub(super) fn round_above(value: f64) -> f64 {
    assert!(value > 0.0 && value.is_finite(), "an axis must end at a positive number, got {value}");
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];
    // The share is for values that are such a number but for rounding.
    steps.into_iter().map(|step| step * power).find(|&step| step >= value * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// Round numbers at equal steps from `low` to `high`, both included where they are round: at most `count` + 1 of them.
pub(super) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let smallest = (high - low) / count as f64;
    let power = 10_f64.powf(smallest.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|&step| step >= smallest * (1.0 - 1e-9));
    let step = step.unwrap_or(10.0 * power);
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(|index| index as f64 * step).collect()
}

/// Digits behind the point for numbers up to `largest`: two below 10, so many that two count below 0.1, fewer above.
pub(super) fn digits(largest: f64) -> usize {
    if largest <= 0.0 || !largest.is_finite() {
        return 0;
    }
    let power = largest.log10().floor() as i32;
    let digits = if power < 0 { 1 - power } else { 2 - power };
    digits.clamp(0, 6) as usize
}

/// With a proper minus, and without one for what rounds to 0.
pub(super) fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(positive) if positive.chars().all(|digit| digit == '0' || digit == '.') => positive.to_owned(),
        Some(positive) => format!("−{positive}"),
        None => text,
    }
}

/// As short as it can be written.
pub(super) fn shortest(value: f64) -> String {
    let text = number(value, 6);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() { "0".to_owned() } else { text.to_owned() }
}
