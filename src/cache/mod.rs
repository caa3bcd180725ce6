//! Caching of results.
