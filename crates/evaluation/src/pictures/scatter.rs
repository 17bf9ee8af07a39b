//! Samples of the aggregate posterior against the prior.

use super::axis::{shortest, ticks};
use super::lettering::{Align, Head, LABEL, TICK, widest};
use super::palette::Colours;
use super::{Canvas, Colour};
use tch::{Device, Kind, Tensor};

const PAPER: Colour = [255; 3];
const PRIOR: Colour = [30; 3];
const FRAME: Colour = [190; 3];
const HISTOGRAM: Colour = [205; 3];
const MARGIN: usize = 16;
const GAP: usize = 14;
/// Height of a histogram beside the only square.
const STRIP: usize = 110;
const RADIUS: f64 = 1.7;
/// Standard deviations of the prior that its panels always show.
const SMALLEST_LIMIT: f64 = 3.5;
/// An odd number: 0 is in the middle of a bar.
const BINS: usize = 51;

/// What the points are coloured by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colouring<'a> {
    /// Name of the factor or of the label.
    pub name: &'a str,
    /// The level of each sample, `[n]`. Up to ten levels have colours of their own, more are on a ramp.
    pub levels: &'a [usize],
    /// Names of the levels; without any, their numbers.
    pub level_names: &'a [String],
}

/// Samples z of q(z) (`[n, D]`) in every pair of `dimensions`, two to four of them, with circles at 1, 2 and 3 standard deviations of the
/// prior N(0, I); on the diagonal the histogram of each dimension with the density of N(0, 1).
///
/// All axes have one scale. The order in which points are drawn, and so which of two covers the other, is shuffled: it says nothing about
/// the levels. Samples with a shown coordinate that is not finite are left out, and counted in the caption.
pub fn aggregate_posterior(z: &Tensor, dimensions: &[usize], colouring: Option<&Colouring<'_>>) -> Canvas {
    let samples = Samples::new(z, dimensions, colouring);
    let layout = Layout::new(&samples, dimensions);
    let mut canvas = layout.canvas(colouring, samples.colours);
    for row in 0..dimensions.len() {
        layout.draw_histogram(&mut canvas, row, &samples.coordinates[row]);
        for column in 0..row {
            layout.draw_points(&mut canvas, (row, column), &samples);
        }
    }
    layout.draw_axes(&mut canvas, dimensions);
    canvas
}

/// What is shown of the samples, in the order of drawing.
struct Samples {
    /// A list for each of the dimensions.
    coordinates: Vec<Vec<f64>>,
    points: Vec<Colour>,
    colours: Colours,
    left_out: usize,
}

impl Samples {
    fn new(z: &Tensor, dimensions: &[usize], colouring: Option<&Colouring<'_>>) -> Self {
        let size = z.size();
        assert_eq!(size.len(), 2, "samples must be [n, D], got {size:?}");
        let (count, width) = (size[0] as usize, size[1] as usize);
        assert!((2..=4).contains(&dimensions.len()), "two to four dimensions are shown, got {dimensions:?}");
        assert!(dimensions.iter().all(|&d| d < width), "samples have {width} dimensions, asked for {dimensions:?}");
        let levels = colouring.map(|colouring| colouring.levels);
        assert!(levels.is_none_or(|levels| levels.len() == count), "each of the {count} samples must have a level");
        let z = z.detach().to_device(Device::Cpu).to_kind(Kind::Double).reshape(-1);
        let z: Vec<f64> = Vec::try_from(&z).expect("float64 values");
        let mut rows: Vec<usize> = (0..count).collect();
        rows.retain(|row| dimensions.iter().all(|d| z[row * width + d].is_finite()));
        // Any seed will do: it decides only what covers what.
        fastrand::Rng::with_seed(0).shuffle(&mut rows);
        let colours = Colours::of(levels.map(|levels| levels.iter().max().map_or(1, |largest| largest + 1)));
        Self {
            coordinates: dimensions.iter().map(|d| rows.iter().map(|row| z[row * width + d]).collect()).collect(),
            points: rows.iter().map(|&row| colours.colour(levels.map_or(0, |levels| levels[row]))).collect(),
            colours,
            left_out: count - rows.len(),
        }
    }

    /// The more points, the paler, so that density is seen: 0.8 up to about 1500 of them, 0.2 from 6000.
    fn opacity(&self) -> f64 {
        (1200.0 / self.points.len() as f64).clamp(0.2, 0.8)
    }
}

/// A panel: its upper left corner, width and height.
#[derive(Debug, Clone, Copy)]
struct Panel {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Panel {
    fn frame(self, canvas: &mut Canvas) {
        canvas.frame((self.left, self.top), (self.width, self.height), 1, FRAME);
    }
}

/// Where everything stands, in pixels.
///
/// Two dimensions: one square, a histogram above it and one on its right. More: the lower triangle of a square of panels, histograms on
/// its diagonal.
struct Layout {
    head: Head,
    /// Both axes of every panel run from −limit to limit.
    limit: f64,
    side: usize,
    count: usize,
    left: usize,
    top: usize,
}

impl Layout {
    fn new(samples: &Samples, dimensions: &[usize]) -> Self {
        let largest = samples.coordinates.iter().flatten().map(|z| z.abs()).fold(0.0, f64::max);
        let limit = (1.03 * largest).max(SMALLEST_LIMIT);
        let count = dimensions.len();
        let side = [420, 260, 215][count - 2];
        let labels: Vec<String> = ticks_of(limit, side).into_iter().map(shortest).collect();
        let names: Vec<String> = dimensions.iter().map(|d| format!("z{d}")).collect();
        let left = MARGIN as f64 + widest(&names, LABEL) + 12.0 + widest(&labels, TICK) + 8.0;
        let left = left.ceil() as usize;
        let left_out = match samples.left_out {
            0 => String::new(),
            1 => " (1 more is not finite)".to_owned(),
            more => format!(" ({more} more are not finite)"),
        };
        let plural = if samples.points.len() == 1 { "" } else { "s" };
        let caption = format!(
            "{} sample{plural} of q(z){left_out}. Circles: 1, 2 and 3 standard deviations of the prior. Grey: histograms of \
             q(z_d). Black: the prior's density.",
            samples.points.len()
        );
        let layout = Self { head: Head::new("", &[], 0.0), limit, side, count, left, top: 0 };
        let head = Head::new("Aggregate posterior and prior", &[caption], (layout.right() - MARGIN) as f64);
        let top = (MARGIN as f64 + head.height() + 4.0).ceil() as usize;
        Self { head, top, ..layout }
    }

    /// With the title, and the legend where there is no panel.
    fn canvas(&self, colouring: Option<&Colouring<'_>>, colours: Colours) -> Canvas {
        let legend = if self.count == 2 {
            (self.right() + 2 * GAP, self.square(1, 0).top)
        } else {
            let corner = self.square(0, self.count / 2);
            (corner.left + GAP, corner.top)
        };
        let legend = (legend.0 as f64, legend.1 as f64);
        let legend_width = colouring.map_or(0.0, |c| colours.legend_width(c.name, c.level_names));
        let right = self.right().max(MARGIN + self.head.width().ceil() as usize);
        let right = if colouring.is_some() { right.max((legend.0 + legend_width).ceil() as usize) } else { right };
        let below = 10.0 + TICK.line_height() + LABEL.line_height();
        let mut canvas = Canvas::new(right + MARGIN, self.bottom() + below as usize + MARGIN, PAPER);
        self.head.draw(&mut canvas, (MARGIN as f64, MARGIN as f64));
        if let Some(colouring) = colouring {
            colours.draw_legend(&mut canvas, legend, colouring.name, colouring.level_names);
        }
        canvas
    }

    /// The panel of two dimensions; with two in all there is but one, below the first histogram.
    fn square(&self, row: usize, column: usize) -> Panel {
        let above = if self.count == 2 { STRIP + GAP } else { row * (self.side + GAP) };
        let left = self.left + column * (self.side + GAP);
        Panel { left, top: self.top + above, width: self.side, height: self.side }
    }

    /// The panel of one dimension.
    fn marginal(&self, index: usize) -> Panel {
        match (self.count, index) {
            (2, 0) => Panel { left: self.left, top: self.top, width: self.side, height: STRIP },
            (2, _) => Panel { width: STRIP, ..self.square(1, 1) },
            _ => self.square(index, index),
        }
    }

    fn right(&self) -> usize {
        let last = self.marginal(self.count - 1);
        last.left + last.width
    }

    fn bottom(&self) -> usize {
        let last = self.square(self.count - 1, 0);
        last.top + last.height
    }

    /// Pixels from the start of an axis.
    fn along(&self, z: f64) -> f64 {
        (z + self.limit) / (2.0 * self.limit) * self.side as f64
    }

    /// Those whose words stay clear of the neighbouring panel's.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let fits = |tick: &f64| {
            // With the minus, so that −z goes where z goes.
            let half = TICK.width(&shortest(-tick.abs())) / 2.0;
            self.along(tick.abs()) + half <= self.side as f64 + GAP as f64 / 4.0
        };
        ticks_of(self.limit, self.side).into_iter().filter(fits)
    }

    fn draw_points(&self, canvas: &mut Canvas, (row, column): (usize, usize), samples: &Samples) {
        let panel = self.square(row, column);
        let place = |x: f64, y: f64| (panel.left as f64 + self.along(x), panel.top as f64 + self.along(-y));
        let opacity = samples.opacity();
        let (across, up) = (&samples.coordinates[column], &samples.coordinates[row]);
        for ((&x, &y), &colour) in across.iter().zip(up).zip(&samples.points) {
            canvas.disc(place(x, y), RADIUS, colour, opacity);
        }
        for deviations in [1.0, 2.0, 3.0] {
            canvas.ring(place(0.0, 0.0), self.along(deviations) - self.along(0.0), 1.0, PRIOR, 0.7);
        }
        panel.frame(canvas);
    }

    /// Bars on the foot of the panel; for the second of two dimensions on its left side, so that its axis is the square's.
    fn draw_histogram(&self, canvas: &mut Canvas, index: usize, values: &[f64]) {
        let panel = self.marginal(index);
        let sideways = self.count == 2 && index == 1;
        let width = 2.0 * self.limit / BINS as f64;
        let mut counts = [0_usize; BINS];
        for z in values {
            counts[(((z + self.limit) / width) as usize).min(BINS - 1)] += 1;
        }
        let density = |count: usize| count as f64 / (values.len().max(1) as f64 * width);
        let prior = |z: f64| (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        let highest = counts.iter().map(|&count| density(count)).fold(prior(0.0), f64::max);
        let room = 0.94 * if sideways { panel.width } else { panel.height } as f64;
        let height = |density: f64| density / highest * room;
        for (bin, &count) in counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let (start, end) = (bin * self.side / BINS, (bin + 1) * self.side / BINS);
            let high = height(density(count)).round() as usize;
            if sideways {
                canvas.fill((panel.left, panel.top + self.side - end), (high, end - start), HISTOGRAM);
            } else {
                canvas.fill((panel.left + start, panel.top + panel.height - high), (end - start, high), HISTOGRAM);
            }
        }
        let curve: Vec<(f64, f64)> = (0..=self.side)
            .map(|pixel| {
                let high = height(prior((pixel as f64 / self.side as f64 * 2.0 - 1.0) * self.limit));
                if sideways {
                    (panel.left as f64 + high, panel.top as f64 + pixel as f64)
                } else {
                    (panel.left as f64 + pixel as f64, (panel.top + panel.height) as f64 - high)
                }
            })
            .collect();
        canvas.line(&curve, 1.5, PRIOR);
        panel.frame(canvas);
    }

    fn draw_axes(&self, canvas: &mut Canvas, dimensions: &[usize]) {
        let (half, bottom) = (self.side as f64 / 2.0, self.bottom());
        for (index, dimension) in dimensions.iter().enumerate() {
            let name = format!("z{dimension}");
            let words = bottom as f64 + 15.0;
            let square = self.square(index, 0);
            let left = self.square(0, index).left;
            let (has_foot, has_side) = (self.count > 2 || index == 0, index > 0);
            for tick in self.ticks() {
                if has_foot {
                    let x = left as f64 + self.along(tick);
                    canvas.fill((x as usize, bottom), (1, 5), FRAME);
                    canvas.words((x, words), &shortest(tick), TICK, Align::Centre);
                }
                if has_side {
                    let y = square.top as f64 + self.along(-tick);
                    canvas.fill((square.left - 5, y as usize), (5, 1), FRAME);
                    canvas.words((square.left as f64 - 8.0, y), &shortest(tick), TICK, Align::Right);
                }
            }
            if has_foot {
                let below = words + TICK.line_height() + 2.0;
                canvas.words((left as f64 + half, below), &name, LABEL, Align::Centre);
            }
            if has_side {
                canvas.words((MARGIN as f64, square.top as f64 + half), &name, LABEL, Align::Left);
            }
        }
    }
}

/// Equal steps along an axis of `side` pixels, at most seven of them, and fewer where their words would touch.
fn ticks_of(limit: f64, side: usize) -> Vec<f64> {
    let clear = |ticks: &Vec<f64>| {
        let widest = ticks.iter().map(|tick| TICK.width(&shortest(*tick))).fold(0.0, f64::max);
        ticks.windows(2).all(|pair| (pair[1] - pair[0]) / (2.0 * limit) * side as f64 > widest + 8.0)
    };
    (2..=7).rev().map(|count| ticks(-limit, limit, count)).find(clear).unwrap_or_else(|| vec![0.0])
}
