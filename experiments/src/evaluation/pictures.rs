//! Pictures of codes beside factors.
