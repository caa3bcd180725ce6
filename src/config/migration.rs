//! Names of older programs that stand for something else, or for nothing here.

use super::draft::Draft;
use super::errors::Warning;
use super::lists::formats;
use super::types::choice;
use super::types::format::STRING;
use super::var::{Invalid, Scope, Var};
use crate::format::ImageFormat;

pub(super) const VARS: &[Var] = &[
    Var::new(
        "DEFAULT_FORMAT",
        "source",
        "source, or an image format",
        "Format of results where the URL names none: a format stands in place of `PREFERRED_FORMATS`, `source` leaves the \
         choice to them. A name of older versions.",
        |d, v| {
            d.default_format = match v.trim().to_ascii_lowercase().as_str() {
                "source" => None,
                "heif" => Some(ImageFormat::Heic),
                name => match formats(name)?.as_slice() {
                    [format] if !format.info().vector => Some(*format),
                    _ => return Err(Invalid::value("is no format of results")),
                },
            };
            Ok(())
        },
    )
    .scope(Scope::Own),
    Var::new(
        "PPROF_BIND",
        "",
        STRING,
        "Accepted and without effect: there is no build with Go's profiler.",
        |d, _| {
            d.warnings.push(Warning::Note(
                "IMGPROXY_PPROF_BIND has no effect: there is no profiler to listen".to_owned(),
            ));
            Ok(())
        },
    ),
    Var::new(
        "MALLOC",
        "malloc",
        "malloc|jemalloc|tcmalloc",
        "Accepted for the sake of imgproxy's container, where it chooses the allocator. imgforge uses the system's, with two \
         arenas; another one gives a warning.",
        |d, v| {
            if choice(v, ALLOCATORS)? {
                d.warnings.push(Warning::Note(format!(
                    "IMGPROXY_MALLOC={v} has no effect: the allocator is the system's"
                )));
            }
            Ok(())
        },
    ),
];

/// `DEFAULT_FORMAT` is a list of one format to prefer.
pub(super) fn complete(draft: &mut Draft) {
    let Some(format) = draft.default_format else {
        return;
    };
    if draft.set.contains("PREFERRED_FORMATS") {
        draft.warnings.push(Warning::Note(
            "IMGPROXY_PREFERRED_FORMATS has no effect because IMGFORGE_DEFAULT_FORMAT is set"
                .to_owned(),
        ));
    }
    draft.config.processing.preferred_formats = vec![format];
}

const ALLOCATORS: &[(&str, bool)] = &[("malloc", false), ("jemalloc", true), ("tcmalloc", true)];
