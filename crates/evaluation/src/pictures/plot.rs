//! Plots: rows of panels with curves, bands and one legend.

use super::{Canvas, Colour};
use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::sync::OnceLock;

/// Colours that stay apart for colour-blind eyes (Okabe & Ito 2008).
pub const COLOURS: [Colour; 7] =
    [[213, 94, 0], [0, 114, 178], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [60, 60, 60]];

/// A page of panels under one title and legend.
#[derive(Debug, Clone)]
pub struct Figure {
    /// One line on top.
    pub title: String,
    /// What to look for, below the title; one entry a line.
    pub caption: Vec<String>,
    /// Names of the curves by colour.
    pub legend: Vec<(String, Colour)>,
    /// Rows of panels.
    pub panels: Vec<Vec<Panel>>,
}

/// One pair of axes.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Above the axes.
    pub title: String,
    /// Below the x axis.
    pub x_label: String,
    /// Beside the y axis.
    pub y_label: String,
    /// How x is spaced.
    pub x_scale: Scale,
    /// How y is spaced.
    pub y_scale: Scale,
    /// Smallest and largest y; of the curves and lines where there is none.
    pub y_range: Option<(f64, f64)>,
    /// Horizontal lines with their names, such as the truth.
    pub levels: Vec<(f64, String)>,
    /// The curves.
    pub curves: Vec<Curve>,
    /// Instead of the axes: why there are none.
    pub note: Option<String>,
}

/// A curve, drawn over its band.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Its colour; see [`COLOURS`].
    pub colour: Colour,
    /// x and y, in the order of x.
    pub points: Vec<(f64, f64)>,
    /// Lower and upper edge at every point, or nothing.
    pub band: Vec<(f64, f64)>,
    /// How it is drawn.
    pub stroke: Stroke,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// A line through its points.
    Line,
    /// A broad line, to be seen below another that covers it.
    Broad,
    /// Points only.
    Points,
}

/// How values are spaced along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm to the base 2; ticks at powers of two.
    PowersOfTwo,
    /// Evenly below this threshold, by their logarithm beyond it, on either side of 0.
    SymmetricLog(f64),
}

impl Scale {
    fn forward(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::PowersOfTwo => value.log2(),
            Self::SymmetricLog(threshold) => (value / threshold).asinh(),
        }
    }

    fn label(self, position: f64) -> String {
        let value = match self {
            Self::Linear => position,
            Self::PowersOfTwo => position.exp2().round(),
            Self::SymmetricLog(threshold) => position.sinh() * threshold,
        };
        // What is 0 but for rounding would be written −0.
        let value = if value.abs() < 1e-9 { 0.0 } else { value };
        let digits = if value.abs() >= 10.0 || (value - value.round()).abs() < 1e-9 { 0 } else { 2 };
        let text = format!("{value:.digits$}");
        text.replace('-', "−")
    }

    /// Positions of the ticks between two positions, for the scales that plotters does not know.
    fn ticks(self, low: f64, high: f64) -> Option<Vec<f64>> {
        let inside = |position: &f64| (low..=high).contains(position);
        match self {
            Self::Linear => None,
            Self::PowersOfTwo => Some((0..63).map(f64::from).filter(inside).collect()),
            Self::SymmetricLog(threshold) => {
                let decades = (-3..6).map(|power| 10_f64.powi(power));
                let values = decades
                    .flat_map(|value| [value, -value])
                    .chain([0.0])
                    .filter(|value: &f64| *value == 0.0 || value.abs() >= threshold);
                let mut ticks: Vec<f64> = values.map(|value| self.forward(value)).filter(inside).collect();
                ticks.sort_by(f64::total_cmp);
                Some(ticks)
            }
        }
    }
}

impl Figure {
    /// Draws the page.
    ///
    /// # Errors
    /// When a panel has no room.
    pub fn draw(&self, width: usize, height: usize) -> Result<Canvas> {
        fonts();
        let mut pixels = vec![255; 3 * width * height];
        {
            let backend = BitMapBackend::with_buffer(&mut pixels, (width as u32, height as u32));
            let page = backend.into_drawing_area();
            self.draw_on(&page).map_err(|error| anyhow!("the plot cannot be drawn: {error}"))?;
            page.present().map_err(|error| anyhow!("the plot cannot be drawn: {error}"))?;
        }
        Ok(Canvas::from_pixels(width, height, pixels))
    }

    fn draw_on(&self, page: &Page<'_>) -> Result<(), PlotError> {
        page.draw_text(&self.title, &text(26.0), (24, 16))?;
        let mut top = 52;
        for line in &self.caption {
            page.draw_text(line, &text(17.0), (24, top))?;
            top += 22;
        }
        let mut left = 24;
        top += 8;
        for (name, colour) in &self.legend {
            let style = rgb(*colour).filled();
            page.draw(&Rectangle::new([(left, top + 5), (left + 26, top + 11)], style))?;
            page.draw_text(name, &text(17.0), (left + 34, top))?;
            left += 60 + 10 * name.chars().count() as i32;
        }
        let (_, rest) = page.split_vertically(top + 30);
        let rows = rest.split_evenly((self.panels.len(), 1));
        for (row, panels) in rows.iter().zip(&self.panels) {
            for (area, panel) in row.split_evenly((1, panels.len())).iter().zip(panels) {
                panel.draw(area)?;
            }
        }
        Ok(())
    }
}

type Page<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type PlotError = DrawingAreaErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>;

impl Panel {
    fn draw(&self, area: &Page<'_>) -> Result<(), PlotError> {
        if let Some(note) = &self.note {
            let (width, height) = area.dim_in_pixel();
            let words = text(17.0).pos(Pos::new(HPos::Center, VPos::Center));
            area.draw_text(&self.title, &text(19.0).pos(Pos::new(HPos::Center, VPos::Top)), (width as i32 / 2, 16))?;
            return area.draw_text(note, &words, (width as i32 / 2, height as i32 / 2));
        }
        let (x_scale, y_scale) = (self.x_scale, self.y_scale);
        let place = |(x, y): (f64, f64)| (x_scale.forward(x), y_scale.forward(y));
        let (x_range, y_range) = self.ranges();
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, text(19.0))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(ticked(x_scale, x_range), ticked(y_scale, y_range))?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(225, 225, 225))
            .axis_desc_style(text(16.0))
            .label_style(text(14.0))
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .x_labels(16)
            .y_labels(12)
            .x_label_formatter(&|x| x_scale.label(*x))
            .y_label_formatter(&|y| y_scale.label(*y))
            .draw()?;
        for (level, name) in &self.levels {
            let y = y_scale.forward(*level);
            chart.draw_series(LineSeries::new([(x_range.0, y), (x_range.1, y)], BLACK.stroke_width(2)))?;
            let middle = x_range.0 + 0.02 * (x_range.1 - x_range.0);
            let above = y + 0.055 * (y_range.1 - y_range.0);
            chart.draw_series([Text::new(name.clone(), (middle, above), text(14.0))])?;
        }
        for curve in &self.curves {
            let colour = rgb(curve.colour);
            if !curve.band.is_empty() {
                let edge = |edge: fn(&(f64, f64)) -> f64| {
                    curve.points.iter().zip(&curve.band).map(move |(&(x, _), band)| place((x, edge(band))))
                };
                let upper: Vec<_> = edge(|band| band.1).collect();
                let outline: Vec<_> = edge(|band| band.0).chain(upper.into_iter().rev()).collect();
                chart.draw_series([Polygon::new(outline, colour.mix(0.16))])?;
            }
            let points: Vec<_> = curve.points.iter().map(|&point| place(point)).collect();
            let (width, size) = match curve.stroke {
                Stroke::Line => (3, 4),
                Stroke::Broad => (8, 7),
                Stroke::Points => (0, 2),
            };
            if width > 0 {
                chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(width)))?;
            }
            chart.draw_series(points.iter().map(|&point| Circle::new(point, size, colour.filled())))?;
        }
        Ok(())
    }

    /// Positions of the axes' ends.
    fn ranges(&self) -> ((f64, f64), (f64, f64)) {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let bands = self.curves.iter().flat_map(|curve| &curve.band).flat_map(|&(low, high)| [low, high]);
        let y = points().map(|&(_, y)| y).chain(bands).chain(self.levels.iter().map(|&(level, _)| level));
        let x_range = span(points().map(|&(x, _)| self.x_scale.forward(x)), 0.04);
        let y_range = match self.y_range {
            Some((low, high)) => (self.y_scale.forward(low), self.y_scale.forward(high)),
            None => span(y.map(|y| self.y_scale.forward(y)), 0.08),
        };
        (x_range, y_range)
    }
}

/// Smallest and largest of the finite values with a margin; 0 to 1 where there are none.
fn span(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let ends = values.filter(|value| value.is_finite()).fold(None, |ends, value| {
        let (low, high) = ends.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    });
    let (low, high) = ends.unwrap_or((0.0, 1.0));
    let room = ((high - low) * margin).max(1e-3 * low.abs().max(high.abs()).max(1e-3));
    (low - room, high + room)
}

/// An axis with the ticks of its scale.
fn ticked(scale: Scale, (low, high): (f64, f64)) -> Ticked {
    Ticked { range: (low..high).into(), ticks: scale.ticks(low, high) }
}

/// plotters' linear axis, with ticks of our own where the scale has them.
struct Ticked {
    range: RangedCoordf64,
    ticks: Option<Vec<f64>>,
}

impl plotters::coord::ranged1d::Ranged for Ticked {
    type FormatOption = plotters::coord::ranged1d::NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.range.map(value, limit)
    }

    fn key_points<Hint: plotters::coord::ranged1d::KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.ticks.clone().unwrap_or_else(|| self.range.key_points(hint))
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.range()
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Ticked {}

fn text(size: f64) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", size).into_font()).color(&RGBColor(30, 30, 30))
}

fn rgb([red, green, blue]: Colour) -> RGBColor {
    RGBColor(red, green, blue)
}

/// The one font, registered once for the process.
fn fonts() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let registered = register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
        assert!(registered.is_ok(), "the font that is compiled in cannot be read");
    });
}
