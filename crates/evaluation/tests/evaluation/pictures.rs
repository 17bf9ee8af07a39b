use elbo_evaluation::pictures::{Canvas, GLYPH, Grid, gif};
use tch::{Device, Kind, Tensor};

const RED: [u8; 3] = [200, 10, 20];

fn decoded(png: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut bytes).expect("a frame");
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    bytes.truncate(info.buffer_size());
    (info.width, info.height, bytes)
}

#[test]
fn a_png_decodes_to_the_pixels_that_were_drawn() {
    let mut canvas = Canvas::new(21, 13, [1, 2, 3]);
    canvas.draw(5, 6, &Canvas::new(4, 2, RED));
    canvas.text(2, 1, "z3", [0; 3]);
    assert_eq!(decoded(&canvas.png()), (21, 13, canvas.pixels().to_vec()));
}

#[test]
fn drawing_stays_inside() {
    let mut canvas = Canvas::new(6, 4, [0; 3]);
    canvas.draw(4, 3, &Canvas::new(5, 5, RED));
    assert_eq!(
        [canvas.pixel(4, 3), canvas.pixel(5, 3), canvas.pixel(3, 3), canvas.pixel(4, 2)],
        [RED, RED, [0; 3], [0; 3]]
    );
    canvas.draw(100, 100, &Canvas::new(2, 2, RED));
    canvas.text(3, 2, "WW", RED);
    assert_eq!((canvas.width(), canvas.height()), (6, 4));
}

#[test]
fn enlarging_makes_squares() {
    let mut canvas = Canvas::new(2, 2, [0; 3]);
    canvas.draw(1, 0, &Canvas::new(1, 1, RED));
    let large = canvas.enlarged(3);
    assert_eq!((large.width(), large.height()), (6, 6));
    for (x, y) in [(3, 0), (5, 2)] {
        assert_eq!(large.pixel(x, y), RED);
    }
    for (x, y) in [(2, 0), (3, 3)] {
        assert_eq!(large.pixel(x, y), [0; 3]);
    }
}

/// Grey is repeated, colours keep their order, values outside of [0, 1] are clamped, and what is not a number is black.
#[test]
fn images_become_pictures() {
    let grey = Tensor::from_slice(&[0.0_f32, 0.5, 1.5, -1.0, f32::NAN, 1.0]).view([1, 1, 2, 3]);
    let picture = &Canvas::from_images(&grey)[0];
    assert_eq!((picture.width(), picture.height()), (3, 2));
    let greys: Vec<u8> = picture.pixels().chunks(3).map(|pixel| pixel[0]).collect();
    assert_eq!(greys, [0, 128, 255, 0, 0, 255]);
    assert!(picture.pixels().chunks(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));

    let colour = Tensor::from_slice(&[1.0_f32, 0.0, 0.0, 1.0, 0.2, 0.4]).view([1, 3, 1, 2]);
    assert_eq!(Canvas::from_images(&colour)[0].pixels(), [255, 0, 51, 0, 255, 102]);
    assert_eq!(Canvas::from_images(&Tensor::zeros([5, 1, 2, 3], (Kind::Float, Device::Cpu))).len(), 5);
}

/// Each letter is eight pixels wide, upright and not mirrored: an L has its stem on the left and its foot below.
#[test]
fn letters_stand_upright() {
    let mut canvas = Canvas::new(GLYPH, GLYPH, [255; 3]);
    canvas.text(0, 0, "L", [0; 3]);
    let ink = |columns: std::ops::Range<usize>, rows: std::ops::Range<usize>| {
        rows.flat_map(|y| columns.clone().map(move |x| (x, y))).filter(|&(x, y)| canvas.pixel(x, y) == [0; 3]).count()
    };
    assert!(ink(0..4, 0..4) > ink(4..8, 0..4), "the stem is on the left");
    assert!(ink(4..8, 4..8) > ink(4..8, 0..4), "the foot is below");
    let unknown = |letter: &str| {
        let mut canvas = Canvas::new(GLYPH, GLYPH, [255; 3]);
        canvas.text(0, 0, letter, [0; 3]);
        canvas
    };
    assert_eq!(unknown("\u{4e00}"), unknown("?"));
}

fn tile(grey: u8) -> Canvas {
    Canvas::new(64, 64, [grey; 3])
}

/// Margin 8, label and margin 8 again, tiles of 64 with 2 between them.
#[test]
fn a_grid_has_its_tiles_where_they_belong() {
    let sheet = Grid::new()
        .headings(["a".to_owned(), "b".to_owned()])
        .row(&["one"], vec![tile(10), tile(20)])
        .group(|grid| grid.row(&["two"], vec![tile(30)]).row(&["3"], vec![tile(40), tile(50)]))
        .note("a note")
        .render();
    let left = 8 + 3 * GLYPH + 8;
    assert_eq!(sheet.width(), left + 64 + 2 + 64 + 8);
    let top = 8 + 12;
    let rows = [top, top + 64 + 2 + 8, top + 2 * (64 + 2) + 8];
    for (y, x, grey) in [
        (rows[0], left, 10),
        (rows[0], left + 66, 20),
        (rows[1], left, 30),
        (rows[2], left, 40),
        (rows[2], left + 66, 50),
    ] {
        for (dx, dy) in [(0, 0), (63, 0), (0, 63), (63, 63)] {
            assert_eq!(sheet.pixel(x + dx, y + dy), [grey; 3], "tile {grey}");
        }
        for (x, y) in [(x - 1, y), (x + 64, y), (x, y - 1), (x, y + 64)] {
            assert_eq!(sheet.pixel(x, y), [144; 3], "the line around tile {grey}");
        }
    }
    assert_eq!(sheet.pixel(left + 66, rows[1] + 5), [255; 3], "a row may be shorter");
    assert_eq!(sheet.height(), rows[2] + 64 + 4 + 12 + 8);
}

/// Small pictures are enlarged by a whole number until their shorter side has 64 pixels.
#[test]
fn small_tiles_are_enlarged() {
    for (side, enlarged) in [(28, 84), (32, 64), (8, 64), (64, 64), (100, 100)] {
        let sheet = Grid::new().row(&[], vec![Canvas::new(side, side, RED)]).render();
        assert_eq!((sheet.width(), sheet.height()), (enlarged + 16, enlarged + 16), "{side}");
    }
}

fn gif_frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes).expect("a GIF");
    assert_eq!(decoder.repeat(), gif::Repeat::Infinite);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.read_next_frame().expect("a frame") {
        assert_eq!(frame.delay, 8);
        frames.push(frame.buffer.chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect());
    }
    frames
}

/// A GIF of grey frames is exact, all 256 greys included.
#[test]
fn a_grey_animation_decodes_to_its_frames() {
    let ramp = |offset: u8| {
        let mut canvas = Canvas::new(256, 2, [0; 3]);
        for x in 0..256 {
            canvas.draw(x, 0, &Canvas::new(1, 2, [(x as u8).wrapping_add(offset); 3]));
        }
        canvas
    };
    let frames: Vec<Canvas> = (0..5).map(|index| ramp(index * 50)).collect();
    let decoded = gif_frames(&gif(&frames, 8));
    assert_eq!(decoded.len(), 5);
    for (decoded, frame) in decoded.iter().zip(&frames) {
        assert_eq!(decoded, frame.pixels());
    }
}

/// With more colours than a GIF can hold, the nearest of each frame's own palette are close: less than 8 of 256 off in the mean.
#[test]
fn a_colourful_animation_comes_near() {
    let mut frame = Canvas::new(32, 32, [0; 3]);
    for (x, y) in (0..32).flat_map(|x| (0..32).map(move |y| (x, y))) {
        frame.draw(x, y, &Canvas::new(1, 1, [8 * x as u8, 8 * y as u8, 128]));
    }
    let decoded = gif_frames(&gif(&[frame.clone(), frame.clone()], 8));
    let off: f64 = decoded[0].iter().zip(frame.pixels()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    assert!(off / (3.0 * 32.0 * 32.0) < 8.0, "{off}");
}
