//! μ and τ of every approximation over the exact posterior.

use super::modes::smoothed;
use super::report::{support, title};
use super::study::{BANDWIDTH, Moment, Study};
use anyhow::Result;
use elbo_evaluation::pictures::plot::{COLOURS, Curve, Figure, Panel, Scale, Stroke};
use elbo_evaluation::pictures::{Canvas, Colour};

/// Samples in a panel; more would be a blot.
const SHOWN: usize = 1500;
/// Shares of the posterior's mass within its contours.
const WITHIN: [f64; 3] = [0.5, 0.9, 0.99];
const EXACT: Colour = [20; 3];
const PALE: Colour = [190; 3];
const PAPER: Colour = [255; 3];

/// The page.
///
/// # Errors
/// When a panel has no room.
pub fn picture(study: &Study) -> Result<Canvas> {
    let (mean_marginal, scale_marginal) = (study.grid.mean_marginal(), study.grid.scale_marginal());
    let (across, up) = (support(&study.grid, &mean_marginal), support(&study.grid, &scale_marginal));
    let contours = contours(study);
    let joint = |index: usize| joint_panel(study, index, &contours, across, up);
    let colours: Vec<Colour> = (0..study.readings.len()).map(colour).collect();
    let legend = std::iter::once(("exact, on a grid".to_owned(), PALE))
        .chain(study.readings.iter().zip(&colours).map(|(reading, colour)| {
            // In the marginals all chains are one.
            let name = if reading.name == "hmc" { "HMC" } else { title(reading.name) };
            (name.to_owned(), *colour)
        }))
        .collect();
    Figure {
        title: "Eight schools: the posterior of μ and τ".to_owned(),
        caption: vec![
            "Above: samples of each approximation, and the exact posterior's regions of 50%, 90% and 99% (black). Below: marginals beside \
             the exact ones, and what the critic says of the divergence of q from the posterior in training."
                .to_owned(),
            format!(
                "KL in a title: by nearest neighbours among {} samples and as many of HMC; the exact figure where there is one.",
                study.pairs[0].len()
            ),
        ],
        legend,
        panels: vec![
            (0..3).map(joint).collect(),
            (3..5).map(joint).chain([training_panel(study)]).collect(),
            vec![
                marginal_panel(study, "μ", &mean_marginal, across, |pair| pair.0),
                marginal_panel(study, "τ", &scale_marginal, up, |pair| pair.1),
            ],
        ],
    }
    .draw(1860, 1560)
}

/// Two digits, a true minus, and no −0.
fn figure(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0 + 0.0;
    format!("{rounded:.2}").replace('-', "−")
}

fn colour(index: usize) -> Colour {
    // The greys are the exact posterior's.
    [COLOURS[5], COLOURS[4], COLOURS[0], COLOURS[1], COLOURS[2]][index]
}

fn curve(colour: Colour, points: Vec<(f64, f64)>, stroke: Stroke) -> Curve {
    Curve { colour, points, band: Vec::new(), stroke }
}

fn joint_panel(study: &Study, index: usize, contours: &[(f64, f64)], across: (f64, f64), up: (f64, f64)) -> Panel {
    let reading = &study.readings[index];
    let inside = |&&(mean, scale): &&(f64, f64)| (across.0..across.1).contains(&mean) && (up.0..up.1).contains(&scale);
    let pairs = &study.pairs[index];
    // Evenly, for the samples of HMC come chain by chain.
    let samples = pairs.iter().step_by((pairs.len() / SHOWN).max(1)).filter(inside).copied().collect();
    let exact =
        reading.kl_exact.filter(|_| reading.name != "hmc").map_or(String::new(), |exact| format!(", exact {exact:.2}"));
    Panel {
        title: format!("{}: KL {}{exact}", title(reading.name), figure(reading.kl.value)),
        x_label: "μ".to_owned(),
        y_label: "τ".to_owned(),
        x_scale: Scale::Linear,
        y_scale: Scale::Linear,
        y_range: Some(up),
        levels: Vec::new(),
        curves: vec![
            // Unseen: they hold all panels to one range.
            curve(PAPER, vec![(across.0, up.0), (across.1, up.1)], Stroke::Points),
            curve(colour(index), samples, Stroke::Points),
            curve(EXACT, contours.to_vec(), Stroke::Points),
        ],
        note: None,
    }
}

/// Where the density of the grid crosses the levels that hold [`WITHIN`] of the mass, along its lines.
fn contours(study: &Study) -> Vec<(f64, f64)> {
    let (points, density) = (&study.grid.points, &study.grid.density);
    let mut sorted: Vec<f64> = density.iter().flatten().copied().collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let cell = study.grid.spacing().powi(2);
    let level = |share: f64| {
        let mut mass = 0.0;
        sorted.iter().copied().find(|value| {
            mass += value * cell;
            mass >= share
        })
    };
    let mut found = Vec::new();
    for level in WITHIN.into_iter().filter_map(level) {
        let crossing = |a: f64, b: f64| ((a > level) != (b > level)).then(|| (level - a) / (b - a));
        for i in 0..points.len() - 1 {
            for j in 0..points.len() - 1 {
                let here = density[i][j];
                if let Some(share) = crossing(here, density[i + 1][j]) {
                    found.push((points[i] + share * study.grid.spacing(), points[j]));
                }
                if let Some(share) = crossing(here, density[i][j + 1]) {
                    found.push((points[i], points[j] + share * study.grid.spacing()));
                }
            }
        }
    }
    found
}

fn marginal_panel(
    study: &Study,
    name: &str,
    exact: &[f64],
    (low, high): (f64, f64),
    pick: impl Fn(&(f64, f64)) -> f64,
) -> Panel {
    let points = &study.grid.points;
    let shown = |density: &[f64], every: usize| -> Vec<(f64, f64)> {
        let inside = |(x, _): &(f64, f64)| (low..=high).contains(x);
        points.iter().copied().zip(density.iter().copied()).filter(inside).step_by(every).collect()
    };
    let mut curves = vec![curve(PALE, shown(exact, 1), Stroke::Broad)];
    for (index, pairs) in study.pairs.iter().enumerate() {
        let values: Vec<f64> = pairs.iter().map(&pick).collect();
        // Half of the bandwidth: the exact curve beside it is not smoothed.
        curves.push(curve(colour(index), shown(&smoothed(&values, points, BANDWIDTH / 2.0), 2), Stroke::Line));
    }
    Panel {
        title: format!("p({name} | y)"),
        x_label: name.to_owned(),
        y_label: "density".to_owned(),
        x_scale: Scale::Linear,
        y_scale: Scale::Linear,
        y_range: None,
        levels: Vec::new(),
        curves,
        note: None,
    }
}

fn training_panel(study: &Study) -> Panel {
    let line = |history: &[Moment], index: usize| {
        let points = history.iter().map(|moment| (moment.iteration as f64, moment.kl_adversarial)).collect();
        curve(colour(index), points, Stroke::Line)
    };
    Panel {
        title: "the critic's word on the divergence, batch by batch".to_owned(),
        x_label: "iterations".to_owned(),
        y_label: "nats".to_owned(),
        x_scale: Scale::Linear,
        y_scale: Scale::Linear,
        y_range: Some((-1.5, 4.0)),
        levels: vec![(0.0, String::new())],
        curves: vec![line(&study.histories[0], 3), line(&study.histories[1], 4)],
        note: None,
    }
}
