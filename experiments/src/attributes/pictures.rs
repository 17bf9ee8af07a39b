//! The pictures of `attributes`: edited examples with the classifier's verdict, and the share by strength.

use super::{Finding, Settings, Study};
use anyhow::Result;
use elbo_evaluation::attributes::Indicator;
use elbo_evaluation::attributes::indicator::Spread;
use elbo_evaluation::exact::Estimate;
use elbo_evaluation::pictures::plot::{COLOURS, Curve, Figure, Panel, Scale, Stroke};
use elbo_evaluation::pictures::{Canvas, Colour, Grid};
use tch::Tensor;

/// Frame of a picture that is said to have the attribute, and of one that is not.
const YES: Colour = [0, 158, 115];
const NO: Colour = [190; 3];
/// Width of the frame.
const FRAME: usize = 4;
/// Shorter side of a picture on the sheet, at least.
const SIDE: usize = 64;

impl Study<'_> {
    /// The sheet of edited pictures: a row for each example without the attribute, data, reconstruction and edits in the columns.
    pub fn sheet(&self, finding: &Finding) -> Canvas {
        let (data, codes) = &finding.examples;
        let Settings { strengths, .. } = self.settings;
        let edited = |strength: f64| {
            let shift = &finding.vector * strength;
            tch::no_grad(|| self.run.vae.decode_mean(&(codes + shift)).clamp(0.0, 1.0))
        };
        let mut columns = vec![("data".to_owned(), data.shallow_clone()), ("model".to_owned(), edited(0.0))];
        let edits = strengths.iter().filter(|strength| **strength != 0.0);
        columns.extend(edits.map(|&strength| (format!("{strength:+} v"), edited(strength))));
        let tiles: Vec<Vec<Canvas>> = columns.iter().map(|(_, pictures)| framed(finding, pictures)).collect();
        let grid = Grid::new().headings(columns.iter().map(|(heading, _)| heading.clone()));
        let rows = 0..data.size()[0] as usize;
        let grid = rows.fold(grid, |grid, row| grid.row(&[], tiles.iter().map(|column| column[row].clone()).collect()));
        grid.note(format!("{}: v is the mean code with it minus that without", finding.name))
            .note("held-out pictures without it; green frame:")
            .note("the independent classifier says they have it")
            .render()
    }
}

/// Pictures, each in the colour of the classifier's verdict.
fn framed(finding: &Finding, pictures: &Tensor) -> Vec<Canvas> {
    let verdicts = Vec::<i64>::try_from(finding.judge.classifier.predict(pictures)).expect("Int64 classes");
    let frame = |(picture, verdict): (Canvas, i64)| {
        let picture = picture.enlarged(SIDE.div_ceil(picture.width().min(picture.height())));
        let (width, height) = (picture.width() + 2 * FRAME, picture.height() + 2 * FRAME);
        let mut framed = Canvas::new(width, height, if verdict == 1 { YES } else { NO });
        framed.draw(FRAME, FRAME, &picture);
        framed
    };
    Canvas::from_images(pictures).into_iter().zip(verdicts).map(frame).collect()
}

/// The share that is said to have the attribute by strength, beside both kinds of directions.
///
/// # Errors
/// When the panel has no room.
pub fn curves(finding: &Finding) -> Result<Canvas> {
    let along = |indicator: &Indicator, colour: Colour, stroke: Stroke| {
        let value = |(strength, share): (&f64, &Estimate)| (*strength, share.value);
        let edges = |share: &Estimate| {
            ((share.value - 1.96 * share.standard_error).max(0.0), (share.value + 1.96 * share.standard_error).min(1.0))
        };
        Curve {
            colour,
            points: indicator.strengths.iter().zip(&indicator.attribute).map(value).collect(),
            band: indicator.attribute.iter().map(edges).collect(),
            stroke,
        }
    };
    let plain = &finding.plain;
    let others = |shares: &[Vec<f64>], colour: Colour| {
        let spreads: Vec<Spread> = shares.iter().map(|shares| Spread::of(shares)).collect();
        let width =
            |spread: &Spread| if spread.standard_deviation.is_finite() { spread.standard_deviation } else { 0.0 };
        Curve {
            colour,
            points: plain.strengths.iter().zip(&spreads).map(|(&strength, spread)| (strength, spread.mean)).collect(),
            band: spreads
                .iter()
                .map(|spread| ((spread.mean - width(spread)).max(0.0), (spread.mean + width(spread)).min(1.0)))
                .collect(),
            stroke: Stroke::Line,
        }
    };
    let mut curves = vec![others(&plain.random, COLOURS[6]), others(&plain.between, COLOURS[5])];
    let mut legend =
        vec![("random direction".to_owned(), COLOURS[6]), ("from picture to picture".to_owned(), COLOURS[5])];
    if let Some((_, balanced)) = &finding.balanced {
        curves.push(along(balanced, COLOURS[4], Stroke::Broad));
        legend.push(("balanced vector".to_owned(), COLOURS[4]));
    }
    curves.push(along(plain, COLOURS[1], Stroke::Line));
    legend.push(("attribute vector".to_owned(), COLOURS[1]));
    let panel = Panel {
        title: String::new(),
        x_label: "strength of the edit".to_owned(),
        y_label: "share said to have it".to_owned(),
        x_scale: Scale::Linear,
        y_scale: Scale::Linear,
        y_range: Some((-0.04, 1.12)),
        levels: vec![(finding.on_reconstructions.of_class[1], "reconstructions of pictures with it".to_owned())],
        curves,
        note: None,
    };
    let figure = Figure {
        title: format!("{}: held-out pictures without it, edited", finding.name),
        caption: vec![
            format!(
                "The classifier, trained on data alone, is right about {:.3} of held-out data and {:.3} of reconstructions.",
                finding.accuracy.balanced(),
                finding.on_reconstructions.balanced()
            ),
            "Bands: 95% over pictures; for the directions, which are as long as the vector, their standard deviation."
                .to_owned(),
        ],
        legend,
        panels: vec![vec![panel]],
    };
    figure.draw(960, 620)
}
