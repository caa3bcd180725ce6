//! Adding a border.

use crate::args::{Access, Canonical, Group, OptionDef};

use super::PipelineOptions;

/// `padding` in pixels before DPR; `None` where no option set the side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Top side.
    pub top: Option<i64>,
    /// Right side.
    pub right: Option<i64>,
    /// Bottom side.
    pub bottom: Option<i64>,
    /// Left side.
    pub left: Option<i64>,
}

impl Padding {
    /// Whether any side is not zero.
    pub fn is_enabled(self) -> bool {
        [self.top, self.right, self.bottom, self.left]
            .into_iter()
            .flatten()
            .any(|side| side != 0)
    }

    pub(super) fn canonical(self, out: &mut Canonical) {
        if self.is_enabled() {
            let [top, right, bottom, left] =
                [self.top, self.right, self.bottom, self.left].map(Option::unwrap_or_default);
            out.option(PADDING.name, &[&top, &right, &bottom, &left]);
        }
    }
}

/// `padding`.
pub static PADDING: OptionDef<PipelineOptions> = OptionDef {
    name: "padding",
    aliases: &["pd"],
    usage: "padding:%top:%right:%bottom:%left",
    example: "padding:10:20",
    group: Group::Geometry,
    summary: "Add space around the result",
    docs: "Adds space around the image, after resizing and extending, in pixels that are multiplied by `dpr`. The \
space is transparent; with a `background`, or in a format without transparency, it has that colour or white.\n\
\n\
All values are integers of at least 0, default 0, and work as in CSS: a missing `right` or `bottom` equals `top`, a \
missing `left` equals `right`. `padding:10` adds 10 on every side, `padding:10:20` adds 10 above and below and 20 on \
both sides.",
    access: Access::Open,
    apply: |pipeline, args| {
        args.at_most(4, "padding")?;
        let padding = &mut pipeline.padding;
        let side = |index, key| {
            args.given(index, key)
                .map(|arg| arg.int_from_zero())
                .transpose()
        };
        // A side that is not given copies what is stored, which earlier uses may have set; an unset one copies nothing.
        padding.top = side(0, "padding.top")?.or(padding.top);
        padding.right = side(1, "padding.right")?.or(padding.top).or(padding.right);
        padding.bottom = side(2, "padding.bottom")?
            .or(padding.top)
            .or(padding.bottom);
        padding.left = side(3, "padding.left")?.or(padding.right).or(padding.left);
        Ok(())
    },
};
