//! Which code works on pixels; nothing of it changes what a result looks like.

use super::processing::VectorMode;
use super::types::format::BOOL;
use super::types::{boolean, choice};
use super::var::{Scope, Var};

pub(super) const VARS: &[Var] = &[
    Var::new(
        "DIRECT_CODECS",
        "true",
        BOOL,
        "Decode, resize and encode common pictures without libvips: the same picture for less time and memory. Whatever \
this does not cover goes through libvips. Switch it off to compare, or to rule it out.",
        |d, v| boolean(v).map(|b| d.config.processing.direct_codecs = b),
    )
    .scope(Scope::Own),
    Var::new(
        "VIPS_VECTOR",
        "auto",
        "auto|on|off",
        "Vector code of libvips: `auto` uses it only where the linked engine is thread-safe.",
        |d, v| choice(v, VECTOR_MODES).map(|mode| d.config.processing.vips_vector = mode),
    )
    .scope(Scope::Own),
];

const VECTOR_MODES: &[(&str, VectorMode)] = &[
    ("auto", VectorMode::Auto),
    ("on", VectorMode::On),
    ("off", VectorMode::Off),
];
