//! T against T*, while it is learnt and at the end.

use super::measure::Values;
use super::study::{Outcome, Point, Settings};
use super::sweep::{SweepPoint, VARIED};
use anyhow::Result;
use elbo_evaluation::pictures::plot::{COLOURS, Curve, Figure, Panel, Scale, Stroke};
use elbo_evaluation::pictures::{Canvas, Colour};

/// The line T = T*.
const TRUTH: Colour = [90; 3];
fn colour(index: usize) -> Colour {
    COLOURS[index % COLOURS.len()]
}

fn pairs(x: &tch::Tensor, y: &tch::Tensor) -> Vec<(f64, f64)> {
    let list = |t: &tch::Tensor| Vec::<f64>::try_from(t.to_device(tch::Device::Cpu)).expect("float64 [n]");
    list(x).into_iter().zip(list(y)).collect()
}

/// An axis for errors: even up to a hundredth of a nat, which is hardly one, then logarithmic to the next power of ten.
fn errors(curves: &[Curve]) -> (Scale, Option<(f64, f64)>) {
    /// Beyond it errors are all alike.
    const LARGEST: f64 = 1e3;
    let largest = curves.iter().flat_map(|curve| &curve.points).map(|point| point.1).fold(0.0, f64::max);
    (Scale::SymmetricLog(0.01), Some((0.0, 10_f64.powf(largest.log10().ceil()).clamp(0.1, LARGEST))))
}

/// T against T*: a column for each critic, under q above and under p below.
///
/// # Errors
/// When a panel has no room.
pub fn scatter(description: &str, settings: &Settings, outcomes: &[Outcome]) -> Result<Canvas> {
    let batch = settings.batch_size;
    let panel = |index: usize, side: usize, under: &str| {
        let outcome = &outcomes[index];
        let Values { estimate, truth, .. } = &outcome.shown[side];
        let points = pairs(truth, estimate);
        let ends = points.iter().fold((f64::MAX, f64::MIN), |ends, point| (ends.0.min(point.0), ends.1.max(point.0)));
        let diagonal = vec![(ends.0, ends.0), (ends.1, ends.1)];
        let curve = |colour, points, stroke| Curve { colour, points, band: Vec::new(), stroke };
        let level = (batch as f64).ln();
        // Of what adaptive contrast has to learn there is no axis here.
        let near = |level: f64| points.iter().any(|point| (point.0 / level) > 0.7);
        let levels = [(level, "log B"), (-level, "−log B")]
            .into_iter()
            .filter(|(level, _)| !outcome.name.ends_with("+adaptive") && near(*level))
            .map(|(level, name)| (level, name.to_owned()))
            .collect();
        let rmse = [outcome.last.rmse_under_q, outcome.last.rmse_under_p][side];
        Panel {
            title: format!("{} under {under}: RMSE {rmse:.3}", outcome.name),
            x_label: "T* = log q(z|x) − log p(z)".to_owned(),
            y_label: "T".to_owned(),
            x_scale: Scale::Linear,
            y_scale: Scale::Linear,
            y_range: None,
            levels,
            curves: vec![curve(TRUTH, diagonal, Stroke::Line), curve(colour(index), points, Stroke::Points)],
            note: None,
        }
    };
    let row = |side: usize, under: &str| (0..outcomes.len()).map(|index| panel(index, side, under)).collect();
    let figure = Figure {
        title: "Proposition 1: what the classifier learnt against log q(z|x) − log p(z)".to_owned(),
        caption: vec![
            format!("{description}. {} fresh pairs of either side, {batch} a step.", settings.steps * batch as u64),
            "Above: samples of q, where the encoder's step asks for T. Below: samples of p. Beyond log B a batch hardly has the rarer side."
                .to_owned(),
        ],
        legend: vec![("T = T*".to_owned(), TRUTH)],
        panels: vec![row(0, "q"), row(1, "p")],
    };
    figure.draw((440 * outcomes.len()).max(1240), 130 + 2 * 400)
}

/// RMSE under q and p, `E_q T` and the NWJ bound while the critics learn.
///
/// # Errors
/// When a panel has no room.
pub fn curves(description: &str, outcomes: &[Outcome]) -> Result<Canvas> {
    let closed_form = outcomes.first().map_or(f64::NAN, |outcome| outcome.last.kl_closed_form);
    let drawn = |value: &dyn Fn(&Point) -> (f64, f64)| -> Vec<Curve> {
        let curve = |(index, outcome): (usize, &Outcome)| {
            let points = outcome.history.iter().map(|point| (point.pairs as f64, value(point)));
            let (points, band) = points.map(|(x, (y, half))| ((x, y), (y - half, y + half))).unzip();
            Curve { colour: colour(index), points, band, stroke: Stroke::Line }
        };
        outcomes.iter().enumerate().map(curve).collect()
    };
    let panel = |title: &str, y_scale, y_range, levels, curves| Panel {
        title: title.to_owned(),
        x_label: "pairs seen, of either side".to_owned(),
        y_label: "nats".to_owned(),
        x_scale: Scale::PowersOfTwo,
        y_scale,
        y_range,
        levels,
        curves,
        note: None,
    };
    let rmse = |title: &str, of: fn(&Point) -> f64| {
        let curves = drawn(&|point| (of(point), 0.0));
        let (scale, range) = errors(&curves);
        panel(title, scale, range, Vec::new(), curves)
    };
    // Early values are far outside of what there is to see.
    let near_truth =
        Some((closed_form - 1.0_f64.max(closed_form * 0.5), closed_form + 0.5_f64.max(closed_form * 0.25)));
    let within = |value: f64| near_truth.map_or(value, |(low, high)| value.clamp(low, high));
    let known = || vec![(closed_form, format!("KL = {closed_form:.4}"))];
    let values = |title: &str, of: fn(&Point) -> (f64, f64)| {
        let mut curves = drawn(&of);
        for curve in &mut curves {
            curve.points.iter_mut().for_each(|point| point.1 = within(point.1));
            curve.band.iter_mut().for_each(|band| *band = (within(band.0), within(band.1)));
        }
        panel(title, Scale::Linear, near_truth, known(), curves)
    };
    let figure = Figure {
        title: "Proposition 1: on the way to T*".to_owned(),
        caption: vec![
            format!("{description}."),
            "quadratic is fitted anew to all pairs seen; the others take one step of Adam a batch, at a rate that falls to 0.".to_owned(),
            "Bands are one standard error; values outside of a panel are drawn at its edge.".to_owned(),
        ],
        legend: outcomes.iter().enumerate().map(|(index, outcome)| (outcome.name.clone(), colour(index))).collect(),
        panels: vec![
            vec![
                rmse("RMSE of T under q", |point| point.measurement.rmse_under_q),
                rmse("RMSE of T under p", |point| point.measurement.rmse_under_p),
            ],
            vec![
                values("E_q T", |point| (point.measurement.kl_estimate, point.measurement.kl_standard_error)),
                values("NWJ bound", |point| (point.measurement.nwj_bound, point.measurement.nwj_standard_error)),
            ],
        ],
    };
    figure.draw(1500, 950)
}

/// The error against everything that is varied.
///
/// # Errors
/// When a panel has no room.
pub fn swept(dimension: i64, sigma: f64, settings: &Settings, found: &[SweepPoint]) -> Result<Canvas> {
    let critics = ["quadratic", "mlp", "quadratic-adam"];
    let panel = |varied: &str, title: &str, of: &dyn Fn(&SweepPoint) -> f64| {
        let curve = |(index, critic): (usize, &&str)| {
            let points = found.iter().filter(|point| point.varied == varied && point.critic == *critic);
            let points = points.map(|point| (point.value, of(point))).collect();
            Curve { colour: colour(index), points, band: Vec::new(), stroke: Stroke::Line }
        };
        let curves: Vec<Curve> = critics.iter().enumerate().map(curve).collect();
        let (y_scale, y_range) = errors(&curves);
        Panel {
            title: title.to_owned(),
            x_label: match varied {
                "dimension" => "D",
                "inverse_sigma" => "1/σ",
                "batch_size" => "batch size B, pairs in all the same",
                _ => "width of the network",
            }
            .to_owned(),
            y_label: "nats".to_owned(),
            x_scale: Scale::PowersOfTwo,
            y_scale,
            y_range,
            levels: Vec::new(),
            curves,
            note: None,
        }
    };
    let row = |title: &str, of: &dyn Fn(&SweepPoint) -> f64| VARIED.map(|varied| panel(varied, title, of)).to_vec();
    let figure = Figure {
        title: "Proposition 1: how the error of T grows".to_owned(),
        caption: vec![format!(
            "q(z|x) = N(√(1−σ²) x, σ² I); where not varied D = {dimension}, σ = {sigma}, B = {}, width {}; {} pairs of either side in all.",
            settings.batch_size,
            settings.capacity.width,
            settings.steps * settings.batch_size as u64
        )],
        legend: critics.iter().enumerate().map(|(index, name)| ((*name).to_owned(), colour(index))).collect(),
        panels: vec![
            row("RMSE of T under q", &|point| point.measurement.rmse_under_q),
            row("|E_q T − KL|", &|point| (point.measurement.kl_estimate - point.measurement.kl_closed_form).abs()),
        ],
    };
    figure.draw(1800, 900)
}
