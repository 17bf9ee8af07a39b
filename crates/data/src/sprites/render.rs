//! Scan conversion without anti-aliasing, on integers: vertices snapped to 1/256 pixel, rows as 64-bit words.

use super::outline::{centre, placed};

/// Sub-pixel positions in a pixel.
const SNAP: i32 = 256;
/// Side of an image in pixels.
const SIDE: usize = 64;
/// Bytes of a packed image.
pub const IMAGE_BYTES: usize = SIDE * SIDE / 8;

/// One place where an edge crosses a row's centre line, with what does not depend on the sprite's x.
///
/// With the edge turned so that it goes down (`dy > 0`), the crossing is at `x0 + rise · (x1 − x0) / dy`.
struct Crossing {
    row: usize,
    from: usize,
    to: usize,
    rise: i32,
    dy: i32,
}

/// Renders one sprite at every pair of position levels (`x` outer, `y` inner) into `out`, [`IMAGE_BYTES`] each.
pub(super) fn render_positions(
    (shape, scale, orientation): (usize, usize, usize),
    xs: &[usize],
    ys: &[usize],
    out: &mut [u8],
) {
    assert_eq!(out.len(), xs.len() * ys.len() * IMAGE_BYTES, "one packed image for each pair of positions");
    let vertices: Vec<_> = placed(shape, scale, orientation).collect();
    // x and y are snapped apart: 64 outlines instead of 1024.
    let columns: Vec<Vec<i32>> = xs.iter().map(|&x| vertices.iter().map(|v| snap(v.x + centre(x))).collect()).collect();
    for (y_index, &y) in ys.iter().enumerate() {
        let rows: Vec<i32> = vertices.iter().map(|v| snap(v.y + centre(y))).collect();
        let crossings = crossings(&rows);
        for (x_index, column) in columns.iter().enumerate() {
            let image = &mut out[(x_index * ys.len() + y_index) * IMAGE_BYTES..][..IMAGE_BYTES];
            fill(&crossings, column, image);
        }
    }
}

fn snap(coordinate: f64) -> i32 {
    (f64::from(SNAP) * coordinate + 0.5).floor() as i32
}

/// The edge rule, rows: an edge from `y0` down to `y1` covers the centre lines `y0 < yc ≤ y1`.
fn crossings(y: &[i32]) -> Vec<Crossing> {
    let mut found = Vec::with_capacity(2 * SIDE);
    for from in 0..y.len() {
        let to = (from + 1) % y.len();
        let (from, to) = if y[from] <= y[to] { (from, to) } else { (to, from) };
        // Rows whose centre, SNAP row + SNAP/2, lies above y0 and not above y1.
        let first = (y[from] - SNAP / 2).div_euclid(SNAP) + 1;
        let last = (y[to] - SNAP / 2).div_euclid(SNAP);
        for row in first.max(0)..=last.min(SIDE as i32 - 1) {
            let rise = SNAP * row + SNAP / 2 - y[from];
            found.push(Crossing { row: row as usize, from, to, rise, dy: y[to] - y[from] });
        }
    }
    found
}

/// The edge rule, columns: from the ceiling of the left crossing to before the right one. Each crossing turns over all
/// columns from its ceiling on, which is the even-odd rule.
fn fill(crossings: &[Crossing], x: &[i32], image: &mut [u8]) {
    let mut rows = [0_u64; SIDE];
    for crossing in crossings {
        let (x0, x1) = (x[crossing.from], x[crossing.to]);
        // First column whose centre, SNAP column + SNAP/2, is not left of the crossing, both sides times dy.
        let numerator = (x0 - SNAP / 2) * crossing.dy + crossing.rise * (x1 - x0);
        let denominator = SNAP * crossing.dy;
        let column = (numerator + denominator - 1).div_euclid(denominator).max(0);
        rows[crossing.row] ^= u64::MAX.checked_shr(column as u32).unwrap_or(0);
    }
    for (bytes, row) in image.chunks_exact_mut(8).zip(rows) {
        bytes.copy_from_slice(&row.to_be_bytes());
    }
}
