//! Plots: what is larger stands higher, what is later stands further right, and nothing needs a font of the machine.

use elbo_evaluation::pictures::Canvas;
use elbo_evaluation::pictures::plot::{COLOURS, Curve, Figure, Panel, Scale, Stroke};

fn panel(x_scale: Scale, y_scale: Scale, curves: Vec<Curve>) -> Panel {
    let text = |text: &str| text.to_owned();
    let levels = vec![(0.0, text("zero"))];
    Panel {
        title: text("title"),
        x_label: text("x"),
        y_label: text("y"),
        x_scale,
        y_scale,
        y_range: None,
        levels,
        curves,
        note: None,
    }
}

fn draw(panel: Panel) -> Canvas {
    let legend = vec![("one curve".to_owned(), COLOURS[0])];
    let figure =
        Figure { title: "Title".to_owned(), caption: vec!["caption".to_owned()], legend, panels: vec![vec![panel]] };
    figure.draw(600, 480).expect("a picture")
}

/// Pixels of a colour below the legend, as (column, row).
fn pixels(canvas: &Canvas, colour: [u8; 3]) -> Vec<(usize, usize)> {
    let places = (120..canvas.height()).flat_map(|y| (0..canvas.width()).map(move |x| (x, y)));
    places.filter(|&(x, y)| canvas.pixel(x, y) == colour).collect()
}

/// Centre of the pixels of each of three colours that stand for (0, low), (1, middle), (2, high).
fn centres(x_scale: Scale, y_scale: Scale, points: [(f64, f64); 3]) -> Vec<(f64, f64)> {
    let curve = |(index, point): (usize, (f64, f64))| Curve {
        colour: COLOURS[index],
        points: vec![point],
        band: Vec::new(),
        stroke: Stroke::Points,
    };
    let canvas = draw(panel(x_scale, y_scale, points.into_iter().enumerate().map(curve).collect()));
    (0..3)
        .map(|index| {
            let found = pixels(&canvas, COLOURS[index]);
            let count = found.len() as f64;
            assert!(count > 4.0, "point {index} is not there");
            (
                found.iter().map(|place| place.0 as f64).sum::<f64>() / count,
                found.iter().map(|place| place.1 as f64).sum::<f64>() / count,
            )
        })
        .collect()
}

/// On even axes the middle point is half way between the others; on powers of two 8 is half way between 4 and 16; on a symmetric
/// logarithm 0 is half way between −100 and 100.
#[test]
fn points_stand_where_their_values_are() {
    for (x_scale, y_scale, points) in [
        (Scale::Linear, Scale::Linear, [(0.0, -1.0), (1.0, 1.0), (2.0, 3.0)]),
        (Scale::PowersOfTwo, Scale::Linear, [(4.0, 0.0), (8.0, 5.0), (16.0, 10.0)]),
        (Scale::Linear, Scale::SymmetricLog(0.5), [(-1.0, -100.0), (0.0, 0.0), (1.0, 100.0)]),
    ] {
        let centres = centres(x_scale, y_scale, points);
        let (first, middle, last) = (centres[0], centres[1], centres[2]);
        assert!(last.0 > first.0 + 200.0 && last.1 < first.1 - 100.0, "{x_scale:?} {y_scale:?}: {centres:?}");
        assert!((f64::midpoint(first.0, last.0) - middle.0).abs() < 2.0, "{x_scale:?}: {centres:?}");
        assert!((f64::midpoint(first.1, last.1) - middle.1).abs() < 2.0, "{y_scale:?}: {centres:?}");
    }
}

#[test]
fn values_that_are_no_numbers_and_no_values_at_all_are_drawn_as_nothing() {
    let curve = |points: Vec<(f64, f64)>| Curve { colour: COLOURS[1], points, band: Vec::new(), stroke: Stroke::Line };
    draw(panel(Scale::Linear, Scale::Linear, vec![curve(Vec::new())]));
    draw(panel(Scale::PowersOfTwo, Scale::SymmetricLog(1.0), vec![curve(vec![(2.0, f64::NAN), (4.0, 1.0)])]));
}

/// A band is a pale area around its curve.
#[test]
fn a_band_is_drawn_below_its_curve() {
    let points = vec![(0.0, 0.0), (1.0, 1.0)];
    let with = |band| {
        draw(panel(
            Scale::Linear,
            Scale::Linear,
            vec![Curve { colour: COLOURS[2], points: points.clone(), band, stroke: Stroke::Line }],
        ))
    };
    let coloured = |canvas: &Canvas| {
        let is_greenish = |&(x, y): &(usize, usize)| {
            let [red, green, blue] = canvas.pixel(x, y);
            green > red && green > blue
        };
        (150..canvas.height()).flat_map(|y| (0..canvas.width()).map(move |x| (x, y))).filter(is_greenish).count()
    };
    let (bare, banded) = (coloured(&with(Vec::new())), coloured(&with(vec![(-0.5, 0.5), (0.5, 1.5)])));
    assert!(banded > bare + 5000, "{bare} {banded}");
}
