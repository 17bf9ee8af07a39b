//! Codes against factors: known codes are drawn where they are.

use crate::pixels::{assert_margins_are_empty, pixels, runs};
use elbo_data::Factors;
use elbo_evaluation::pictures::Representation;
use elbo_evaluation::pictures::plot::COLOURS;
use elbo_evaluation::pictures::{Canvas, latent_against_factor};
use elbo_evaluation::scores::Table;
use tch::Tensor;

const STRONG: [u8; 3] = COLOURS[1];
/// Height of a cell in pixels.
const CELL: usize = 80;

/// Images with a factor of each of the sizes, all levels alike often; the codes are those of `code(image)`.
fn table(sizes: &[usize], images: usize, code: impl Fn(usize) -> Vec<f64>) -> Table {
    let codes: Vec<Vec<f64>> = (0..images).map(code).collect();
    let levels: Vec<Vec<usize>> =
        (0..images).map(|image| sizes.iter().map(|size| image / 2 % size).collect()).collect();
    Table::from_rows(&codes, &levels)
}

fn in_order(table: &Table) -> Vec<usize> {
    (0..table.dimensions()).collect()
}

/// Rows of the picture on which curves lie, from above.
fn heights(canvas: &Canvas) -> Vec<f64> {
    runs(pixels(canvas, |colour| colour == STRONG).into_iter().map(|(_, y)| y))
}

/// The first and the last of the dimensions are 0, so their distance gives that of the rows; −3 lies twice as far below its 0 as 1.5 lies
/// above, and each line is as flat as one that is two pixels wide and may lie between pixels can be.
#[test]
fn a_constant_code_is_a_flat_line_at_its_value() {
    let table = table(&[6], 60, |_| vec![0.0, 1.5, -3.0, 0.0]);
    let canvas = latent_against_factor(&table, &in_order(&table), None);
    let heights = heights(&canvas);
    assert_eq!(heights.len(), 4, "{heights:?}");
    let row = (heights[3] - heights[0]) / 3.0;
    let (above, below) = (heights[0] + row - heights[1], heights[2] - heights[0] - 2.0 * row);
    assert!(above > 12.0 && (below - 2.0 * above).abs() <= 2.0, "{above} {below}");
    let lines = pixels(&canvas, |colour| colour == STRONG);
    for height in heights {
        let line: Vec<usize> =
            lines.iter().filter(|place| (place.1 as f64 - height).abs() <= 0.5).map(|p| p.0).collect();
        assert_eq!(runs(line).len(), 1, "the line at {height} has no gap");
    }
    assert!(lines.len() > 4 * 100, "the lines are as long as their cells: {}", lines.len());
}

/// Half of the images of each level have the code 1 and half −1: the mean is 0 and the standard deviation 1, so the band reaches from where
/// a constant 1 is drawn to where a constant −1 is, and the mean's line lies half way.
#[test]
fn the_band_is_one_standard_deviation_on_either_side_of_the_mean() {
    let table = table(&[6], 120, |image| vec![if image % 2 == 0 { 1.0 } else { -1.0 }, 1.0, -1.0, 0.0]);
    let canvas = latent_against_factor(&table, &in_order(&table), None);
    let heights = heights(&canvas);
    let row = (heights[3] - heights[0]) / 3.0;
    let (upper, lower) = (heights[1] - row, heights[2] - 2.0 * row);
    let tinted = |[red, _, blue]: [u8; 3]| blue > red.saturating_add(20);
    let middle = pixels(&canvas, |colour| colour == STRONG)[60].0;
    let band: Vec<usize> = pixels(&canvas, tinted)
        .into_iter()
        .filter(|&(x, y)| x == middle && (y as f64) < heights[0] + row / 2.0)
        .map(|place| place.1)
        .collect();
    let (first, last) = (band[0] as f64, band[band.len() - 1] as f64);
    assert!(lower - upper > 20.0, "{upper} {lower}");
    assert!((first - upper).abs() <= 1.5 && (last - lower).abs() <= 1.5, "{first} to {last}, {upper} to {lower}");
}

/// A line joins the levels of a factor of four; three levels are three points.
#[test]
fn few_levels_are_points() {
    let columns = |levels: usize| {
        let table = table(&[levels], 48, |_| vec![1.0]);
        let canvas = latent_against_factor(&table, &[0], None);
        runs(pixels(&canvas, |colour| colour == STRONG).into_iter().map(|(x, _)| x))
    };
    let points = columns(3);
    assert_eq!((columns(1).len(), columns(2).len(), points.len(), columns(4).len()), (1, 2, 3, 1));
    assert!((points[1] - f64::midpoint(points[0], points[2])).abs() <= 1.0, "equal steps: {points:?}");
}

/// Rows stand in the order asked for: a line at 2 above one at −2 is further from it than the other way round, by the way of 8 units.
#[test]
fn rows_follow_the_order() {
    let whole = table(&[6], 60, |_| vec![-2.0, 7.0, 2.0]);
    let heights = |order: &[usize]| {
        let canvas = latent_against_factor(&whole, order, None);
        heights(&canvas)
    };
    let (forth, back) = (heights(&[0, 2]), heights(&[2, 0]));
    assert!(back[1] - back[0] > forth[1] - forth[0], "2 above −2 lies further from it: {forth:?} {back:?}");
}

/// Sides of frames: columns of pixels of the strong colour that are as tall as a cell.
fn framed_cells(canvas: &Canvas) -> usize {
    let strong = pixels(canvas, |colour| colour == STRONG);
    let tall = (0..canvas.width()).flat_map(|x| {
        let rows: Vec<usize> = strong.iter().filter(|place| place.0 == x).map(|place| place.1).collect();
        rows.chunk_by(|a, b| a + 1 == *b).map(<[usize]>::len).filter(|&run| run >= CELL).collect::<Vec<_>>()
    });
    // Two sides of two pixels.
    tall.count() / 4
}

/// The column's largest is framed, one for each factor. The row's largest is drawn in colour where it is no less than a tenth of the
/// column's, and else in grey; nothing is pointed out where there is no information.
#[test]
fn the_largest_information_is_pointed_out() {
    let table = table(&[6, 6], 60, |_| vec![0.0, 0.0, 0.0]);
    let draw = |information: [[f64; 2]; 3]| {
        let information = information.map(|row| row.to_vec());
        latent_against_factor(&table, &in_order(&table), Some(&information))
    };
    let strong = |canvas: &Canvas| pixels(canvas, |colour| colour == STRONG).len();
    let weak_third = draw([[1.0, 0.2], [0.1, 0.9], [0.05, 0.04]]);
    let strong_third = draw([[1.0, 0.2], [0.1, 0.9], [0.4, 0.3]]);
    assert_eq!((framed_cells(&weak_third), framed_cells(&strong_third)), (2, 2));
    assert!(strong(&strong_third) > strong(&weak_third) + 100, "the third row's largest is drawn in colour");
    let one_best = draw([[1.0, 0.9], [0.1, 0.2], [0.05, 0.04]]);
    assert_eq!(framed_cells(&one_best), 2);
    let nothing = draw([[0.0; 2]; 3]);
    assert_eq!((framed_cells(&nothing), strong(&nothing)), (0, 0));
    // Six levels can tell ln 6 = 1.79 nats; a twentieth of that is 0.09.
    let noise = draw([[0.08, 0.02], [0.03, 0.08], [0.01, 0.01]]);
    assert_eq!((framed_cells(&noise), strong(&noise)), (0, 0));
    let just = draw([[0.1, 0.02], [0.03, 0.08], [0.01, 0.01]]);
    assert_eq!(framed_cells(&just), 1);
}

#[test]
fn the_picture_grows_with_dimensions_and_factors() {
    let table = table(&[2, 5, 4, 3], 40, |image| vec![image as f64 / 40.0; 6]);
    let height = |rows: usize| latent_against_factor(&table, &in_order(&table)[..rows], None).height();
    assert_eq!(height(2) - height(1), height(6) - height(5));
    assert!(height(2) > height(1) + CELL);
    let width = |factors: usize| {
        let fewer = (factors..4).rev().fold(table.clone(), |table, factor| table.without_factor(factor));
        latent_against_factor(&fewer, &[0], None).width()
    };
    assert!(width(4) > width(3) + 100);
}

/// One image, one level, codes far outside of the prior, levels that no image has, names of any length: all words are on the picture, and
/// no curve leaves it.
#[test]
fn degenerate_tables_are_drawn() {
    let one_image = Table::from_rows(&[vec![0.5, 0.0]], &[vec![0, 3]]);
    let far = table(&[1, 2, 7], 20, |image| vec![1e-12, -4e7 * image as f64, 1e3]);
    for table in [&one_image, &far] {
        let information = vec![vec![0.0; table.factors()]; table.dimensions()];
        for information in [None, Some(information.as_slice())] {
            assert_margins_are_empty(&latent_against_factor(table, &in_order(table), information));
        }
    }
    let names = ["short", "a_name_of_many_words_that_are_not_long", "anamethatisonewordandlongerthanacelliswide"];
    let levels: Vec<i64> = (0..60).map(|entry| i64::from(entry % 7 > entry % 3)).collect();
    let factors = Factors::new(&names.map(str::to_owned), &levels, None).expect("a table").expect("factors");
    elbo_native::testing::single_thread();
    let codes = Tensor::from_slice(&(0..40).map(|entry| f64::from(entry) / 20.0 - 1.0).collect::<Vec<_>>());
    let named = Table::new(&codes.view([20, 2]), &factors);
    let canvas = latent_against_factor(&named, &[1, 0], Some(&[vec![0.3, 0.2, 0.1], vec![0.0, 0.1, 0.2]]));
    assert_margins_are_empty(&canvas);
}

/// Factor 0 is dimension 1, factor 1 is dimension 0; dimension 2 has factor 0 again, a thousand times smaller: not in use, so it has no label
/// and no row in the pictures. The order is that of the KL.
#[test]
fn a_representation_leaves_out_what_is_not_in_use() {
    let levels: Vec<Vec<usize>> = (0..240).map(|row| vec![row % 4, row / 4 % 5]).collect();
    let codes: Vec<Vec<f64>> =
        levels.iter().map(|row| vec![row[1] as f64 - 2.0, row[0] as f64 - 1.5, 1e-3 * row[0] as f64]).collect();
    let table = Table::from_rows(&codes, &levels);
    let found = Representation::new(&table, Some(&[0.5, 2.0, 0.1]), 1);
    assert_eq!(found.order(), [1, 0, 2]);
    assert_eq!(found.labels(), ["factor1 1.00", "factor0 1.00", ""]);
    let three = Representation::new(&Table::from_rows(&scaled(&codes, 1e3), &levels), None, 1);
    assert_eq!(three.labels()[2], "factor0 1.00");
    let (two, three) = (found.latent_against_factor().height(), three.latent_against_factor().height());
    assert!(two + CELL <= three, "a row less: {two} and {three} pixels");
    // Where nothing is in use, everything is shown.
    let none = Representation::new(&Table::from_rows(&scaled(&codes, 1e-3), &levels), None, 1);
    assert_eq!(none.latent_against_factor().height(), three);
}

fn scaled(codes: &[Vec<f64>], scale: f64) -> Vec<Vec<f64>> {
    codes.iter().map(|row| row.iter().map(|code| code * scale).collect()).collect()
}
