//! Pictures for people: tiles on a labelled grid, as PNG and GIF.

mod canvas;
mod files;
mod grid;

pub use canvas::{Canvas, Colour, GLYPH};
pub use files::gif;
pub use grid::Grid;
