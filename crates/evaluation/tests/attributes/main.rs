//! Attributes and the classifier that judges them, on pictures whose classes and codes are known.

mod attribute;
mod classifier;
mod direction;
mod indicator;
mod linear;
