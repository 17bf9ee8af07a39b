//! Pictures for people: tiles on a labelled grid, and plots, as PNG and GIF.

mod canvas;
mod files;
mod grid;
pub mod plot;

pub use canvas::{Canvas, Colour, GLYPH};
pub use files::gif;
pub use grid::Grid;
