//! What `evaluate` and `score` share: which images, what is computed, and how it is told.

pub mod exact;
pub mod likelihood;
pub mod pictures;
pub mod report;
pub mod request;
pub mod scoring;
pub mod selection;

pub use report::Report;
pub use selection::Selection;
