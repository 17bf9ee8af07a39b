//! How each latent dimension depends on each factor: the mean code of every level.

use super::axis::{number, round_above, shortest};
use super::lettering::{Align, CAPTION, Face, Head, LABEL, TICK, TITLE, widest};
use super::plot::COLOURS;
use super::{Canvas, Colour};
use crate::scores::Table;

const PAPER: Colour = [255; 3];
/// A curve that is pointed out, and the frame around it.
const STRONG: Colour = COLOURS[1];
/// A curve that is not.
const WEAK: Colour = [110; 3];
const FRAME: Colour = [190; 3];
const GRID_LINE: Colour = [228; 3];
const MARGIN: usize = 16;
/// Without a name that is longer.
const CELL_WIDTH: usize = 150;
const CELL_HEIGHT: usize = 80;
const GAP: usize = 12;
/// Above each cell: room for its number.
const STRIP: usize = 20;
/// With so few levels, what lies between them means nothing: points instead of a line.
const FEW_LEVELS: usize = 3;
/// A row's largest information is pointed out only where it is at least this share of the largest on that factor, of all dimensions:
/// noise has a largest value too.
const NOTABLE: f64 = 0.1;
/// Nothing is pointed out below this share of ln(levels), the most that a dimension can tell: histograms find a little in noise.
const LEAST: f64 = 0.05;

/// A row per dimension in `order`, a column per factor; each cell shows the code's mean over the images of each level, and one standard
/// deviation (of these images, divided by their number) on either side, on a scale that is common to all cells and has 0 in its middle.
///
/// `order` says which dimensions are shown and in which order, for example by KL, largest first; about ten can be taken in at a glance.
/// `mutual_information` (`[D][K]`, nats, rows for all dimensions of the table) is written above the cells: for each factor the dimension
/// with the most information on it is framed, if it is shown, and for each dimension the factor on which it has the most is drawn in
/// colour, unless another dimension has ten times as much on that; neither below a twentieth of ln(levels). The picture follows the plots of latents against ground-truth factors
/// in Chen et al. 2018; here every other factor is averaged over.
pub fn latent_against_factor(table: &Table, order: &[usize], mutual_information: Option<&[Vec<f64>]>) -> Canvas {
    assert!(!order.is_empty() && table.factors() > 0, "the picture needs a dimension and a factor");
    let dimensions = table.dimensions();
    assert!(order.iter().all(|&d| d < dimensions), "the table has {dimensions} dimensions, asked for {order:?}");
    if let Some(information) = mutual_information {
        let fits = information.len() == dimensions && information.iter().all(|row| row.len() == table.factors());
        assert!(fits, "mutual_information must be [{dimensions}][{}]", table.factors());
    }
    let cells: Vec<Vec<Vec<Summary>>> =
        order.iter().map(|&d| (0..table.factors()).map(|k| by_level(table, d, k)).collect()).collect();
    let layout = Layout::new(table, order, &cells, mutual_information.is_some());
    let mut canvas = layout.canvas();
    for (row, (&dimension, cells)) in order.iter().zip(&cells).enumerate() {
        layout.label_row(&mut canvas, row, dimension);
        for (factor, levels) in cells.iter().enumerate() {
            let emphasis = mutual_information
                .map(|information| Emphasis::of(information, dimension, (factor, table.sizes()[factor])));
            let cell = layout.cell(row, factor);
            cell.draw(&mut canvas, levels, table.sizes()[factor], emphasis);
            if let Some(information) = mutual_information {
                let largest = information.iter().flatten().copied().fold(0.0, f64::max);
                let text = number(information[dimension][factor], largest);
                let colour = if emphasis == Some(Emphasis::None) { TICK.colour } else { STRONG };
                let place = ((cell.left + cell.width) as f64, cell.top as f64 - 9.0);
                canvas.words(place, &text, Face { colour, ..TICK }, Align::Right);
            }
        }
    }
    layout.label_levels(&mut canvas, table);
    canvas
}

/// The codes of the images of one level.
struct Summary {
    level: usize,
    mean: f64,
    deviation: f64,
}

/// Levels that no image has are left out, as are means that are not numbers.
fn by_level(table: &Table, dimension: usize, factor: usize) -> Vec<Summary> {
    let mut codes: Vec<Vec<f64>> = vec![Vec::new(); table.sizes()[factor]];
    for (code, level) in table.dimension(dimension).into_iter().zip(table.factor(factor)) {
        codes[level].push(code);
    }
    let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let summarised = |(level, codes): (usize, Vec<f64>)| {
        let centre = mean(&mut codes.iter().copied(), codes.len());
        let variance = mean(&mut codes.iter().map(|code| (code - centre).powi(2)), codes.len());
        Summary { level, mean: centre, deviation: variance.sqrt() }
    };
    codes.into_iter().enumerate().map(summarised).filter(|level| level.deviation.is_finite()).collect()
}

/// Why a cell is pointed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Emphasis {
    None,
    /// The row's largest.
    OfDimension,
    /// The column's largest.
    OfFactor,
}

impl Emphasis {
    fn of(information: &[Vec<f64>], dimension: usize, (factor, size): (usize, usize)) -> Self {
        let here = information[dimension][factor];
        let of_factor = information.iter().map(|row| row[factor]).fold(f64::NEG_INFINITY, f64::max);
        let of_dimension = information[dimension].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = LEAST * (size as f64).ln();
        if here <= 0.0 || here.is_nan() || here < least {
            Self::None
        } else if here >= of_factor {
            Self::OfFactor
        } else if here >= of_dimension && here >= NOTABLE * of_factor {
            Self::OfDimension
        } else {
            Self::None
        }
    }
}

/// Where everything stands, in pixels.
struct Layout {
    head: Head,
    headings: Vec<Vec<String>>,
    limit: f64,
    left: usize,
    top: usize,
    cell_width: usize,
    strip: usize,
    rows: usize,
}

impl Layout {
    fn new(table: &Table, order: &[usize], cells: &[Vec<Vec<Summary>>], with_information: bool) -> Self {
        let reach =
            cells.iter().flatten().flatten().map(|level| level.mean.abs() + level.deviation).fold(0.0, f64::max);
        // Within the prior's own width all pictures have one scale.
        let limit = if reach <= 3.0 { 3.0 } else { round_above(reach) };
        let (headings, cell_width) = LABEL.wrap_columns(table.names(), CELL_WIDTH as f64);
        let cell_width = cell_width.ceil() as usize;
        let names: Vec<String> = order.iter().map(|dimension| format!("z{dimension}")).collect();
        let ticks: Vec<String> = [-limit, limit].map(shortest).to_vec();
        let left = MARGIN as f64 + widest(&names, TITLE) + 12.0 + widest(&ticks, TICK) + 8.0;
        let left = left.ceil() as usize;
        let width = left - MARGIN + table.factors() * (cell_width + GAP) - GAP;
        let mut caption = vec![
            "Mean of the code over the images of each level of a factor; the band is one standard deviation on either \
             side."
                .to_owned(),
        ];
        if with_information {
            caption.push(
                "Numbers: mutual information, nats. Framed: the largest of a factor. In colour: the largest of a dimension. Both from a twentieth of ln(levels) on."
                .to_owned(),
            );
        }
        let head = Head::new("Codes against factors", &caption, width as f64);
        let heading_lines = headings.iter().map(Vec::len).max().unwrap_or(0) as f64;
        let top = MARGIN as f64 + head.height() + heading_lines * LABEL.line_height() + CAPTION.line_height() + 4.0;
        let strip = if with_information { STRIP } else { GAP };
        Self { head, headings, limit, left, top: top.ceil() as usize, cell_width, strip, rows: order.len() }
    }

    fn canvas(&self) -> Canvas {
        let columns = self.headings.len();
        let right =
            (self.left + columns * (self.cell_width + GAP) - GAP).max(MARGIN + self.head.width().ceil() as usize);
        let bottom = self.top + self.rows * (self.strip + CELL_HEIGHT) + TICK.line_height() as usize;
        let mut canvas = Canvas::new(right + MARGIN, bottom + LABEL.line_height() as usize + MARGIN, PAPER);
        self.head.draw(&mut canvas, (MARGIN as f64, MARGIN as f64));
        canvas
    }

    fn cell(&self, row: usize, factor: usize) -> Cell {
        Cell {
            left: self.left + factor * (self.cell_width + GAP),
            top: self.top + row * (self.strip + CELL_HEIGHT) + self.strip,
            width: self.cell_width,
            limit: self.limit,
        }
    }

    fn label_row(&self, canvas: &mut Canvas, row: usize, dimension: usize) {
        let cell = self.cell(row, 0);
        canvas.words((MARGIN as f64, cell.height_of(0.0)), &format!("z{dimension}"), TITLE, Align::Left);
        for tick in [-self.limit, 0.0, self.limit] {
            let place = (self.left as f64 - 8.0, cell.height_of(tick));
            canvas.words(place, &shortest(tick), TICK, Align::Right);
        }
    }

    /// Names of the factors above, the first and the last level below.
    fn label_levels(&self, canvas: &mut Canvas, table: &Table) {
        for (factor, (heading, &size)) in self.headings.iter().zip(table.sizes()).enumerate() {
            let cell = self.cell(self.rows - 1, factor);
            let middle = cell.left as f64 + cell.width as f64 / 2.0;
            let foot = self.top as f64 - CAPTION.line_height() / 2.0;
            let count = if size == 1 { "1 level".to_owned() } else { format!("{size} levels") };
            canvas.words((middle, foot), &count, CAPTION, Align::Centre);
            let height = heading.len() as f64 * LABEL.line_height();
            let first = self.top as f64 - CAPTION.line_height() - height + LABEL.line_height() / 2.0;
            canvas.lines((middle, first), heading, LABEL, Align::Centre);
            let below = (cell.top + CELL_HEIGHT) as f64 + 12.0;
            let shown: Vec<usize> = if size <= FEW_LEVELS { (0..size).collect() } else { vec![0, size - 1] };
            for level in shown {
                let x = cell.place_of(level, size).clamp(cell.left as f64 + 5.0, (cell.left + cell.width) as f64 - 9.0);
                canvas.words((x, below), &level.to_string(), TICK, Align::Centre);
            }
            canvas.words((middle, below + LABEL.line_height() - 4.0), "level", TICK, Align::Centre);
        }
    }
}

/// The axes of one dimension and one factor.
struct Cell {
    left: usize,
    top: usize,
    width: usize,
    limit: f64,
}

impl Cell {
    /// Around the ends of the scale, so that a line along them is not cut.
    const MARGIN: f64 = 4.0;

    fn height_of(&self, code: f64) -> f64 {
        let half = CELL_HEIGHT as f64 / 2.0;
        self.top as f64 + half - code / self.limit * (half - Self::MARGIN)
    }

    fn place_of(&self, level: usize, levels: usize) -> f64 {
        self.left as f64 + (level as f64 + 0.5) / levels as f64 * self.width as f64
    }

    fn draw(&self, canvas: &mut Canvas, levels: &[Summary], size: usize, emphasis: Option<Emphasis>) {
        for tick in [-self.limit, 0.0, self.limit] {
            canvas.fill((self.left, self.height_of(tick).floor() as usize), (self.width, 1), GRID_LINE);
        }
        let colour = if emphasis == Some(Emphasis::None) { WEAK } else { STRONG };
        if size <= FEW_LEVELS {
            self.draw_points(canvas, levels, size, colour);
        } else {
            self.draw_line(canvas, levels, size, colour);
        }
        let (thickness, colour) = if emphasis == Some(Emphasis::OfFactor) { (2, STRONG) } else { (1, FRAME) };
        canvas.frame((self.left, self.top), (self.width, CELL_HEIGHT), thickness, colour);
    }

    fn draw_line(&self, canvas: &mut Canvas, levels: &[Summary], size: usize, colour: Colour) {
        let band: Vec<(f64, f64, f64)> = levels
            .iter()
            .map(|level| {
                let height = |side: f64| self.height_of(level.mean + side * level.deviation);
                (self.place_of(level.level, size), height(1.0), height(-1.0))
            })
            .collect();
        canvas.band(&band, colour, 0.25);
        let points: Vec<(f64, f64)> =
            levels.iter().map(|level| (self.place_of(level.level, size), self.height_of(level.mean))).collect();
        canvas.line(&points, 2.0, colour);
    }

    fn draw_points(&self, canvas: &mut Canvas, levels: &[Summary], size: usize, colour: Colour) {
        for level in levels {
            let (x, y) = (self.place_of(level.level, size), self.height_of(level.mean));
            let edge = |side: f64| self.height_of(level.mean + side * level.deviation);
            canvas.band(&[(x - 7.0, edge(1.0), edge(-1.0)), (x + 7.0, edge(1.0), edge(-1.0))], colour, 0.25);
            canvas.disc((x, y), 3.5, colour, 1.0);
        }
    }
}
