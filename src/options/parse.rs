//! URL segments to typed options.
