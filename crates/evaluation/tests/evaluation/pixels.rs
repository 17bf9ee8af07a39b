//! What is where in a picture.

use elbo_evaluation::pictures::{Canvas, Colour};

pub(crate) type Place = (usize, usize);

/// Columns and rows of the pixels that are chosen, row by row.
pub(crate) fn pixels(canvas: &Canvas, chosen: impl Fn(Colour) -> bool) -> Vec<Place> {
    let places = (0..canvas.height()).flat_map(|y| (0..canvas.width()).map(move |x| (x, y)));
    places.filter(|&(x, y)| chosen(canvas.pixel(x, y))).collect()
}

/// Smallest and largest column and row.
pub(crate) fn bounds(places: &[Place]) -> (Place, Place) {
    let ends = |of: fn(&Place) -> usize| {
        let values = || places.iter().map(of);
        (values().min().expect("a pixel"), values().max().expect("a pixel"))
    };
    let (columns, rows) = (ends(|place| place.0), ends(|place| place.1));
    ((columns.0, rows.0), (columns.1, rows.1))
}

/// Middles of the runs of neighbouring numbers, which may repeat.
pub(crate) fn runs(numbers: impl IntoIterator<Item = usize>) -> Vec<f64> {
    let mut numbers: Vec<usize> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    runs.map(|run| (run[0] + run[run.len() - 1]) as f64 / 2.0).collect()
}

/// Nothing was cut off at the edge of a picture if the edge is empty.
pub(crate) fn assert_margins_are_empty(canvas: &Canvas) {
    let (right, bottom) = (canvas.width() - 6, canvas.height() - 6);
    let places = (0..canvas.height()).flat_map(|y| (0..canvas.width()).map(move |x| (x, y)));
    for (x, y) in places.filter(|&(x, y)| x < 6 || y < 6 || x >= right || y >= bottom) {
        assert_eq!(canvas.pixel(x, y), [255; 3], "({x}, {y}) of {canvas:?}");
    }
}
