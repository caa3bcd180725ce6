//! Gravity with its offsets, each of which keeps its value when a later option sets only the others.
//!
//! Also the argument grammar that `gravity`, `crop`, `extend` and `extend_aspect_ratio` share.

use crate::args::{Access, Arg, ArgError, Args, Canonical, Float, Group, OptionDef};
use crate::geometry::{Gravity, GravityKind};

use super::PipelineOptions;

/// A gravity as stored from URL options.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GravityOption {
    /// The anchor; `None` where no option named one.
    pub kind: Option<GravityKind>,
    /// Horizontal offset or focus point.
    pub x: f64,
    /// Vertical offset or focus point.
    pub y: f64,
}

impl GravityOption {
    /// The gravity to use, centre by default.
    pub fn resolved(self) -> Gravity {
        Gravity {
            kind: self.kind.unwrap_or_default(),
            x: self.x,
            y: self.y,
        }
    }

    /// Reads `type[:x[:y]]`. Rule: `spec/options.md` section 2.2.
    pub(super) fn apply(&mut self, args: &Args<'_>, keys: &GravityKeys) -> Result<(), ArgError> {
        let kind = args
            .at(0, keys.kind)
            .choice(keys.allowed, GravityKind::name)?;
        let count = match kind {
            GravityKind::Smart => args.len() == 1,
            GravityKind::FocusPoint => args.len() == 3,
            _ => args.len() <= 3,
        };
        if !count {
            return Err(args.error(keys.all));
        }
        self.kind = Some(kind);
        if kind == GravityKind::Smart {
            (self.x, self.y) = (0.0, 0.0);
        }
        let read = |arg: Arg<'_>| {
            arg.coordinate(|v| kind != GravityKind::FocusPoint || (0.0..=1.0).contains(&v))
        };
        if let Some(x) = args.given(1, keys.x) {
            self.x = read(x)?;
        }
        if let Some(y) = args.given(2, keys.y) {
            self.y = read(y)?;
        }
        Ok(())
    }

    /// Writes `prefix` with this gravity behind it, or `prefix` alone where the gravity is the default.
    pub(super) fn canonical(self, name: &str, prefix: &str, out: &mut Canonical) {
        let Gravity { kind, x, y } = self.resolved();
        let name = if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{name}:{prefix}")
        };
        let (x, y) = (Float(x), Float(y));
        let on_image = |v: Float| (0.0..=1.0).contains(&v.0);
        if kind == GravityKind::Smart {
            out.option(&name, &[&kind.name()]);
        } else if kind != GravityKind::FocusPoint || on_image(x) && on_image(y) {
            out.option(&name, &[&kind.name(), &x, &y]);
        } else {
            // `g:no:10:20/g:fp::` keeps offsets that `fp` itself would refuse; only the same detour reads back.
            out.option(&name, &[&GravityKind::Center.name(), &x, &y]);
            out.option(&name, &[&kind.name(), &"", &""]);
        }
    }
}

/// Storage keys and permitted anchors of one option that takes a gravity.
pub(super) struct GravityKeys {
    pub(super) all: &'static str,
    pub(super) kind: &'static str,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) allowed: &'static [GravityKind],
}

/// Anchors of `gravity` and `crop`, in the order that refusals list them.
pub(super) const CROP_ANCHORS: &[GravityKind] = &[
    GravityKind::Smart,
    GravityKind::FocusPoint,
    GravityKind::Center,
    GravityKind::North,
    GravityKind::East,
    GravityKind::South,
    GravityKind::West,
    GravityKind::NorthWest,
    GravityKind::NorthEast,
    GravityKind::SouthWest,
    GravityKind::SouthEast,
];

const KEYS: GravityKeys = GravityKeys {
    all: "gravity",
    kind: "gravity.type",
    x: "gravity.x_offset",
    y: "gravity.y_offset",
    allowed: CROP_ANCHORS,
};

/// `gravity`.
pub static GRAVITY: OptionDef<PipelineOptions> = OptionDef {
    name: "gravity",
    aliases: &["g"],
    usage: "gravity:%type:%x_offset:%y_offset",
    example: "gravity:no:0:10",
    group: Group::Geometry,
    summary: "Which part of the image is kept when it is cut",
    docs: "Decides what stays when `fill`, `fill-down` or `crop` cut something off.\n\
\n\
* `ce` (default) – the middle.\n\
* `no`, `ea`, `so`, `we` – the top, right, bottom or left edge.\n\
* `nowe`, `noea`, `sowe`, `soea` – a corner.\n\
* `sm` – the most interesting part as libvips' attention search finds it; takes no offsets.\n\
* `fp:%x:%y` – a focus point: two numbers from 0 to 1, as fractions of width and height from the top left corner. \
The cut is centred on this point as far as the image allows.\n\
\n\
Offsets move the kept area. From an edge they point inwards, from the middle they point right and down. A number \
whose magnitude is 1 or more is in pixels and is multiplied by `dpr`; a smaller one is a fraction of the image's side. \
Default: 0. An empty offset keeps the value that an earlier `gravity` or preset has set.",
    access: Access::Open,
    apply: |pipeline, args| pipeline.gravity.apply(args, &KEYS),
};
