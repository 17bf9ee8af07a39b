//! Every reader of bytes that may come from anywhere, as a function of those bytes alone.
//!
//! The fuzz targets (`fuzz/`) and the ordinary test (`tests/tests/readers.rs`) call the same functions. Each panics where a reader breaks one
//! of its promises: it neither panics nor hangs, its memory is bounded by the input's size ([`meter`]), what it refuses it refuses in one line, and
//! what it accepts is consistent and, where something writes the format, round-trips.

pub mod arrays;
pub mod configurations;
pub mod images;
pub mod meter;
pub mod mutation;
pub mod records;
pub mod seeds;
pub mod states;

/// A reader, and how much of the ordinary test's time it gets.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// Name of the fuzz target and of the folder of its seeds.
    pub name: &'static str,
    /// Reads, and panics where a promise is broken.
    pub check: fn(&[u8]),
    /// Mutated inputs in the ordinary test: two minutes' worth, all readers together.
    pub iterations: u32,
}

const fn reader(name: &'static str, iterations: u32, check: fn(&[u8])) -> Reader {
    Reader { name, check, iterations }
}

/// All of them.
pub const ALL: [Reader; 13] = [
    reader("idx", 160_000, images::idx),
    reader("idx_gz", 160_000, images::idx_gz),
    reader("picture", 60_000, images::picture),
    reader("attributes", 80_000, images::attributes),
    reader("npz", 60_000, arrays::npz),
    reader("arrays", 60_000, arrays::assembled),
    reader("codes", 100_000, arrays::codes),
    reader("checkpoint", 100_000, states::checkpoint),
    reader("weights", 100_000, states::weights),
    reader("config", 120_000, configurations::config),
    reader("grid", 40_000, configurations::grid),
    reader("events", 60_000, records::events),
    reader("metrics", 80_000, records::metrics),
];

/// What every refusal is: one line that says something.
fn one_line(error: &impl std::fmt::Display) {
    // `{:#}` is how the binaries print the chain of an `anyhow::Error`.
    let line = format!("{error:#}");
    assert!(!line.trim().is_empty() && !line.chars().any(char::is_control), "not one line: {line:?}");
}
