//! Reading the environment; the only place that does.
