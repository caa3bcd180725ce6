//! Splitting the raw request target and undoing proxy normalisation.
