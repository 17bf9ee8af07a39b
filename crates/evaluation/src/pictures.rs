//! Pictures for people: tiles on a labelled grid, plots, and what there is to see of disentanglement, as PNG and GIF.

mod axis;
mod canvas;
mod factors;
mod files;
mod grid;
mod heat_map;
mod lettering;
mod palette;
pub mod plot;
mod representation;
mod scatter;
mod shapes;

pub use canvas::{Canvas, Colour, GLYPH};
pub use factors::latent_against_factor;
pub use files::gif;
pub use grid::Grid;
pub use heat_map::heat_map;
pub use representation::Representation;
pub use scatter::{Colouring, aggregate_posterior};
