//! Extending the canvas to the requested size or aspect ratio.

use crate::args::{Access, ArgError, Args, Canonical, Group, OptionDef};
use crate::geometry::GravityKind;
use crate::geometry::Size;
use crate::vips::{self, Extend as Fill, Image, calls};

use super::gravity::{CROP_ANCHORS, GravityKeys, GravityOption};
use super::{PipelineOptions, int};

/// `extend` or `extend_aspect_ratio`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extend {
    /// Whether it is on.
    pub enabled: bool,
    /// Where the image goes on the canvas.
    pub gravity: GravityOption,
}

impl Extend {
    fn apply(&mut self, args: &Args<'_>, keys: &ExtendKeys) -> Result<(), ArgError> {
        args.at_most(4, keys.all)?;
        self.enabled = args.at(0, keys.enabled).bool();
        if args.len() > 1 {
            self.gravity.apply(&args.tail(1), &keys.gravity)?;
        }
        Ok(())
    }

    pub(super) fn canonical(self, name: &str, out: &mut Canonical) {
        if !self.enabled {
            return;
        }
        if self.gravity.resolved() == GravityOption::default().resolved() {
            out.option(name, &[&1]);
        } else {
            self.gravity.canonical(name, "1", out);
        }
    }
}

/// `extend:…` as part of `size` and `resize`.
pub(super) fn apply_extend(
    pipeline: &mut PipelineOptions,
    args: &Args<'_>,
) -> Result<(), ArgError> {
    pipeline.extend.apply(args, &EXTEND_KEYS)
}

struct ExtendKeys {
    all: &'static str,
    enabled: &'static str,
    gravity: GravityKeys,
}

const EXTEND_KEYS: ExtendKeys = ExtendKeys {
    all: "extend",
    enabled: "extend.enabled",
    gravity: GravityKeys {
        all: "extend.gravity",
        kind: "extend.gravity.type",
        x: "extend.gravity.x_offset",
        y: "extend.gravity.y_offset",
        allowed: EXTEND_ANCHORS,
    },
};

const ASPECT_RATIO_KEYS: ExtendKeys = ExtendKeys {
    all: "extend_aspect_ratio",
    enabled: "extend_aspect_ratio.enabled",
    gravity: GravityKeys {
        all: "extend_aspect_ratio.gravity",
        kind: "extend_aspect_ratio.gravity.type",
        x: "extend_aspect_ratio.gravity.x_offset",
        y: "extend_aspect_ratio.gravity.y_offset",
        allowed: EXTEND_ANCHORS,
    },
};

/// The anchors of `crop` without the smart one: there is nothing to search for when nothing is cut.
const EXTEND_ANCHORS: &[GravityKind] = match CROP_ANCHORS.split_first() {
    Some((_, anchors)) => anchors,
    None => &[],
};

/// `extend`.
pub static EXTEND: OptionDef<PipelineOptions> = OptionDef {
    name: "extend",
    aliases: &["ex"],
    usage: "extend:%extend:%gravity",
    example: "extend:1:so:0:10",
    group: Group::Geometry,
    summary: "Put a result that is smaller than requested on a canvas of the requested size",
    docs: "When `extend` is true and the resized image is smaller than `width` × `height`, the missing space is added \
around it. The new space is transparent; with a `background`, or in a format without transparency, it has that \
colour or white.\n\
\n\
* `extend` – a boolean, default false.\n\
* `gravity` – where the image goes on the canvas, written as in [`gravity`](#gravity) with offsets; `sm` is not \
available. Default: `ce:0:0`. Without it a gravity set earlier stays.",
    access: Access::Open,
    apply: apply_extend,
};

/// `extend_aspect_ratio`.
pub static EXTEND_ASPECT_RATIO: OptionDef<PipelineOptions> = OptionDef {
    name: "extend_aspect_ratio",
    aliases: &["extend_ar", "exar"],
    usage: "extend_aspect_ratio:%extend:%gravity",
    example: "extend_aspect_ratio:1:ce",
    group: Group::Geometry,
    summary: "Put the result on a canvas of the requested aspect ratio",
    docs: "When `extend` is true, space is added on two sides until the result has the aspect ratio of `width` × \
`height`. Unlike [`extend`](#extend) it does not make the image as large as requested. Both `width` and `height` are \
needed.\n\
\n\
* `extend` – a boolean, default false.\n\
* `gravity` – where the image goes on the canvas, as in [`extend`](#extend). Default: `ce:0:0`.",
    access: Access::Open,
    apply: |pipeline, args| pipeline.extend_aspect_ratio.apply(args, &ASPECT_RATIO_KEYS),
};

/// Puts an image on a transparent canvas; an opaque image gets an alpha band first.
///
/// # Errors
/// Whatever libvips says.
pub fn embed(image: &Image, left: i64, top: i64, canvas: Size) -> Result<Image, vips::Error> {
    let image = if image.has_alpha() {
        image.clone()
    } else {
        calls::add_alpha(image)?
    };
    let canvas = calls::Canvas {
        left: int(left),
        top: int(top),
        width: int(canvas.width),
        height: int(canvas.height),
        extend: Fill::Black,
        background: None,
    };
    calls::embed(&image, canvas)
}
