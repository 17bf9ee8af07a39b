//! Shapes with smooth edges, on pixels whose upper left corner has whole coordinates.
//!
//! A pixel takes as much of the colour as the shape covers of it, and takes it once: the lines of a curve do not darken where they meet.

use super::{Canvas, Colour};
use std::collections::HashMap;

/// A point in pixels: right, down.
pub(super) type Point = (f64, f64);

impl Canvas {
    /// A rectangle of whole pixels; what sticks out is cut off.
    pub(super) fn fill(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), colour: Colour) {
        for y in top..(top + height).min(self.height()) {
            for x in left..(left + width).min(self.width()) {
                self.blend(x, y, colour, 1.0);
            }
        }
    }

    /// The lines of `thickness` pixels around a rectangle, outside of it.
    pub(super) fn frame(
        &mut self,
        (left, top): (usize, usize),
        (width, height): (usize, usize),
        thickness: usize,
        colour: Colour,
    ) {
        let (outer_left, outer_top) = (left - thickness, top - thickness);
        self.fill((outer_left, outer_top), (width + 2 * thickness, thickness), colour);
        self.fill((outer_left, top + height), (width + 2 * thickness, thickness), colour);
        self.fill((outer_left, top), (thickness, height), colour);
        self.fill((left + width, top), (thickness, height), colour);
    }

    /// A line through `points`, round at its ends and corners.
    pub(super) fn line(&mut self, points: &[Point], width: f64, colour: Colour) {
        let mut shares: HashMap<(usize, usize), f64> = HashMap::new();
        for ends in points.windows(2) {
            let (from, to) = (ends[0], ends[1]);
            let reach = width / 2.0 + 1.0;
            let low = (from.0.min(to.0) - reach, from.1.min(to.1) - reach);
            let high = (from.0.max(to.0) + reach, from.1.max(to.1) + reach);
            for (x, y) in self.pixels_between(low, high) {
                let share = (width / 2.0 + 0.5 - distance_to_segment(centre(x, y), from, to)).clamp(0.0, 1.0);
                let covered = shares.entry((x, y)).or_default();
                *covered = covered.max(share);
            }
        }
        for ((x, y), share) in shares {
            self.blend(x, y, colour, share);
        }
    }

    /// A filled circle.
    pub(super) fn disc(&mut self, middle: Point, radius: f64, colour: Colour, opacity: f64) {
        let reach = radius + 1.0;
        for (x, y) in self.pixels_between((middle.0 - reach, middle.1 - reach), (middle.0 + reach, middle.1 + reach)) {
            let share = (radius + 0.5 - distance(centre(x, y), middle)).clamp(0.0, 1.0);
            self.blend(x, y, colour, share * opacity);
        }
    }

    /// A circle.
    pub(super) fn ring(&mut self, middle: Point, radius: f64, width: f64, colour: Colour, opacity: f64) {
        let reach = radius + width / 2.0 + 1.0;
        for (x, y) in self.pixels_between((middle.0 - reach, middle.1 - reach), (middle.0 + reach, middle.1 + reach)) {
            let share = (width / 2.0 + 0.5 - (distance(centre(x, y), middle) - radius).abs()).clamp(0.0, 1.0);
            self.blend(x, y, colour, share * opacity);
        }
    }

    /// The area between two curves: x, the upper and the lower edge at each of some points, from left to right.
    pub(super) fn band(&mut self, points: &[(f64, f64, f64)], colour: Colour, opacity: f64) {
        for ends in points.windows(2) {
            let ((x0, top0, bottom0), (x1, top1, bottom1)) = (ends[0], ends[1]);
            // A column belongs to the piece that its middle lies in, so that none is drawn twice.
            for x in self.columns_between(x0 - 0.5, x1 - 0.5) {
                let share = ((x as f64 + 0.5 - x0) / (x1 - x0)).clamp(0.0, 1.0);
                let (top, bottom) = (top0 + share * (top1 - top0), bottom0 + share * (bottom1 - bottom0));
                for (x, y) in self.pixels_between((x as f64, top), (x as f64 + 1.0, bottom)) {
                    let covered = (bottom.min(y as f64 + 1.0) - top.max(y as f64)).clamp(0.0, 1.0);
                    self.blend(x, y, colour, covered * opacity);
                }
            }
        }
    }

    /// Columns x of the picture with low ≤ x < high.
    fn columns_between(&self, low: f64, high: f64) -> std::ops::Range<usize> {
        low.ceil().max(0.0) as usize..(high.ceil().max(0.0) as usize).min(self.width())
    }

    /// The pixels of the picture that have a part in a rectangle.
    fn pixels_between(&self, low: Point, high: Point) -> impl Iterator<Item = (usize, usize)> + use<> {
        let range = |low: f64, high: f64, end: usize| low.max(0.0) as usize..(high.max(0.0).ceil() as usize).min(end);
        let columns = range(low.0, high.0, self.width());
        range(low.1, high.1, self.height()).flat_map(move |y| columns.clone().map(move |x| (x, y)))
    }
}

fn centre(x: usize, y: usize) -> Point {
    (x as f64 + 0.5, y as f64 + 0.5)
}

fn distance(a: Point, b: Point) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

fn distance_to_segment(point: Point, from: Point, to: Point) -> f64 {
    let along = (to.0 - from.0, to.1 - from.1);
    let length = along.0.powi(2) + along.1.powi(2);
    if length == 0.0 {
        return distance(point, from);
    }
    let share = ((point.0 - from.0) * along.0 + (point.1 - from.1) * along.1) / length;
    let share = share.clamp(0.0, 1.0);
    distance(point, (from.0 + share * along.0, from.1 + share * along.1))
}
