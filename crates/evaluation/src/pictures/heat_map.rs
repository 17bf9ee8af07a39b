//! Matrices as coloured cells with their numbers.

use super::axis::{number, shortest, ticks};
use super::lettering::{Align, Face, Head, INK, LABEL, TICK, widest};
use super::palette::between;
use super::{Canvas, Colour};

const PAPER: Colour = [255; 3];
const MARGIN: usize = 16;
const NARROWEST_CELL: f64 = 52.0;
const CELL_HEIGHT: usize = 30;
/// Labels of columns are broken into lines of about this width.
const HEADING: f64 = 96.0;
const BAR_WIDTH: usize = 18;
const SHORTEST_BAR: usize = 120;
const TALLEST_BAR: usize = 300;
/// Around the bar, whose light end is as pale as the paper.
const FRAME: Colour = [190; 3];
/// Of a cell without a number.
const NOTHING: Colour = [225; 3];
/// One hue from light to dark, in about equal steps of lightness (Blues of Brewer's `ColorBrewer`, Harrower & Brewer 2003).
const BLUES: [Colour; 9] = [
    [247, 251, 255],
    [222, 235, 247],
    [198, 219, 239],
    [158, 202, 225],
    [107, 174, 214],
    [66, 146, 198],
    [33, 113, 181],
    [8, 81, 156],
    [8, 48, 107],
];

/// `values` (`[rows][columns]`) as a matrix: the darker, the larger, each cell with its number, and a bar that says what a colour means,
/// in `unit` (which may be empty).
///
/// The lightest colour is 0, or the smallest value where there are negative ones. What is not a finite number is grey, with a dash.
pub fn heat_map(
    title: &str,
    row_labels: &[String],
    column_labels: &[String],
    values: &[Vec<f64>],
    unit: &str,
) -> Canvas {
    let (rows, columns) = (row_labels.len(), column_labels.len());
    assert!(rows > 0 && columns > 0, "a heat map needs a row and a column");
    assert!(
        values.len() == rows && values.iter().all(|row| row.len() == columns),
        "values must be [{rows}][{columns}], as the labels say"
    );
    let scale = Scale::of(values);
    let layout = Layout::new(title, row_labels, column_labels, values, unit, &scale);
    let mut canvas = layout.canvas();
    for (index, lines) in layout.headings.iter().enumerate() {
        let x = (layout.left + index * layout.cell_width) as f64 + layout.cell_width as f64 / 2.0;
        let first = layout.top as f64 - 8.0 - (lines.len() as f64 - 0.5) * LABEL.line_height();
        canvas.lines((x, first), lines, LABEL, Align::Centre);
    }
    for (row, label) in row_labels.iter().enumerate() {
        let y = (layout.top + row * CELL_HEIGHT) as f64 + CELL_HEIGHT as f64 / 2.0;
        canvas.words((layout.left as f64 - 10.0, y), label, LABEL, Align::Right);
        for (column, &value) in values[row].iter().enumerate() {
            let corner = (layout.left + column * layout.cell_width, layout.top + row * CELL_HEIGHT);
            let colour = scale.colour(value);
            // A line of paper between cells.
            canvas.fill(corner, (layout.cell_width - 1, CELL_HEIGHT - 1), colour);
            let middle = (corner.0 as f64 + (layout.cell_width - 1) as f64 / 2.0, y);
            canvas.words(middle, &scale.number(value), Face { colour: readable_on(colour), ..LABEL }, Align::Centre);
        }
    }
    layout.draw_bar(&mut canvas, &scale);
    canvas
}

/// What the colours mean.
struct Scale {
    low: f64,
    high: f64,
    /// Without its sign.
    largest: f64,
}

impl Scale {
    fn of(values: &[Vec<f64>]) -> Self {
        let finite = || values.iter().flatten().copied().filter(|value| value.is_finite());
        let (low, high) = (finite().fold(0.0, f64::min), finite().fold(0.0, f64::max));
        Self { low, high: if high > low { high } else { low + 1.0 }, largest: high.max(-low) }
    }

    fn colour(&self, value: f64) -> Colour {
        if value.is_finite() { between(&BLUES, (value - self.low) / (self.high - self.low)) } else { NOTHING }
    }

    fn number(&self, value: f64) -> String {
        if value.is_finite() { number(value, self.largest) } else { "–".to_owned() }
    }

    fn ticks(&self) -> Vec<f64> {
        ticks(self.low, self.high, 5)
    }
}

/// Black or white, whichever has the greater contrast (WCAG 2.2, contrast ratio).
fn readable_on(colour: Colour) -> Colour {
    let linear = |channel: u8| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = |[red, green, blue]: Colour| 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    let contrast = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
    let own = luminance(colour);
    if contrast(own, luminance(PAPER)) > contrast(own, luminance(INK)) { PAPER } else { INK }
}

/// Where everything stands, in pixels.
struct Layout {
    head: Head,
    headings: Vec<Vec<String>>,
    unit: Vec<String>,
    left: usize,
    top: usize,
    cell_width: usize,
    bar_left: usize,
    bar_height: usize,
    width: usize,
    height: usize,
}

impl Layout {
    fn new(
        title: &str,
        row_labels: &[String],
        column_labels: &[String],
        values: &[Vec<f64>],
        unit: &str,
        scale: &Scale,
    ) -> Self {
        let numbers: Vec<String> = values.iter().flatten().map(|&value| scale.number(value)).collect();
        let narrowest = widest(&numbers, LABEL).max(NARROWEST_CELL);
        let (headings, _) = LABEL.wrap_columns(column_labels, narrowest.max(HEADING));
        let cell_width =
            headings.iter().map(|lines| widest(lines, LABEL)).fold(narrowest, f64::max).ceil() as usize + 12;
        let left = MARGIN + widest(row_labels, LABEL).ceil() as usize + 10;
        let matrix = column_labels.len() * cell_width;
        let rows = row_labels.len() * CELL_HEIGHT;
        let bar_left = left + matrix + 24;
        let unit = if unit.is_empty() { Vec::new() } else { TICK.wrap(unit, HEADING) };
        let bar_ticks: Vec<String> = scale.ticks().into_iter().map(shortest).collect();
        let bar = (BAR_WIDTH as f64 + 8.0 + widest(&bar_ticks, TICK)).max(widest(&unit, TICK)).ceil() as usize;
        let head = Head::new(title, &[], (bar_left + bar - MARGIN) as f64);
        let heading_lines = headings.iter().map(Vec::len).max().unwrap_or(0) as f64;
        let above = (heading_lines * LABEL.line_height() + 8.0).max(unit.len() as f64 * TICK.line_height() + 10.0);
        let top = (MARGIN as f64 + head.height() + above).ceil() as usize;
        let bar_height = rows.clamp(SHORTEST_BAR, TALLEST_BAR);
        Self {
            width: (bar_left + bar).max(MARGIN + head.width().ceil() as usize) + MARGIN,
            height: top + rows.max(bar_height + TICK.line_height() as usize / 2) + MARGIN,
            head,
            headings,
            unit,
            left,
            top,
            cell_width,
            bar_left,
            bar_height,
        }
    }

    fn canvas(&self) -> Canvas {
        let mut canvas = Canvas::new(self.width, self.height, PAPER);
        self.head.draw(&mut canvas, (MARGIN as f64, MARGIN as f64));
        canvas
    }

    fn draw_bar(&self, canvas: &mut Canvas, scale: &Scale) {
        let last = self.bar_height - 1;
        for row in 0..self.bar_height {
            let colour = between(&BLUES, (last - row) as f64 / last as f64);
            canvas.fill((self.bar_left, self.top + row), (BAR_WIDTH, 1), colour);
        }
        canvas.frame((self.bar_left, self.top), (BAR_WIDTH, self.bar_height), 1, FRAME);
        let right = self.bar_left + BAR_WIDTH;
        for tick in scale.ticks() {
            let share = (tick - scale.low) / (scale.high - scale.low);
            let row = self.top + ((1.0 - share) * last as f64).round() as usize;
            canvas.fill((right, row), (5, 1), FRAME);
            canvas.words(((right + 8) as f64, row as f64 + 0.5), &shortest(tick), TICK, Align::Left);
        }
        let first = self.top as f64 - 12.0 - (self.unit.len() as f64 - 0.5) * TICK.line_height();
        canvas.lines((self.bar_left as f64, first), &self.unit, TICK, Align::Left);
    }
}
