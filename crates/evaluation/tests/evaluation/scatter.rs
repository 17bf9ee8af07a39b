//! Samples of q(z) against the prior: points stand where they are, and none of them outside of the axes.

use crate::pixels::{assert_margins_are_empty, bounds, pixels, runs};
use elbo_evaluation::pictures::plot::COLOURS;
use elbo_evaluation::pictures::{Canvas, Colour, Colouring, aggregate_posterior};
use tch::Tensor;

const FRAME: Colour = [190; 3];
const HISTOGRAM: Colour = [205; 3];

/// Samples, a row each.
fn samples<const D: usize>(rows: &[[f64; D]]) -> Tensor {
    elbo_native::testing::single_thread();
    Tensor::from_slice(rows.as_flattened()).view([rows.len() as i64, D as i64])
}

/// Of a point without a factor; rings, axes and histograms are grey.
fn blue([red, _, blue]: Colour) -> bool {
    blue > red.saturating_add(30)
}

/// Columns in which the three circles cross the horizontal line through their middle, from the left, and that line's row.
fn crossings(canvas: &Canvas) -> (Vec<f64>, usize) {
    let ((left, top), (right, bottom)) = square(canvas);
    let row = usize::midpoint(top, bottom);
    let dark = |&x: &usize| canvas.pixel(x, row)[0] < 200;
    (runs((left + 3..right - 3).filter(dark)), row)
}

/// First and last pixel inside of the frame around the only square: the widest lines of the frame's colour, of which there are two for the
/// square and two for the histogram above it.
fn square(canvas: &Canvas) -> ((usize, usize), (usize, usize)) {
    let frame = pixels(canvas, |colour| colour == FRAME);
    let in_row = |y: usize| frame.iter().filter(|place| place.1 == y).count();
    let widest = (0..canvas.height()).map(in_row).max().expect("a row");
    let lines: Vec<usize> = (0..canvas.height()).filter(|&y| in_row(y) + 120 > widest && in_row(y) > 300).collect();
    let (top, bottom) = (lines[lines.len() - 2], lines[lines.len() - 1]);
    let left = frame.iter().filter(|place| place.1 == top).map(|place| place.0).min().expect("a corner");
    ((left + 1, top + 1), (left + bottom - top - 1, bottom - 1))
}

/// Circles at 1, 2 and 3 cross the axis at equal steps, and a sample at 2 on that axis lies on the second.
#[test]
fn circles_and_points_have_one_scale() {
    let (circles, row) = crossings(&aggregate_posterior(&samples(&[[3.0, 3.0]]), &[0, 1], None));
    assert_eq!(circles.len(), 6, "{circles:?}");
    let step = (circles[5] - circles[0]) / 6.0;
    for (crossing, deviations) in circles.iter().zip([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]) {
        let expected = f64::midpoint(circles[0], circles[5]) + deviations * step;
        assert!((crossing - expected).abs() <= 1.0, "{circles:?}");
    }
    // Half way between two circles, so that none covers the point: 1.5 to the right, and 0.5 up.
    let canvas = aggregate_posterior(&samples(&[[1.5, 0.5]]), &[0, 1], None);
    let ((left, top), (right, bottom)) = bounds(&pixels(&canvas, blue));
    let place = (f64::midpoint(left as f64, right as f64), f64::midpoint(top as f64, bottom as f64));
    assert!((place.0 - f64::midpoint(circles[3], circles[4])).abs() <= 1.0, "{place:?} {circles:?}");
    assert!((place.1 - (row as f64 - 0.5 * step)).abs() <= 1.5, "{place:?} {row} {step}");
}

/// Samples in the corners of a square, near and far: they are inside of the frame, as far from one side as from the other.
#[test]
fn all_points_are_inside_of_equal_axes() {
    for far in [3.4, 3.6, 25.0, 1e4] {
        let corners = [[far, far], [far, -far], [-far, far], [-far, -far]];
        let canvas = aggregate_posterior(&samples(&corners), &[0, 1], None);
        let (first, last) = bounds(&pixels(&canvas, blue));
        let (start, end) = square(&canvas);
        assert!(
            first.0 > start.0 && first.1 > start.1 && last.0 < end.0 && last.1 < end.1,
            "{far}: {first:?} {last:?}"
        );
        let margins = [first.0 - start.0, first.1 - start.1, end.0 - last.0, end.1 - last.1];
        assert!(margins.iter().max().expect("four") - margins.iter().min().expect("four") <= 2, "{far}: {margins:?}");
    }
}

/// Samples at ±1 of the first dimension: two bars above the first circle, of equal height; the second dimension is 0: one bar beside it, in
/// the middle.
#[test]
fn histograms_stand_beside_their_axes() {
    let canvas = aggregate_posterior(&samples(&[[-1.0, 0.0], [1.0, 0.0]]), &[0, 1], None);
    let (circles, row) = crossings(&aggregate_posterior(&samples(&[[3.0, 3.0]]), &[0, 1], None));
    let ((left, top), (right, _)) = square(&canvas);
    let bars = pixels(&canvas, |colour| colour == HISTOGRAM);
    // The words above have pixels of any grey.
    let above: Vec<_> = bars.iter().filter(|&&(x, y)| x <= right && y + 120 > top && y < top).copied().collect();
    let columns = runs(above.iter().map(|place| place.0));
    assert!(above.iter().all(|&(x, _)| x >= left));
    // The prior's line may cut a bar; a bar's middle is at most half its width, 4 pixels, from the sample.
    let near = |column: f64| columns.iter().any(|bar| (bar - column).abs() <= 5.0);
    assert!(near(circles[2]) && near(circles[3]), "{columns:?} {circles:?}");
    let side = |left: bool| {
        above.iter().filter(|place| ((place.0 as f64) < f64::midpoint(circles[2], circles[3])) == left).count()
    };
    assert!(side(true).abs_diff(side(false)) <= 40 && side(true) > 400, "{} {}", side(true), side(false));
    // The edge of the prior's line has pixels of any grey, too.
    let beside: Vec<usize> = bars.iter().filter(|&&(x, y)| x > right && y >= top).map(|place| place.1).collect();
    let at_zero = beside.iter().filter(|y| y.abs_diff(row) <= 6).count();
    assert!(at_zero > 400 && beside.len() - at_zero < 40, "one bar at 0: {at_zero} of {}", beside.len());
}

/// A point over the paper, where there are few of them: at an opacity of 0.8.
fn over_paper(colour: Colour) -> Colour {
    colour.map(|channel| (0.8 * f64::from(channel) + 0.2 * 255.0).round() as u8)
}

/// Each level has the colour that the legend gives it: a level on the left and another on the right.
#[test]
fn points_have_the_colours_of_the_legend() {
    let z = samples(&[[-2.5, 0.5], [2.5, 0.5], [-2.5, -0.5], [2.5, -0.5]]);
    let level_names = ["square", "ellipse", "heart"].map(str::to_owned);
    let colouring = Colouring { name: "shape", levels: &[0, 2, 0, 2], level_names: &level_names };
    let canvas = aggregate_posterior(&z, &[0, 1], Some(&colouring));
    let (start, end) = square(&canvas);
    let legend: Vec<Colour> = {
        let beyond = |&(x, y): &(usize, usize)| x > end.0 + 120 && y >= start.1;
        let coloured = |[red, green, blue]: Colour| red.abs_diff(green) > 20 || green.abs_diff(blue) > 20;
        let mut places: Vec<_> = pixels(&canvas, coloured).into_iter().filter(beyond).collect();
        places.retain(|&(x, y)| COLOURS.contains(&canvas.pixel(x, y)));
        let mut colours: Vec<Colour> = places.into_iter().map(|(x, y)| canvas.pixel(x, y)).collect();
        colours.dedup();
        colours
    };
    assert_eq!(legend.len(), 3, "one entry a level, also for the one that no sample has: {legend:?}");
    let columns = |colour: Colour| runs(pixels(&canvas, |pixel| pixel == over_paper(colour)).into_iter().map(|p| p.0));
    let (first, third) = (columns(legend[0]), columns(legend[2]));
    assert_eq!((first.len(), third.len(), columns(legend[1]).len()), (1, 1, 0), "{first:?} {third:?}");
    assert!(third[0] > first[0] + 200.0);
}

/// More than ten levels are on one ramp, dark first: both its ends are in the legend, and the first and the last sample have them.
#[test]
fn many_levels_are_on_a_ramp() {
    let levels: Vec<usize> = (0..12).collect();
    let rows: Vec<[f64; 2]> = levels.iter().map(|&level| [level as f64 / 4.0 - 1.4, 0.4]).collect();
    let draw = |levels: &[usize]| {
        let colouring = Colouring { name: "position", levels, level_names: &[] };
        aggregate_posterior(&samples(&rows), &[0, 1], Some(&colouring))
    };
    let ramp = [[68, 1, 84], [187, 223, 39]];
    let ends = |canvas: &Canvas| ramp.map(|end| pixels(canvas, |colour| colour == end).len());
    let canvas = draw(&levels);
    let [dark, light] = ends(&canvas);
    assert!(dark >= 12 && light >= 12, "{dark} {light}");
    let points = ramp.map(|end| runs(pixels(&canvas, |colour| colour == over_paper(end)).into_iter().map(|p| p.0)));
    assert!(points[0].len() == 1 && points[1].len() == 1 && points[1][0] > points[0][0] + 100.0, "{points:?}");
    let few: Vec<usize> = levels.iter().map(|level| level % 10).collect();
    assert_eq!(ends(&draw(&few)), [0, 0]);
}

/// Three dimensions have three squares and three histograms, four have six and four; samples that are not finite are left out.
#[test]
fn any_number_of_samples_in_two_to_four_dimensions_is_drawn() {
    let some =
        samples(&[[0.0, 1.0, -1.0, 2.0], [0.0, f64::NAN, 0.5, -0.5], [0.0; 4], [0.0, 40.0, 1e-9, f64::NEG_INFINITY]]);
    let nothing = samples::<4>(&[]);
    let long = "a level whose name is longer than the room that there is beside the panels of the picture".to_owned();
    for z in [&some, &nothing] {
        let levels: Vec<usize> = (0..z.size()[0] as usize).collect();
        let mut widths = Vec::new();
        for dimensions in [&[3, 1][..], &[0, 1, 2], &[0, 1, 2, 3]] {
            let plain = aggregate_posterior(z, dimensions, None);
            assert_margins_are_empty(&plain);
            assert_eq!(pixels(&plain, blue).is_empty(), z.size()[0] == 0, "finite samples are there");
            widths.push(plain.width());
            let level_names = vec![long.clone(); 4];
            let colouring = Colouring { name: &long, levels: &levels, level_names: &level_names };
            assert_margins_are_empty(&aggregate_posterior(z, dimensions, Some(&colouring)));
        }
        assert!(widths.is_sorted(), "{widths:?}");
    }
    // The second row is not finite in dimension 1, and the same picture is drawn without it, but for the words of the caption.
    let without = some.index_select(0, &Tensor::from_slice(&[0_i64, 2, 3]));
    let (with, without) = (aggregate_posterior(&some, &[0, 1], None), aggregate_posterior(&without, &[0, 1], None));
    let below = |canvas: &Canvas| {
        let top = square(canvas).0.1;
        pixels(canvas, blue).into_iter().filter(|place| place.1 >= top).map(|(x, y)| (x, y - top)).collect::<Vec<_>>()
    };
    assert_eq!(below(&with), below(&without));
}
