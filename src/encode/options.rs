//! Options about the encoded result; they act on the whole request, whichever pipeline they are written in.

use std::collections::{BTreeMap, BTreeSet};

use crate::args::{Access, ArgError, Args, Canonical, Group, OptionDef, percent};
use crate::format::ImageFormat;

/// What a URL says about the result. `None` leaves the server's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputOptions {
    /// `format` or the extension.
    pub format: Option<ImageFormat>,
    /// `quality`, 1–100; 0 is stored as 0 and falls through.
    pub quality: u8,
    /// `format_quality`, 0–100 by format; 0 falls through.
    pub format_quality: BTreeMap<ImageFormat, u8>,
    /// `max_bytes`; 0 is off.
    pub max_bytes: u64,
    /// `strip_metadata`.
    pub strip_metadata: Option<bool>,
    /// `keep_copyright`.
    pub keep_copyright: Option<bool>,
    /// `strip_color_profile`.
    pub strip_color_profile: Option<bool>,
    /// `preserve_hdr`.
    pub preserve_hdr: Option<bool>,
    /// `enforce_thumbnail`.
    pub enforce_thumbnail: Option<bool>,
    /// `skip_processing`, in the order of use.
    pub skip_processing: Vec<ImageFormat>,
}

impl OutputOptions {
    /// Writes what differs from the defaults, in one fixed order.
    pub fn canonical(&self, out: &mut Canonical) {
        if let Some(format) = self.format {
            out.option(FORMAT.name, &[&format]);
        }
        if self.quality != 0 {
            out.option(QUALITY.name, &[&self.quality]);
        }
        for (format, quality) in &self.format_quality {
            // A 0 falls through to the server's value, as if the format were not named.
            if *quality != 0 {
                out.option(FORMAT_QUALITY.name, &[format, quality]);
            }
        }
        if self.max_bytes != 0 {
            out.option(MAX_BYTES.name, &[&self.max_bytes]);
        }
        out.switch(STRIP_METADATA.name, self.strip_metadata);
        out.switch(KEEP_COPYRIGHT.name, self.keep_copyright);
        out.switch(STRIP_COLOR_PROFILE.name, self.strip_color_profile);
        out.switch(PRESERVE_HDR.name, self.preserve_hdr);
        out.switch(ENFORCE_THUMBNAIL.name, self.enforce_thumbnail);
        for format in self.skip_processing.iter().collect::<BTreeSet<_>>() {
            out.option(SKIP_PROCESSING.name, &[format]);
        }
    }
}

fn apply_format_quality(output: &mut OutputOptions, args: &Args<'_>) -> Result<(), ArgError> {
    for pair in args.values().chunks(2) {
        let [format, quality] = pair else {
            let last = pair.first().copied().unwrap_or_default();
            return Err(ArgError::Other(format!(
                "Missing format_quality for: {last}"
            )));
        };
        let Some(format) = ImageFormat::from_name(format) else {
            return Err(ArgError::Other(format!("Invalid image format: {format}")));
        };
        let quality = percent(quality).ok_or_else(|| {
            ArgError::value(
                format!("format_quality.{format}"),
                quality,
                "number in range 0-100",
            )
        })?;
        output.format_quality.insert(format, quality);
    }
    Ok(())
}

fn apply_skip_processing(output: &mut OutputOptions, args: &Args<'_>) -> Result<(), ArgError> {
    for name in args.values() {
        let Some(format) = ImageFormat::from_name(name) else {
            let message = format!("Invalid image format in skip_processing: {name}");
            return Err(ArgError::Other(message));
        };
        output.skip_processing.push(format);
    }
    Ok(())
}

/// Every option about the result, in the order of the documentation.
pub static OUTPUT_OPTIONS: &[&OptionDef<OutputOptions>] = &[
    &FORMAT,
    &QUALITY,
    &FORMAT_QUALITY,
    &MAX_BYTES,
    &STRIP_METADATA,
    &KEEP_COPYRIGHT,
    &STRIP_COLOR_PROFILE,
    &PRESERVE_HDR,
    &ENFORCE_THUMBNAIL,
    &SKIP_PROCESSING,
];

/// `format`, and what the extension of a source URL means.
pub static FORMAT: OptionDef<OutputOptions> = OptionDef {
    name: "format",
    aliases: &["f", "ext"],
    usage: "format:%format",
    example: "format:webp",
    group: Group::Output,
    summary: "Format of the result",
    docs: "One of `jpeg` (or `jpg`), `jxl`, `png`, `webp`, `gif`, `ico`, `svg`, `heic`, `avif`, `bmp`, `tiff`, in lower \
case. The extension of the source URL (`@webp` or `.webp`) means the same and wins over this option. By default, without either, \
the source's format or the client's `Accept` header decides. A format that this server cannot write is refused with 422; \
`svg` is possible for SVG sources only.",
    access: Access::Open,
    apply: |output, args| {
        output.format = Some(args.single("format")?.format()?);
        Ok(())
    },
};

/// `quality`.
pub static QUALITY: OptionDef<OutputOptions> = OptionDef {
    name: "quality",
    aliases: &["q"],
    usage: "quality:%quality",
    example: "quality:80",
    group: Group::Output,
    summary: "Quality of the result, for any format",
    docs: "An integer from 0 to 100 for formats that have a quality. 0 (default) leaves the choice to \
[`format_quality`](#format_quality), then to `IMGPROXY_FORMAT_QUALITY`, then to `IMGPROXY_QUALITY`.",
    access: Access::Open,
    apply: |output, args| {
        output.quality = args.single("quality")?.percent()?;
        Ok(())
    },
};

/// `format_quality`.
pub static FORMAT_QUALITY: OptionDef<OutputOptions> = OptionDef {
    name: "format_quality",
    aliases: &["fq"],
    usage: "format_quality:%format1:%quality1:%format2:%quality2:...",
    example: "format_quality:jpeg:80:avif:60",
    group: Group::Output,
    summary: "Quality of the result by format",
    docs: "Pairs of a format and an integer from 0 to 100, for URLs whose result format is not fixed. The pairs add to \
those of presets; for one format the last one counts. 0 falls through to `IMGPROXY_FORMAT_QUALITY`. The \
[`quality`](#quality) option wins over this one. Default: none.",
    access: Access::Open,
    apply: apply_format_quality,
};

/// `max_bytes`.
pub static MAX_BYTES: OptionDef<OutputOptions> = OptionDef {
    name: "max_bytes",
    aliases: &["mb"],
    usage: "max_bytes:%bytes",
    example: "max_bytes:50000",
    group: Group::Output,
    summary: "Lower the quality until the result is small enough",
    docs: "An integer of at least 0; 0 (default) is off. While the result is larger than this many bytes, it is saved \
again with a lower quality, down to 10, in formats that have a quality. The result can still be larger where that does \
not suffice. Each attempt costs time.",
    access: Access::Open,
    apply: |output, args| {
        let bytes = args.single("max_bytes")?.int_from_zero()?;
        output.max_bytes = bytes.unsigned_abs();
        Ok(())
    },
};

/// `strip_metadata`.
pub static STRIP_METADATA: OptionDef<OutputOptions> = OptionDef {
    name: "strip_metadata",
    aliases: &["sm"],
    usage: "strip_metadata:%strip_metadata",
    example: "strip_metadata:1",
    group: Group::Output,
    summary: "Leave EXIF, IPTC and XMP out of the result",
    docs: "A boolean. The default is `IMGPROXY_STRIP_METADATA`.",
    access: Access::Open,
    apply: |output, args| {
        output.strip_metadata = Some(args.single("strip_metadata")?.bool());
        Ok(())
    },
};

/// `keep_copyright`.
pub static KEEP_COPYRIGHT: OptionDef<OutputOptions> = OptionDef {
    name: "keep_copyright",
    aliases: &["kcr"],
    usage: "keep_copyright:%keep_copyright",
    example: "keep_copyright:1",
    group: Group::Output,
    summary: "Keep the copyright fields when metadata is stripped",
    docs: "A boolean that acts only while metadata is stripped. The default is `IMGPROXY_KEEP_COPYRIGHT`.",
    access: Access::Open,
    apply: |output, args| {
        output.keep_copyright = Some(args.single("keep_copyright")?.bool());
        Ok(())
    },
};

/// `strip_color_profile`.
pub static STRIP_COLOR_PROFILE: OptionDef<OutputOptions> = OptionDef {
    name: "strip_color_profile",
    aliases: &["scp"],
    usage: "strip_color_profile:%strip_color_profile",
    example: "strip_color_profile:1",
    group: Group::Output,
    summary: "Convert to sRGB and leave the colour profile out",
    docs: "A boolean. When true, the pixels are converted to sRGB and the result carries no profile; when false, the \
source's profile is kept. The default is `IMGPROXY_STRIP_COLOR_PROFILE`.",
    access: Access::Open,
    apply: |output, args| {
        output.strip_color_profile = Some(args.single("strip_color_profile")?.bool());
        Ok(())
    },
};

/// `preserve_hdr`.
pub static PRESERVE_HDR: OptionDef<OutputOptions> = OptionDef {
    name: "preserve_hdr",
    aliases: &["ph"],
    usage: "preserve_hdr:%preserve_hdr",
    example: "preserve_hdr:1",
    group: Group::Output,
    summary: "Keep more than 8 bits per channel where the result format can",
    docs: "A boolean. When false, a source with 16 bits per channel is reduced to 8. The default is \
`IMGPROXY_PRESERVE_HDR`.",
    access: Access::Open,
    apply: |output, args| {
        output.preserve_hdr = Some(args.single("preserve_hdr")?.bool());
        Ok(())
    },
};

/// `enforce_thumbnail`.
pub static ENFORCE_THUMBNAIL: OptionDef<OutputOptions> = OptionDef {
    name: "enforce_thumbnail",
    aliases: &["eth"],
    usage: "enforce_thumbnail:%enforce_thumbnail",
    example: "enforce_thumbnail:1",
    group: Group::Output,
    summary: "Work on the thumbnail that a HEIC or AVIF source embeds",
    docs: "A boolean. When true and the source is HEIC or AVIF with an embedded thumbnail, that thumbnail is used \
instead of the main image: much faster, at a lower quality. The default is `IMGPROXY_ENFORCE_THUMBNAIL`.",
    access: Access::Open,
    apply: |output, args| {
        output.enforce_thumbnail = Some(args.single("enforce_thumbnail")?.bool());
        Ok(())
    },
};

/// `skip_processing`.
pub static SKIP_PROCESSING: OptionDef<OutputOptions> = OptionDef {
    name: "skip_processing",
    aliases: &["skp"],
    usage: "skip_processing:%format1:%format2:...",
    example: "skip_processing:gif:svg",
    group: Group::Handling,
    summary: "Formats whose sources are passed on unchanged",
    docs: "A list of formats, added to those of presets and of `IMGPROXY_SKIP_PROCESSING_FORMATS`. A source in one of \
them is answered as it is, provided that the result would have the same format. Default: none.",
    access: Access::Open,
    apply: apply_skip_processing,
};
