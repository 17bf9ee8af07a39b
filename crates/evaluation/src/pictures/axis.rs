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

/// A number beside others up to `largest`: two digits behind the point below 10, so many that two count below 0.1, fewer above; in powers
/// of ten where that would be long.
pub(super) fn number(value: f64, largest: f64) -> String {
    if largest == 0.0 {
        return "0".to_owned();
    }
    if is_long(largest) {
        return scientific(value, 1);
    }
    let power = largest.abs().log10().floor() as i32;
    let digits = if power < 0 { 1 - power } else { 2 - power };
    decimal(value, digits.max(0) as usize)
}

/// As short as it can be written.
pub(super) fn shortest(value: f64) -> String {
    if is_long(value) {
        return scientific(value, 3);
    }
    without_zeros(&decimal(value, 6)).to_owned()
}

fn is_long(value: f64) -> bool {
    value != 0.0 && !(1e-4..1e6).contains(&value.abs())
}

/// With a proper minus, and without one for what rounds to 0.
fn decimal(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(positive) if positive.chars().all(|digit| digit == '0' || digit == '.') => positive.to_owned(),
        Some(positive) => format!("−{positive}"),
        None => text,
    }
}

/// `2.5e7`
fn scientific(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}").replace('-', "−");
    let (digits, power) = text.split_once('e').expect("written with an e");
    if value == 0.0 { "0".to_owned() } else { format!("{}e{power}", without_zeros(digits)) }
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
