//! Numbers as people read them.

/// A number with four significant digits: `-43.21`, `0.01234`, `12346`, `1.235e7`; whole numbers as they are.
///
/// ```
/// use elbo_runner::terminal::human;
/// assert_eq!(human(-43.2149), "-43.21");
/// assert_eq!(human(6.0), "6");
/// assert_eq!(human(5e-5), "5.000e-5");
/// ```
pub fn human(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if size < 1e6 && value.fract() == 0.0 {
        // Adding 0 makes minus zero plain.
        return format!("{:.0}", value + 0.0);
    }
    if !(1e-4..1e6).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = 3 - size.log10().floor() as i32;
    format!("{value:.*}", decimals.max(0) as usize)
}

/// A length of time: `42 s`, `3 min 20 s`, `5 h 07 min`, `2 d 03 h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".to_string();
    }
    let seconds = seconds.max(0.0).round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {:02} s", seconds % 60),
        (0, _, _) => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

/// Numbers of one column, padded so that their decimal points stand below each other.
pub(super) fn aligned(values: &[f64]) -> Vec<String> {
    let texts: Vec<String> = values.iter().map(|value| human(*value)).collect();
    let tail = |text: &str| text.len() - text.find('.').unwrap_or(text.len());
    let longest = texts.iter().map(|text| tail(text)).max().unwrap_or(0);
    texts.iter().map(|text| format!("{text}{}", " ".repeat(longest - tail(text)))).collect()
}
