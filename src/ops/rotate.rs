//! Rotation: `rotate` and `auto_rotate`.

use crate::args::{Access, ArgError, Group, OptionDef};
use crate::geometry::Angle;
use crate::vips::{self, Image, calls};

use super::PipelineOptions;

/// `rotate`.
pub static ROTATE: OptionDef<PipelineOptions> = OptionDef {
    name: "rotate",
    aliases: &["rot"],
    usage: "rotate:%angle",
    example: "rotate:90",
    group: Group::Geometry,
    summary: "Turn the image clockwise",
    docs: "Turns the image clockwise by a multiple of 90 degrees, default 0; negative angles turn it the other way. \
The rotation comes after the one that the EXIF orientation asks for, and before `width` and `height` are applied: \
those always speak of the result.",
    access: Access::Open,
    apply: |pipeline, args| {
        let degrees = args.single("rotate")?.int()?;
        pipeline.rotate = Angle::from_degrees(degrees)
            .ok_or_else(|| ArgError::Other("Rotation angle must be a multiple of 90".to_owned()))?;
        Ok(())
    },
};

/// `auto_rotate`.
pub static AUTO_ROTATE: OptionDef<PipelineOptions> = OptionDef {
    name: "auto_rotate",
    aliases: &["ar"],
    usage: "auto_rotate:%auto_rotate",
    example: "auto_rotate:1",
    group: Group::Geometry,
    summary: "Turn the image as its EXIF orientation says",
    docs: "A boolean. When true, the image is turned and mirrored as its EXIF orientation says, before `rotate` and `flip`. \
The default is `IMGPROXY_AUTO_ROTATE`.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.auto_rotate = Some(args.single("auto_rotate")?.bool());
        Ok(())
    },
};

/// Rotates clockwise.
///
/// # Errors
/// Whatever libvips says.
pub fn rotate(image: &Image, angle: Angle) -> Result<Image, vips::Error> {
    let angle = match angle {
        Angle::D0 => return Ok(image.clone()),
        Angle::D90 => vips::Angle::D90,
        Angle::D180 => vips::Angle::D180,
        Angle::D270 => vips::Angle::D270,
    };
    calls::rot(image, angle)
}

/// The image without its orientation, because the pixels now stand as they should.
///
/// # Errors
/// Whatever libvips says.
pub fn without_orientation(image: &Image) -> Result<Image, vips::Error> {
    image.edit(|metadata| metadata.remove_orientation())
}
