//! What `attributes` does: vectors, an independent classifier, edited pictures, and how often the edit is seen.

pub mod pictures;
pub mod report;
pub mod request;
pub mod study;

pub use request::AttributeArguments;
pub use study::{Finding, Settings, Study};
