//! What `evaluate`, `score` and their neighbours share: which model and images, what is computed, and how it is told.

pub mod exact;
pub mod likelihood;
pub mod model;
pub mod pictures;
pub mod report;
pub mod request;
pub mod scoring;
pub mod selection;

pub use model::ModelArguments;
pub use report::Report;
pub use selection::Selection;
