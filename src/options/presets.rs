//! Named option lists.
