//! What the measurements say: a table, a picture, and words.

use super::{Measurement, StudyCodes};
use anyhow::Result;
use comfy_table::{Cell, CellAlignment, Table};
use elbo_evaluation::pictures::Canvas;
use elbo_evaluation::pictures::plot::{COLOURS, Curve, Figure, Panel, Scale, Stroke};
use elbo_runner::terminal::STYLE;
use std::fmt::Write;

/// Every estimator, in the order of tables and colours.
const ESTIMATORS: [&str; 4] = ["mws", "uniform", "mss", "balanced"];
/// Batch size that a training step usually has; words are about the measured size nearest to it.
const USUAL_BATCH: i64 = 64;

/// A number with its sign, and a true minus.
fn signed(value: f64, digits: usize) -> String {
    format!("{value:+.digits$}").replace('-', "−")
}

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or("·".to_owned(), |value| format!("{value:.digits$}").replace('-', "−"))
}

/// The measurements of one data set as a table.
pub fn table(codes: &StudyCodes, measured: &[Measurement]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header([
        "B",
        "estimator",
        "MI bias",
        "± spread",
        "TC bias",
        "± spread",
        "DWKL bias",
        "± spread",
        "cos TC",
        "length",
        "one batch",
    ]);
    let ours: Vec<&Measurement> = measured.iter().filter(|row| row.codes == codes.name).collect();
    for total in ours.iter().filter(|row| row.term == "total_correlation") {
        let of = |term: &str| {
            ours.iter().find(|row| row.term == term && row.estimator == total.estimator && row.batch == total.batch)
        };
        let mut cells = vec![total.batch.to_string(), total.estimator.to_owned()];
        for row in ["mutual_information", "total_correlation", "dimension_wise_kl"].into_iter().filter_map(of) {
            cells.extend([signed(row.bias, 2), format!("{:.2}", row.spread)]);
        }
        cells.extend([
            optional(total.gradient_cosine, 2),
            optional(total.gradient_norm, 2),
            optional(total.single_gradient_cosine, 2),
        ]);
        let right = |(index, text): (usize, String)| {
            Cell::new(text).set_alignment(if index == 1 { CellAlignment::Left } else { CellAlignment::Right })
        };
        table.add_row(cells.into_iter().enumerate().map(right));
    }
    let mut text = format!("{}\n", codes.description);
    for term in super::TERMS {
        if let Some(row) = ours.iter().find(|row| row.term == term) {
            let _ = write!(text, "  {term} {:.3} ± {:.3}", row.exact, row.exact_standard_error);
        }
    }
    if let Some([mi, tc, dw_kl]) = codes.limit {
        let _ = write!(text, "\n  of infinitely many such codes: {mi:.3}, {tc:.3}, {dw_kl:.3}");
    }
    format!("{text}\n{}\n", table.trim_fmt())
}

/// What the columns of [`table`] are.
pub const LEGEND: &str = "bias and spread: nats, against the exact term; cos TC, length: mean gradient of the total correlation against the exact \
gradient (1 and 1 are right);\none batch: mean cosine of a single batch's gradient; · where the exact gradient is zero within its error";

/// The picture: a row of panels for each data set.
///
/// # Errors
/// When a panel has no room.
pub fn picture(all: &[StudyCodes], measured: &[Measurement]) -> Result<Canvas> {
    let colour = |name: &str| COLOURS[ESTIMATORS.iter().position(|other| *other == name).unwrap_or(COLOURS.len() - 1)];
    let panels = |codes: &StudyCodes| {
        let rows = |term: &'static str| measured.iter().filter(move |row| row.codes == codes.name && row.term == term);
        let curves = |term: &'static str, value: &dyn Fn(&Measurement) -> Option<(f64, f64)>| {
            let curve = |name: &&str| {
                let points = rows(term)
                    .filter(|row| row.estimator == *name)
                    .filter_map(|row| Some((row.batch as f64, value(row)?)));
                let (points, band) = points.map(|(x, (y, half))| ((x, y), (y - half, y + half))).unzip();
                // MSS is almost Balanced: broad below, so that both are seen.
                let stroke = if *name == "mss" { Stroke::Broad } else { Stroke::Line };
                Curve { colour: colour(name), points, band, stroke }
            };
            ESTIMATORS.iter().map(curve).collect::<Vec<_>>()
        };
        let panel = |title: String, y_label: &str, y_scale, y_range, level: f64, name: &str, curves| Panel {
            title,
            x_label: "batch size B".to_owned(),
            y_label: y_label.to_owned(),
            x_scale: Scale::PowersOfTwo,
            y_scale,
            y_range,
            levels: vec![(level, name.to_owned())],
            curves,
            note: None,
        };
        let value = |term: &'static str, short: &str| {
            let exact = rows(term).next().map_or(f64::NAN, |row| row.exact);
            let curves = curves(term, &|row| Some((row.bias, row.spread)));
            panel(
                format!("{}: error of {short} (exact {exact:.2})", codes.name),
                "nats",
                Scale::SymmetricLog(0.5),
                None,
                0.0,
                "exact",
                curves,
            )
        };
        let term = "total_correlation";
        let gradient = |title: &str, y_range, of: &dyn Fn(&Measurement) -> Option<f64>| {
            let curves = curves(term, &|row| Some((of(row)?, 0.0)));
            let none = curves.iter().all(|curve| curve.points.is_empty());
            let note = none.then(|| "the exact gradient is zero within its error".to_owned());
            Panel { note, ..panel(title.to_owned(), "", Scale::Linear, y_range, 1.0, "exact", curves) }
        };
        vec![
            value("mutual_information", "MI"),
            value(term, "TC"),
            gradient("TC gradient, cosine", Some((-1.05, 1.15)), &|row| row.gradient_cosine),
            gradient("TC gradient, length", None, &|row| row.gradient_norm),
        ]
    };
    let figure = Figure {
        title: "How far is the estimate of one batch from the exact term, and its gradient?".to_owned(),
        caption: vec![
            "Left: estimate − exact term, mean over batches; the band is one standard deviation between batches. 0 is right.".to_owned(),
            "Right: the mean gradient of the total correlation beside the exact one, direction and length. 1 and 1 are right; mws and uniform are one curve.".to_owned(),
        ],
        legend: ESTIMATORS.iter().map(|name| ((*name).to_owned(), colour(name))).collect(),
        panels: all.iter().map(panels).collect(),
    };
    figure.draw(1760, 150 + 330 * all.len())
}

/// Which estimator to trust as a value, and which to train with, in words.
pub fn words(measured: &[Measurement]) -> String {
    let sizes: Vec<i64> = measured.iter().map(|row| row.batch).collect();
    let Some(&usual) = sizes.iter().min_by_key(|&&batch| (batch - USUAL_BATCH).abs()) else { return String::new() };
    let largest = sizes.iter().copied().max().unwrap_or(usual);
    let worst = |estimator: &str, batch: i64, term: &str| {
        let rows = measured.iter().filter(|row| row.estimator == estimator && row.batch == batch && row.term == term);
        rows.map(|row| row.bias.abs()).fold(0.0, f64::max)
    };
    let mut text = String::from("As a value: ");
    let worst_terms =
        |estimator: &str, batch| super::TERMS.iter().map(|term| worst(estimator, batch, term)).fold(0.0, f64::max);
    let by_value = |batch: i64| {
        let mut order: Vec<(&str, f64)> = ESTIMATORS.iter().map(|name| (*name, worst_terms(name, batch))).collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        order
    };
    let (best, error) = by_value(usual)[0];
    if error < 0.1 {
        let _ = write!(text, "{best} is within {error:.2} nats of every exact term at B = {usual}.");
    } else {
        let off: Vec<String> = by_value(usual).iter().map(|(name, error)| format!("{name} by {error:.1}")).collect();
        let _ = write!(text, "trust none at B = {usual}. The worst term of each is off ({} nats)", off.join(", "));
        let (best, error) = by_value(largest)[0];
        let _ = write!(text, "; at B = {largest} {best} is still off by {error:.2}. Read the exact terms.");
    }
    let rank = |estimator: &str| {
        let rows: Vec<&Measurement> = measured
            .iter()
            .filter(|row| {
                row.estimator == estimator
                    && row.batch == usual
                    && row.term == "total_correlation"
                    && row.gradient_cosine.is_some()
            })
            .collect();
        let mean = |of: &dyn Fn(&Measurement) -> Option<f64>| {
            rows.iter().filter_map(|row| of(row)).sum::<f64>() / rows.len() as f64
        };
        (!rows.is_empty()).then(|| {
            (mean(&|row| row.gradient_cosine), mean(&|row| row.gradient_norm), mean(&|row| row.gradient_spread))
        })
    };
    let mut order: Vec<(&str, (f64, f64, f64))> =
        ["mws", "mss", "balanced"].iter().filter_map(|name| Some((*name, rank(name)?))).collect();
    order.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    if let Some((_, (highest, _, _))) = order.first() {
        // Of those that no one could tell apart by their direction, the one whose single batches scatter least.
        let candidates = order.iter().filter(|(_, (cosine, _, _))| highest - cosine < 0.02);
        let best = candidates.min_by(|a, b| a.1.2.total_cmp(&b.1.2)).map_or("", |(name, _)| *name);
        let described: Vec<String> = order
            .iter()
            .map(|(name, (cosine, length, spread))| {
                let name = if *name == "mws" { "mws (= uniform)" } else { name };
                format!("{name} {} × {length:.2}, noise {spread:.1}", optional(Some(*cosine), 2))
            })
            .collect();
        let _ = write!(
            text,
            "\nTo train with: {best}. Of the estimators whose mean gradient of the total correlation at B = {usual} points best (cosines within \
             0.02), its single batches have the least noise (mean over the data sets of cosine × length, and noise of one batch in lengths of \
             the exact gradient: {}).",
            described.join("; ")
        );
    }
    text
}
