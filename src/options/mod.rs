//! Everything a URL said, typed.

pub mod delivery;
pub mod limits;
pub mod parse;
pub mod presets;
pub mod table;

use std::fmt;

use crate::args::{Access, Canonical, Group, OptionDef};
use crate::encode::OutputOptions;
use crate::ops::PipelineOptions;

pub use delivery::Delivery;
pub use limits::LimitOptions;
pub use parse::{ParsedRequest, Parser};
pub use presets::PresetError;

/// The options of one request after presets and URL were applied in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The pipeline. Chained pipelines turn this into a list.
    pub pipeline: PipelineOptions,
    /// Format, quality, metadata.
    pub output: OutputOptions,
    /// Expiry, file name, cache buster.
    pub delivery: Delivery,
    /// Security limits.
    pub limits: LimitOptions,
    /// `raw`: stream the source as it is.
    pub raw: bool,
}

impl Options {
    /// The canonical form without what only changes response headers: equal texts give equal results for one source.
    pub fn cache_form(&self) -> String {
        let mut out = Canonical::default();
        self.canonical_result(&mut out);
        out.finish()
    }

    fn canonical_result(&self, out: &mut Canonical) {
        self.pipeline.canonical(out);
        self.output.canonical(out);
        self.limits.canonical(out);
        if self.raw {
            out.option(RAW.name, &[&1]);
        }
        self.delivery.canonical_for_cache(out);
    }
}

/// The canonical form: long names, one order, defaults omitted. It reads back as options with the same effect, and does
/// not depend on the order in which a URL named them.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Canonical::default();
        self.canonical_result(&mut out);
        self.delivery.canonical_for_headers(&mut out);
        f.write_str(&out.finish())
    }
}

/// Every option that acts on the request as a whole, in the order of the documentation.
pub static REQUEST_OPTIONS: &[&OptionDef<Options>] = &[&PRESET, &RAW];

/// `preset`: the option records the names, [`Parser`] expands them, because only it knows the presets.
pub static PRESET: OptionDef<Options> = OptionDef {
    name: "preset",
    aliases: &["pr"],
    usage: "preset:%name1:%name2:...",
    example: "preset:default",
    group: Group::Handling,
    summary: "Apply named lists of options",
    docs: "Applies the options of the presets, in the order given, at this place of the URL: options before it are \
overridden, options behind it override. An unknown name is refused with 404. Presets are defined by \
`IMGPROXY_PRESETS` and `IMGPROXY_PRESETS_PATH`; one named `default` is applied to every request first. A preset may \
use other presets; one that would use itself is skipped.",
    access: Access::Open,
    apply: |options, args| {
        let names = args.values().iter().map(|name| (*name).to_owned());
        options.delivery.used_presets.extend(names);
        Ok(())
    },
};

/// `raw`.
pub static RAW: OptionDef<Options> = OptionDef {
    name: "raw",
    aliases: &[],
    usage: "raw:%raw",
    example: "raw:1",
    group: Group::Handling,
    summary: "Answer with the source as it is",
    docs: "A boolean, default false. When true, the source is streamed to the client unchanged: no processing, no \
queue, and no limits on resolution or format. The rules for source URLs still apply, and all other options are still \
checked; the extension of the source URL is not.",
    access: Access::Open,
    apply: |options, args| {
        options.raw = args.single("raw")?.bool();
        Ok(())
    },
};

/// What request headers say about the client.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientFeatures {
    /// `Accept` contains `image/webp`.
    pub webp: bool,
    /// `Accept` contains `image/avif`.
    pub avif: bool,
    /// `Accept` contains `image/jxl`.
    pub jxl: bool,
    /// Client hint `Sec-CH-DPR` or `DPR`, in (0, 8].
    pub dpr: Option<f64>,
    /// Client hint `Sec-CH-Width` or `Width`, above 0.
    pub width: Option<u32>,
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
