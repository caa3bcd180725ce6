//! libvips' enumerations under libvips' own names. Plain data: no call into libvips.

use libvips::bindings as c;

use super::Value;

/// Defines an enumeration with libvips' number and nickname of every member.
macro_rules! vips_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $raw:ident, $nick:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$member_doc])* $member,)*
            /// A member that this list does not name, with libvips' number.
            Other(i32),
        }

        impl $name {
            /// libvips' nickname, `other` for a member without a name here.
            pub fn nick(self) -> &'static str {
                match self {
                    $(Self::$member => $nick,)*
                    Self::Other(_) => "other",
                }
            }

            /// The member with this libvips number.
            pub fn from_raw(raw: i32) -> Self {
                match raw {
                    $(_ if raw == c::$raw as i32 => Self::$member,)*
                    _ => Self::Other(raw),
                }
            }

            /// libvips' number.
            pub fn raw(self) -> i32 {
                match self {
                    $(Self::$member => c::$raw as i32,)*
                    Self::Other(raw) => raw,
                }
            }
        }

        impl From<$name> for Value<'static> {
            fn from(value: $name) -> Self {
                Self::Int(value.raw())
            }
        }
    };
}

vips_enum! {
    /// How one band of one pixel is stored.
    BandFormat {
        /// 8 bit, 0–255.
        Uchar = VipsBandFormat_VIPS_FORMAT_UCHAR, "uchar";
        /// 8 bit with sign.
        Char = VipsBandFormat_VIPS_FORMAT_CHAR, "char";
        /// 16 bit, 0–65535.
        Ushort = VipsBandFormat_VIPS_FORMAT_USHORT, "ushort";
        /// 16 bit with sign.
        Short = VipsBandFormat_VIPS_FORMAT_SHORT, "short";
        /// 32 bit without sign.
        Uint = VipsBandFormat_VIPS_FORMAT_UINT, "uint";
        /// 32 bit with sign.
        Int = VipsBandFormat_VIPS_FORMAT_INT, "int";
        /// 32-bit float.
        Float = VipsBandFormat_VIPS_FORMAT_FLOAT, "float";
        /// 64-bit float.
        Double = VipsBandFormat_VIPS_FORMAT_DOUBLE, "double";
    }
}

vips_enum! {
    /// What the bands mean.
    Interpretation {
        /// No meaning known.
        Multiband = VipsInterpretation_VIPS_INTERPRETATION_MULTIBAND, "multiband";
        /// 8-bit grey.
        Bw = VipsInterpretation_VIPS_INTERPRETATION_B_W, "b-w";
        /// A histogram.
        Histogram = VipsInterpretation_VIPS_INTERPRETATION_HISTOGRAM, "histogram";
        /// CIE XYZ.
        Xyz = VipsInterpretation_VIPS_INTERPRETATION_XYZ, "xyz";
        /// CIE Lab.
        Lab = VipsInterpretation_VIPS_INTERPRETATION_LAB, "lab";
        /// CMYK.
        Cmyk = VipsInterpretation_VIPS_INTERPRETATION_CMYK, "cmyk";
        /// Lab packed into 32 bit.
        Labq = VipsInterpretation_VIPS_INTERPRETATION_LABQ, "labq";
        /// RGB of a space that is not known.
        Rgb = VipsInterpretation_VIPS_INTERPRETATION_RGB, "rgb";
        /// CMC(l:c).
        Cmc = VipsInterpretation_VIPS_INTERPRETATION_CMC, "cmc";
        /// CIE LCh.
        Lch = VipsInterpretation_VIPS_INTERPRETATION_LCH, "lch";
        /// Lab as signed 16-bit numbers.
        Labs = VipsInterpretation_VIPS_INTERPRETATION_LABS, "labs";
        /// 8-bit sRGB.
        Srgb = VipsInterpretation_VIPS_INTERPRETATION_sRGB, "srgb";
        /// CIE Yxy.
        Yxy = VipsInterpretation_VIPS_INTERPRETATION_YXY, "yxy";
        /// Frequencies.
        Fourier = VipsInterpretation_VIPS_INTERPRETATION_FOURIER, "fourier";
        /// 16-bit sRGB.
        Rgb16 = VipsInterpretation_VIPS_INTERPRETATION_RGB16, "rgb16";
        /// 16-bit grey.
        Grey16 = VipsInterpretation_VIPS_INTERPRETATION_GREY16, "grey16";
        /// A matrix of numbers.
        Matrix = VipsInterpretation_VIPS_INTERPRETATION_MATRIX, "matrix";
        /// Linear light scRGB.
        Scrgb = VipsInterpretation_VIPS_INTERPRETATION_scRGB, "scrgb";
        /// Hue, saturation, value.
        Hsv = VipsInterpretation_VIPS_INTERPRETATION_HSV, "hsv";
    }
}

vips_enum! {
    /// What `embed` puts around the image.
    Extend {
        /// Zero in every band, so transparent black with an alpha band.
        Black = VipsExtend_VIPS_EXTEND_BLACK, "black";
        /// The nearest edge pixel.
        Copy = VipsExtend_VIPS_EXTEND_COPY, "copy";
        /// The image again.
        Repeat = VipsExtend_VIPS_EXTEND_REPEAT, "repeat";
        /// The image mirrored.
        Mirror = VipsExtend_VIPS_EXTEND_MIRROR, "mirror";
        /// The maximum in every band.
        White = VipsExtend_VIPS_EXTEND_WHITE, "white";
        /// The background colour given.
        Background = VipsExtend_VIPS_EXTEND_BACKGROUND, "background";
    }
}

vips_enum! {
    /// The resampling kernel of `resize`.
    Kernel {
        /// Nearest neighbour.
        Nearest = VipsKernel_VIPS_KERNEL_NEAREST, "nearest";
        /// Linear.
        Linear = VipsKernel_VIPS_KERNEL_LINEAR, "linear";
        /// Catmull–Rom.
        Cubic = VipsKernel_VIPS_KERNEL_CUBIC, "cubic";
        /// Mitchell.
        Mitchell = VipsKernel_VIPS_KERNEL_MITCHELL, "mitchell";
        /// Two-lobe Lanczos.
        Lanczos2 = VipsKernel_VIPS_KERNEL_LANCZOS2, "lanczos2";
        /// Three-lobe Lanczos, libvips' default.
        Lanczos3 = VipsKernel_VIPS_KERNEL_LANCZOS3, "lanczos3";
    }
}

vips_enum! {
    /// A rotation, clockwise.
    Angle {
        /// None.
        D0 = VipsAngle_VIPS_ANGLE_D0, "d0";
        /// A quarter turn.
        D90 = VipsAngle_VIPS_ANGLE_D90, "d90";
        /// A half turn.
        D180 = VipsAngle_VIPS_ANGLE_D180, "d180";
        /// Three quarter turns.
        D270 = VipsAngle_VIPS_ANGLE_D270, "d270";
    }
}

vips_enum! {
    /// The axis along which `flip` mirrors.
    Direction {
        /// Left becomes right.
        Horizontal = VipsDirection_VIPS_DIRECTION_HORIZONTAL, "horizontal";
        /// Top becomes bottom.
        Vertical = VipsDirection_VIPS_DIRECTION_VERTICAL, "vertical";
    }
}

vips_enum! {
    /// How a loader's pixels are going to be read.
    Access {
        /// In any order; the whole image may be decoded to memory.
        Random = VipsAccess_VIPS_ACCESS_RANDOM, "random";
        /// Once, from top to bottom.
        Sequential = VipsAccess_VIPS_ACCESS_SEQUENTIAL, "sequential";
    }
}

vips_enum! {
    /// The profile connection space of a colour transform.
    Pcs {
        /// CIE Lab.
        Lab = VipsPCS_VIPS_PCS_LAB, "lab";
        /// CIE XYZ.
        Xyz = VipsPCS_VIPS_PCS_XYZ, "xyz";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_maps_to_itself() {
        for raw in -1..40 {
            assert_eq!(Interpretation::from_raw(raw).raw(), raw);
            assert_eq!(BandFormat::from_raw(raw).raw(), raw);
        }
        assert_eq!(Interpretation::from_raw(22).nick(), "srgb");
        assert_eq!(BandFormat::Other(99).nick(), "other");
    }
}
