//! Scores against figures from elsewhere, and on codes whose scores are known.

mod table;
