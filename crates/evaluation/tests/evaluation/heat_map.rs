//! Heat maps: what is larger is darker, and its number can be read.

use crate::pixels::{assert_margins_are_empty, bounds, pixels};
use elbo_evaluation::pictures::{Canvas, Colour, heat_map};

/// The largest value, and 0.
const DARKEST: Colour = [8, 48, 107];
const LIGHTEST: Colour = [247, 251, 255];

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{prefix}{index}")).collect()
}

fn draw(values: &[Vec<f64>]) -> Canvas {
    heat_map("Title", &names("z", values.len()), &names("f", values[0].len()), values, "nats")
}

/// Upper left and lower right pixel of the only cell with the darkest colour. The bar on the right has it in one line of pixels, at
/// its top.
fn darkest_cell(canvas: &Canvas) -> ((usize, usize), (usize, usize)) {
    let dark = pixels(canvas, |colour| colour == DARKEST);
    let row_of = |y: usize| dark.iter().filter(move |place| place.1 == y).map(|place| place.0);
    let in_cell = |&(x, y): &(usize, usize)| {
        // The longest run of a row is the cell's.
        let columns: Vec<usize> = row_of(y).collect();
        let run = columns.chunk_by(|a, b| a + 1 == *b).find(|run| run.contains(&x)).map_or(0, <[usize]>::len);
        run > 30
    };
    bounds(&dark.iter().copied().filter(in_cell).collect::<Vec<_>>())
}

/// The largest value of a matrix of 3 × 4 is in turn in every cell; its colour is where the cell is: equal steps to the right and down.
#[test]
fn the_hottest_cell_is_the_darkest() {
    let corner = |row: usize, column: usize| {
        let mut values = vec![vec![0.1; 4]; 3];
        values[row][column] = 0.9;
        darkest_cell(&draw(&values)).0
    };
    let origin = corner(0, 0);
    let (across, down) = (corner(0, 1).0 - origin.0, corner(1, 0).1 - origin.1);
    assert!(across > 40 && down > 20, "{across} {down}");
    for (row, column) in (0..3).flat_map(|row| (0..4).map(move |column| (row, column))) {
        assert_eq!(
            corner(row, column),
            (origin.0 + column * across, origin.1 + row * down),
            "row {row}, column {column}"
        );
    }
}

/// From 0 to the largest value in equal steps, the luminance (the sum of the channels will do for one hue) falls at every step.
#[test]
fn larger_values_are_darker() {
    let values: Vec<f64> = (0..=16).map(f64::from).collect();
    let step = {
        let at = |column: usize| {
            let mut values = vec![0.0; 17];
            values[column] = 16.0;
            darkest_cell(&draw(&[values])).0.0
        };
        at(1) - at(0)
    };
    let canvas = draw(&[values]);
    let (corner, _) = darkest_cell(&canvas);
    let brightness: Vec<u32> = (0..=16)
        .map(|column| {
            canvas.pixel(corner.0 - (16 - column) * step + 2, corner.1 + 2).iter().map(|&c| u32::from(c)).sum()
        })
        .collect();
    assert!(brightness.is_sorted_by(|a, b| a > b), "{brightness:?}");
    assert_eq!(canvas.pixel(corner.0 - 16 * step + 2, corner.1 + 2), LIGHTEST);
}

/// White letters on the darkest cell, black ones on the lightest: at least a few pixels that are wholly covered by a letter's stem.
#[test]
fn numbers_can_be_read_on_their_cells() {
    let canvas = draw(&[vec![0.0, 8.88]]);
    let ((left, top), (right, bottom)) = darkest_cell(&canvas);
    let width = right + 2 - left;
    let count = |left: usize, chosen: fn(u8) -> bool| {
        let inside = (top..=bottom).flat_map(|y| (left..left + width - 1).map(move |x| (x, y)));
        inside.filter(|&(x, y)| canvas.pixel(x, y).into_iter().all(chosen)).count()
    };
    assert!(count(left, |channel| channel > 200) >= 8, "white on dark");
    assert!(count(left - width, |channel| channel < 90) >= 8, "black on light");
    assert_eq!(count(left, |channel| channel < 7), 0, "no black on dark");
}

/// The same values in another unit are the same colours: a heat map shows shares of its largest value.
#[test]
fn colours_are_relative_to_the_largest_value() {
    let cells = |scale: f64| {
        let canvas = draw(&[vec![0.25 * scale, 0.5 * scale, scale]]);
        let ((left, top), (right, _)) = darkest_cell(&canvas);
        let step = right + 2 - left;
        [0, 1, 2].map(|back| canvas.pixel(left - back * step + 2, top + 2))
    };
    assert_eq!(cells(1.0), cells(2.0));
    assert_eq!(cells(1.0), cells(0.004));
}

#[test]
fn the_picture_grows_with_rows_and_columns() {
    let size = |rows: usize, columns: usize| {
        let canvas = draw(&vec![vec![0.5; columns]; rows]);
        (canvas.width(), canvas.height())
    };
    // From 11 rows on the bar is shorter than the matrix.
    assert_eq!(size(12, 9).1 - size(11, 9).1, size(40, 9).1 - size(39, 9).1);
    assert!(size(12, 9).1 > size(11, 9).1 + 20);
    assert_eq!(size(3, 12).0 - size(3, 11).0, size(3, 33).0 - size(3, 32).0);
    assert!(size(3, 12).0 > size(3, 11).0 + 40);
}

/// Cells are as wide as their longest number: −0.00001 beside 0.00012 needs more than −0.10 beside 1.00. What is smaller or larger still is
/// written in powers of ten, and needs no more.
#[test]
fn cells_are_as_wide_as_their_numbers() {
    let [short, long, tiny, huge] = [1.0, 1.2e-4, 1e-30, 1e30].map(|value| {
        let ((left, _), (right, _)) = darkest_cell(&draw(&[vec![value, 0.0, value / -10.0]]));
        right - left
    });
    assert!(long > short && tiny < short + 30 && huge < short + 30, "{short} {long} {tiny} {huge}");
}

/// Nothing but zeros is as light as 0, what is no number is grey, negative values make the smallest the lightest; names and titles of any
/// length are all on the picture.
#[test]
fn degenerate_matrices_are_drawn() {
    let zeros = draw(&vec![vec![0.0; 2]; 2]);
    assert_eq!(pixels(&zeros, |colour| colour == DARKEST).len(), 18, "only the bar's end is dark");
    assert!(pixels(&zeros, |colour| colour == LIGHTEST).len() > 4 * 1000);
    assert_margins_are_empty(&zeros);

    let missing = draw(&[vec![f64::NAN, 1.0, f64::INFINITY]]);
    assert!(pixels(&missing, |colour| colour == [225; 3]).len() > 2 * 1000, "two cells are grey");

    let negative = draw(&[vec![-1.0, 0.0, 1.0]]);
    let ((left, top), (right, _)) = darkest_cell(&negative);
    let step = right + 2 - left;
    assert_eq!(negative.pixel(left - 2 * step + 2, top + 2), LIGHTEST);
    assert_ne!(negative.pixel(left - step + 2, top + 2), LIGHTEST);

    let long = "a_name_of_many_words anditslastwordislongerthananycell_that_there_is".to_owned();
    for values in [vec![vec![1e9, -1e-9]], vec![vec![1e-7, 3e-8]]] {
        let columns = vec![long.clone(), "x".to_owned()];
        let canvas = heat_map(&long.repeat(3), std::slice::from_ref(&long), &columns, &values, &long);
        assert_margins_are_empty(&canvas);
    }
    assert_margins_are_empty(&heat_map("", &names("z", 1), &names("f", 1), &[vec![3.0]], ""));
}
