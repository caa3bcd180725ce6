//! Security options: limits that a URL may override where the server allows it.

use crate::args::{Access, Canonical, Float, Group, OptionDef};
use crate::geometry;

/// Overrides of the configured limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitOptions {
    /// `max_src_resolution` in pixels; 0 refuses everything.
    pub max_src_resolution: Option<u64>,
    /// `max_src_file_size` in bytes; 0 is unlimited.
    pub max_src_file_size: Option<u64>,
    /// `max_animation_frames`, at least 1.
    pub max_animation_frames: Option<u32>,
    /// `max_animation_frame_resolution` in pixels; 0 is off.
    pub max_animation_frame_resolution: Option<u64>,
    /// `max_result_dimension` in pixels; 0 is off.
    pub max_result_dimension: Option<i64>,
}

impl LimitOptions {
    pub(super) fn canonical(&self, out: &mut Canonical) {
        if let Some(pixels) = self.max_src_resolution {
            out.option(MAX_SRC_RESOLUTION.name, &[&megapixels(pixels)]);
        }
        if let Some(bytes) = self.max_src_file_size {
            out.option(MAX_SRC_FILE_SIZE.name, &[&bytes]);
        }
        if let Some(frames) = self.max_animation_frames {
            out.option(MAX_ANIMATION_FRAMES.name, &[&frames]);
        }
        if let Some(pixels) = self.max_animation_frame_resolution {
            out.option(MAX_ANIMATION_FRAME_RESOLUTION.name, &[&megapixels(pixels)]);
        }
        if let Some(side) = self.max_result_dimension {
            out.option(MAX_RESULT_DIMENSION.name, &[&side]);
        }
    }
}

/// Pixels as the option writes them: in megapixels that the option's truncation turns into the same pixels again.
fn megapixels(pixels: u64) -> Float {
    let pixels = i64::try_from(pixels).unwrap_or(i64::MAX);
    let exact = geometry::float(pixels) / 1e6;
    if geometry::trunc(exact * 1e6) == pixels {
        Float(exact)
    } else {
        Float(exact + 5e-7)
    }
}

/// Every security option, in the order of the documentation.
pub static LIMIT_OPTIONS: &[&OptionDef<LimitOptions>] = &[
    &MAX_SRC_RESOLUTION,
    &MAX_SRC_FILE_SIZE,
    &MAX_ANIMATION_FRAMES,
    &MAX_ANIMATION_FRAME_RESOLUTION,
    &MAX_RESULT_DIMENSION,
];

/// `max_src_resolution`.
pub static MAX_SRC_RESOLUTION: OptionDef<LimitOptions> = OptionDef {
    name: "max_src_resolution",
    aliases: &["msr"],
    usage: "max_src_resolution:%megapixels",
    example: "max_src_resolution:50",
    group: Group::Security,
    summary: "Largest number of pixels of a source",
    docs: "Megapixels, a number of at least 0; 0 refuses every source. A larger source is answered with 422. The default \
is `IMGPROXY_MAX_SRC_RESOLUTION`. Needs `IMGPROXY_ALLOW_SECURITY_OPTIONS`.",
    access: Access::Security,
    apply: |limits, args| {
        let pixels = args.single("max_src_resolution")?.megapixels()?;
        limits.max_src_resolution = Some(pixels);
        Ok(())
    },
};

/// `max_src_file_size`.
pub static MAX_SRC_FILE_SIZE: OptionDef<LimitOptions> = OptionDef {
    name: "max_src_file_size",
    aliases: &["msfs"],
    usage: "max_src_file_size:%bytes",
    example: "max_src_file_size:10000000",
    group: Group::Security,
    summary: "Largest number of bytes of a source",
    docs: "Bytes, an integer of at least 0; 0 is unlimited. A larger source is answered with 422. The default is \
`IMGPROXY_MAX_SRC_FILE_SIZE`. Needs `IMGPROXY_ALLOW_SECURITY_OPTIONS`.",
    access: Access::Security,
    apply: |limits, args| {
        let arg = args.single("max_src_file_size")?;
        // imgproxy takes negative sizes, and then refuses every source.
        let bytes = u64::try_from(arg.int()?).map_err(|_| arg.error("positive number or 0"))?;
        limits.max_src_file_size = Some(bytes);
        Ok(())
    },
};

/// `max_animation_frames`.
pub static MAX_ANIMATION_FRAMES: OptionDef<LimitOptions> = OptionDef {
    name: "max_animation_frames",
    aliases: &["maf"],
    usage: "max_animation_frames:%frames",
    example: "max_animation_frames:64",
    group: Group::Security,
    summary: "Largest number of frames of an animation that are used",
    docs: "An integer of at least 1. Further frames are dropped; 1 makes animations still. The default is \
`IMGPROXY_MAX_ANIMATION_FRAMES`. Needs `IMGPROXY_ALLOW_SECURITY_OPTIONS`.",
    access: Access::Security,
    apply: |limits, args| {
        let frames = args.single("max_animation_frames")?.int_above_zero()?;
        limits.max_animation_frames = Some(u32::try_from(frames).unwrap_or(u32::MAX));
        Ok(())
    },
};

/// `max_animation_frame_resolution`.
pub static MAX_ANIMATION_FRAME_RESOLUTION: OptionDef<LimitOptions> = OptionDef {
    name: "max_animation_frame_resolution",
    aliases: &["mafr"],
    usage: "max_animation_frame_resolution:%megapixels",
    example: "max_animation_frame_resolution:4",
    group: Group::Security,
    summary: "Largest number of pixels of one frame of an animation",
    docs: "Megapixels, a number of at least 0. Above 0 each frame is held against this limit instead of the whole \
animation against `max_src_resolution`. The default is `IMGPROXY_MAX_ANIMATION_FRAME_RESOLUTION`. Needs \
`IMGPROXY_ALLOW_SECURITY_OPTIONS`.",
    access: Access::Security,
    apply: |limits, args| {
        let pixels = args
            .single("max_animation_frame_resolution")?
            .megapixels()?;
        limits.max_animation_frame_resolution = Some(pixels);
        Ok(())
    },
};

/// `max_result_dimension`.
pub static MAX_RESULT_DIMENSION: OptionDef<LimitOptions> = OptionDef {
    name: "max_result_dimension",
    aliases: &["mrd"],
    usage: "max_result_dimension:%pixels",
    example: "max_result_dimension:4096",
    group: Group::Security,
    summary: "Longest side of the result",
    docs: "Pixels, an integer. A result that would be wider or higher is scaled down to it. 0 and negative values switch \
the limit off. The default is `IMGPROXY_MAX_RESULT_DIMENSION`. Needs `IMGPROXY_ALLOW_SECURITY_OPTIONS`.",
    access: Access::Security,
    apply: |limits, args| {
        limits.max_result_dimension = Some(args.single("max_result_dimension")?.int()?);
        Ok(())
    },
};
