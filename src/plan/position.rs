//! position.
