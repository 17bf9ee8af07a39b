//! The four posteriors over the prior, VAE beside AVB.

use super::samples::draw;
use anyhow::Result;
use elbo_core::{Generator, Vae};
use elbo_evaluation::pictures::plot::{COLOURS, Curve, Figure, Panel, Scale, Stroke};
use elbo_evaluation::pictures::{Canvas, Colour};
use tch::{Kind, Tensor};

const PRIOR: Colour = [205; 3];
/// Samples of the prior, and of each posterior.
const SHOWN: [i64; 2] = [6000, 1500];
/// Both axes run from −LIMIT to LIMIT.
const LIMIT: f64 = 3.6;

/// Two panels of samples.
///
/// # Errors
/// When it cannot be drawn.
pub fn posteriors(vae: &Vae, avb: &Vae, noise: &Generator) -> Result<Canvas> {
    let panel = |title: &str, model: &Vae| {
        let prior = noise.normal(&[SHOWN[0], 2], Kind::Float);
        let own = draw(model, SHOWN[1], noise);
        let posteriors = (0..4).map(|point| dots(&own.select(0, point), COLOURS[point as usize]));
        Panel {
            title: title.to_owned(),
            x_label: "z0".to_owned(),
            y_label: "z1".to_owned(),
            x_scale: Scale::Linear,
            y_scale: Scale::Linear,
            y_range: Some((-LIMIT, LIMIT)),
            levels: Vec::new(),
            curves: [corners(), dots(&prior, PRIOR)].into_iter().chain(posteriors).collect(),
            note: None,
        }
    };
    let names = ["prior", "x = 1000", "x = 0100", "x = 0010", "x = 0001"].map(str::to_owned);
    let colours = [PRIOR, COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3]];
    let figure = Figure {
        title: "Four points: samples of q(z|x) over those of the prior".to_owned(),
        caption: vec!["Posteriors that tile the prior leave no grey uncovered, and do not overlap.".to_owned()],
        legend: names.into_iter().zip(colours).collect(),
        panels: vec![vec![panel("VAE: diagonal Gaussians", vae), panel("AVB: implicit", avb)]],
    };
    figure.draw(1240, 760)
}

/// Samples inside of the panel, as points.
fn dots(z: &Tensor, colour: Colour) -> Curve {
    let host = z.detach().to_kind(Kind::Double).to_device(tch::Device::Cpu).reshape(-1);
    let flat: Vec<f64> = Vec::try_from(host).expect("float64 values");
    let inside = |point: &(f64, f64)| point.0.abs() <= LIMIT && point.1.abs() <= LIMIT;
    let points = flat.chunks(2).map(|pair| (pair[0], pair[1])).filter(inside).collect();
    Curve { colour, points, band: Vec::new(), stroke: Stroke::Points }
}

/// Both panels get the same x axis from two points that are not seen.
fn corners() -> Curve {
    let points = vec![(-LIMIT, -LIMIT), (LIMIT, LIMIT)];
    Curve { colour: [255; 3], points, band: Vec::new(), stroke: Stroke::Points }
}
