//! The three outlines of dSprites and how a sprite is placed.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Half the side of the square at scale 1, in pixels: 0.15 · 64.
const HALF: f64 = 9.6;

/// A point in pixels, x to the right, y down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// Vertices at scale 1 and orientation 0 around the sprite's centre: square, ellipse, heart.
static OUTLINES: LazyLock<[Vec<Point>; 3]> = LazyLock::new(|| [square(), ellipse(), heart()]);

fn square() -> Vec<Point> {
    [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)].map(|(x, y)| Point { x: HALF * x, y: HALF * y }).to_vec()
}

fn ellipse() -> Vec<Point> {
    let point = |i: i32| {
        let t = 2.0 * PI * f64::from(i) / 100.0;
        Point { x: HALF * 1.33 * t.cos(), y: HALF / 1.33 * t.sin() }
    };
    (0..100).map(point).collect()
}

fn heart() -> Vec<Point> {
    let point = |i: i32| {
        let t = 2.0 * PI * f64::from(i) / 150.0;
        let height = 13.0 * t.cos() - 5.0 * (2.0 * t).cos() - 2.0 * (3.0 * t).cos() - (4.0 * t).cos();
        Point { x: HALF * t.sin().powf(3.0), y: -(0.15 * HALF + 2.0 * HALF / 29.0 * height) }
    };
    (0..150).map(point).collect()
}

/// Vertices of a sprite around its centre. The order of the operations matters: every vertex is rounded as in the original.
///
/// ```text
/// X = s (x cos a + y sin a),   Y = s (−x sin a + y cos a),   s = 0.5 + 0.1 scale,   a = 2π orientation / 39
/// ```
pub(super) fn placed(shape: usize, scale: usize, orientation: usize) -> impl Iterator<Item = Point> {
    let s = scale_value(scale);
    let (sin, cos) = (2.0 * PI * orientation as f64 / 39.0).sin_cos();
    OUTLINES[shape].iter().map(move |v| Point { x: s * (cos * v.x + sin * v.y), y: s * (-v.x * sin + cos * v.y) })
}

/// Size of level `scale` (0 to 5): 0.5, 0.6, … 1.
pub(super) fn scale_value(scale: usize) -> f64 {
    0.5 + 0.1 * scale as f64
}

/// Centre of position level `level` (0 to 31) on one axis, in pixels: 16 to 48.
pub(super) fn centre(level: usize) -> f64 {
    16.0 + 32.0 * level as f64 / 31.0
}
