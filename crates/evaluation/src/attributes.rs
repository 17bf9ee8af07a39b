//! Attributes: directions of the latent space that stand for "with sunglasses", and whether a model's pictures follow them.
//!
//! ```text
//! v = mean of z over pictures with the attribute − mean of z over those without       z: the mean of q(z|x)
//! x → z → decode(z + s v)                                                             docs/mathematics.md §8; Larsen et al. 2016, §4
//! ```
//!
//! The **indicator** is the share of pictures *without* the attribute that an independently trained [classifier](crate::classifier) says
//! have it after the edit. By itself it says little, so it stands beside the share without an edit (of the reconstructions), the share
//! after a step of equal length in a random direction, and what the classifier gets right. Pictures that are edited made neither the vector
//! nor the classifier.
//!
//! | module | what |
//! |---|---|
//! | [`attribute`] | what an attribute is: a column of a table, levels of a factor, a label |
//! | [`direction`] | the vector: plain, or with the other attributes held fixed; random directions to compare with |
//! | [`indicator`] | the shares, by strength of the edit |

pub mod attribute;
pub mod direction;
pub mod indicator;

pub use attribute::Attribute;
pub use indicator::{Edits, Indicator};
