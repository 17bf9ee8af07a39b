//! What is written is read back: by the reader of this crate, after every kind of damage, and by `TensorBoard`.

mod csv_and_summary;
mod damage;
mod round_trip;
mod tensorboard;

use std::fs;
use std::path::{Path, PathBuf};

use super::events::{EventWriter, event_files};
use super::purge::{RecordedEvent, read_events};

/// The event files of `directory`.
fn files(directory: &Path) -> Vec<PathBuf> {
    event_files(directory).unwrap()
}

/// The curve `tag`, in the order in which a reader meets its points.
fn curve(directory: &Path, tag: &str) -> Vec<(i64, f32)> {
    let points = |event: RecordedEvent| {
        let step = event.step;
        event.values.into_iter().filter_map(move |(name, value)| value.map(|value| (name, step, value)))
    };
    let events = read_events(directory).unwrap().into_iter();
    events.flat_map(points).filter(|(name, ..)| name == tag).map(|(_, step, value)| (step, value)).collect()
}

/// Points at the steps `steps`, their value the step.
fn write_points(events: &mut EventWriter, steps: impl IntoIterator<Item = u64>) {
    for step in steps {
        events.scalars(step, &[("train/elbo".to_string(), step as f64), ("train/kl".to_string(), 0.5)]).unwrap();
    }
}

/// A picture with a red top row, as a PNG.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut pixels = vec![0; 3 * (width * height) as usize];
    pixels[..3 * width as usize].chunks_mut(3).for_each(|pixel| pixel[0] = 255);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

/// All bytes of a folder's files, by name.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files(directory).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}
