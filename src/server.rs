//! Builds every component once.
