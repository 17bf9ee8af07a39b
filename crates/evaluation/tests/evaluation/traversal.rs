use crate::model::{LATENT, generator, images, implicit, vae};
use elbo_evaluation::encode::encode;
use elbo_evaluation::pictures::{Canvas, GLYPH};
use elbo_evaluation::traversal::{Options, Span, animation, prior_samples, reconstructions, sheet};
use tch::{Device, Kind, Tensor};

const KL: [f64; 4] = [0.5, 2.41, 1.0, 0.0];

fn base() -> Tensor {
    Tensor::zeros([LATENT], (Kind::Float, Device::Cpu))
}

/// Column of the first tile of a sheet labelled with "KL 2.41 nats".
const LEFT: usize = 8 + 12 * GLYPH + 8;
const TOP: usize = 8 + 12;

fn tile(sheet: &Canvas, row: usize, column: usize) -> Vec<[u8; 3]> {
    let (x, y) = (LEFT + column * 66, TOP + row * 66);
    (0..64).flat_map(|dy| (0..64).map(move |dx| (dx, dy))).map(|(dx, dy)| sheet.pixel(x + dx, y + dy)).collect()
}

/// Rows stand by KL, largest first; each tile is the decoder's picture of the base with that one coordinate moved.
#[test]
fn rows_are_ordered_by_kl_and_move_one_dimension() {
    let vae = vae(64);
    generator(1);
    let options = Options { columns: 5, ..Options::default() };
    let sheet = sheet(&vae, &base(), Some(&KL), &options);
    assert_eq!((sheet.width(), sheet.height()), (LEFT + 5 * 66 - 2 + 8, TOP + 4 * 66 - 2 + 8));
    for (row, dimension) in [1, 2, 0, 3].into_iter().enumerate() {
        for (column, value) in [-2.0, -1.0, 0.0, 1.0, 2.0].into_iter().enumerate() {
            let z = base();
            let _ = z.get(dimension).fill_(value);
            let expected = &Canvas::from_images(&vae.decode_mean(&z.unsqueeze(0)))[0];
            let expected: Vec<[u8; 3]> = expected.pixels().as_chunks().0.to_vec();
            assert!(tile(&sheet, row, column) == expected, "row {row}, column {column}");
        }
    }
}

/// Dimensions beyond the limit are left out, from the smallest KL, and the sheet says so below its rows.
#[test]
fn dimensions_beyond_the_limit_are_counted_in_a_note() {
    let vae = vae(64);
    generator(1);
    let options = Options { columns: 3, dimensions: 2, ..Options::default() };
    let few = sheet(&vae, &base(), Some(&KL), &options);
    assert_eq!(few.height(), TOP + 2 * 66 - 2 + 4 + 12 + 8);
    let all = sheet(&vae, &base(), Some(&KL), &Options { dimensions: 16, ..options });
    assert_eq!(tile(&few, 1, 2), tile(&all, 1, 2));
}

/// Values at quantiles of the codes: the first and the last column are the lowest and the highest of them.
#[test]
fn quantiles_follow_the_codes() {
    let vae = vae(64);
    generator(1);
    let grid = Tensor::linspace(0.0, 1.0, 101, (Kind::Float, Device::Cpu)).unsqueeze(1);
    let codes = grid * Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]);
    let span = Span::Quantiles { codes: &codes, lowest: 0.1 };
    let options = Options { columns: 3, span, dimensions: 4, ..Options::default() };
    let sheet = sheet(&vae, &base(), Some(&KL), &options);
    for (column, value) in [0.2, 1.0, 1.8].into_iter().enumerate() {
        let z = base();
        let _ = z.get(1).fill_(value);
        let expected = &Canvas::from_images(&vae.decode_mean(&z.unsqueeze(0)))[0];
        let difference = tile(&sheet, 0, column)
            .iter()
            .zip(expected.pixels().as_chunks::<3>().0)
            .map(|(a, b)| a[0].abs_diff(b[0]))
            .max();
        assert!(difference.is_some_and(|difference| difference <= 1), "column {column}: {difference:?}");
    }
}

/// A row says what its dimension matches below the KL: dimension 1, with the largest KL, has the first row, whose three lines of 12 pixels
/// stand in the middle of 64. The others have no line more than without labels.
#[test]
fn rows_carry_labels_of_their_own() {
    let vae = vae(64);
    generator(1);
    let labels = ["", "position_x 0.82", "", "shape 0.3\nscale 0.1"].map(str::to_owned);
    let options = Options { columns: 3, labels: Some(&labels), ..Options::default() };
    let labelled = sheet(&vae, &base(), Some(&KL), &options);
    let plain = sheet(&vae, &base(), Some(&KL), &Options { labels: None, ..options });
    assert_eq!(labelled.width() - plain.width(), ("position_x 0.82".len() - "KL 2.41 nats".len()) * GLYPH);
    assert_eq!(labelled.height(), plain.height());
    let lines = |sheet: &Canvas, row: usize, lines: usize| {
        let top = TOP + row * 66 + (64 - 12 * lines) / 2;
        let picture = |sheet: &Canvas, y: usize| -> Vec<[u8; 3]> {
            (y..y + 12 * lines)
                .flat_map(|y| (8..LEFT - 8).map(move |x| (x, y)))
                .map(|(x, y)| sheet.pixel(x, y))
                .collect()
        };
        picture(sheet, top)
    };
    assert!(lines(&labelled, 1, 2) == lines(&plain, 1, 2) && lines(&labelled, 2, 2) == lines(&plain, 2, 2));
    let mut expected = Canvas::new(labelled.width(), labelled.height(), [255; 3]);
    let rows: [(usize, &[&str]); 2] =
        [(0, &["z1", "KL 2.41 nats", "position_x 0.82"]), (3, &["z3", "KL 0.00 nats", "shape 0.3", "scale 0.1"])];
    for (row, label) in rows {
        for (index, line) in label.iter().enumerate() {
            expected.text(8, TOP + row * 66 + (64 - 12 * label.len()) / 2 + 12 * index, line, [32; 3]);
        }
    }
    assert!(lines(&labelled, 0, 3) == lines(&expected, 0, 3) && lines(&labelled, 3, 4) == lines(&expected, 3, 4));
}

/// Without a KL, dimensions keep their own order.
#[test]
fn an_implicit_posterior_is_traversed_in_order() {
    generator(1);
    let options = Options { columns: 3, ..Options::default() };
    let sheet = sheet(&implicit(64, false), &base(), None, &options);
    assert_eq!(sheet.width(), 8 + 2 * GLYPH + 8 + 3 * 66 - 2 + 8);
    assert_eq!(sheet.height(), TOP + 4 * 66 - 2 + 8);
}

/// There and back: 2 K − 2 frames, so that the animation repeats without a jump.
#[test]
fn an_animation_goes_there_and_back() {
    generator(1);
    let bytes = animation(&vae(64), &base(), Some(&KL), &Options { columns: 9, ..Options::default() });
    let mut decoder = gif::DecodeOptions::new().read_info(bytes.as_slice()).expect("a GIF");
    let mut frames = 0;
    while decoder.read_next_frame().expect("a frame").is_some() {
        frames += 1;
    }
    assert_eq!(frames, 16);
    assert_eq!(decoder.width(), 2 * (8 + 2 * 66 - 2 + 8));
}

/// Data above, model below, as many pairs of rows as it takes; the last may be shorter.
#[test]
fn reconstructions_pair_data_and_model() {
    let (vae, noise) = (vae(64), generator(2));
    let x = images(7, 64).gather(&Tensor::arange(7, (Kind::Int64, Device::Cpu)), &noise);
    let sheet = reconstructions(&vae, &x, 4, &noise);
    let left = 8 + 5 * GLYPH + 8;
    assert_eq!((sheet.width(), sheet.height()), (left + 4 * 66 - 2 + 8, 8 + 4 * 66 - 2 + 8 + 8));
    let at = |x: usize, y: usize| sheet.pixel(left + x, y);
    let data = Canvas::from_images(&x);
    assert_eq!([at(3, 8 + 5), at(66 + 3, 8 + 5)], [data[0].pixel(3, 5), data[1].pixel(3, 5)]);
    let mean = encode(&vae, &images(7, 64), None, 7, &noise).representatives().shallow_clone();
    let model = Canvas::from_images(&vae.decode_mean(&mean));
    let difference = |seen: [u8; 3], expected: [u8; 3]| seen[0].abs_diff(expected[0]);
    assert!(difference(at(30, 8 + 66 + 30), model[0].pixel(30, 30)) <= 1);
    assert!(difference(at(30, 8 + 3 * 66 + 8 + 30), model[4].pixel(30, 30)) <= 1);
}

#[test]
fn prior_samples_fill_the_grid_and_repeat_with_their_seed() {
    let vae = vae(32);
    let draw = |seed| prior_samples(&vae, 2, 3, &generator(seed));
    assert_eq!((draw(1).width(), draw(1).height()), (8 + 3 * 66 - 2 + 8, 8 + 2 * 66 - 2 + 8));
    assert!(draw(1) == draw(1) && draw(1) != draw(2));
}
