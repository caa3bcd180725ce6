//! Gaussian blur.

use crate::args::{Access, Group, OptionDef};
use crate::vips::{self, Image, calls};

use super::{Effect, PipelineOptions};

/// `blur`.
pub static BLUR: OptionDef<PipelineOptions> = OptionDef {
    name: "blur",
    aliases: &["bl"],
    usage: "blur:%sigma",
    example: "blur:5",
    group: Group::Effects,
    summary: "Blur the image",
    docs: "Applies a Gaussian blur to the result. `sigma` is its standard deviation in pixels of the result, a number \
of at least 0; `dpr` does not multiply it. Default: 0, no blur.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.blur = args.single("blur")?.float_from_zero()?;
        Ok(())
    },
};

/// The table row.
pub const EFFECT: Effect = Effect {
    is_on: |options| options.blur > 0.0,
    premultiplied: true,
    apply,
};

/// libvips refuses larger values.
const LARGEST_SIGMA: f64 = 1000.0;

/// From here on the exact blur costs more than it shows: the other is at most 3 levels of 255 away from it.
const APPROXIMATE_FROM: f64 = 20.0;

fn apply(options: &PipelineOptions, image: &Image) -> Result<Image, vips::Error> {
    let sigma = options.blur.min(LARGEST_SIGMA);
    if sigma < APPROXIMATE_FROM {
        calls::gaussblur(image, sigma)
    } else {
        calls::gaussblur_approximate(image, sigma)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::vips::Interpretation;

    #[test]
    fn a_wide_blur_is_close_to_the_exact_one() {
        vips::ready();
        // Squares and a gradient, with hard edges of full contrast.
        let pixel = |n: u32| {
            let (x, y) = (n % 300, n / 300);
            let square = if (x / 60 + y / 50) % 2 == 0 { 255 } else { 0 };
            [
                square,
                u8::try_from(x * 255 / 300).unwrap(),
                if x < 40 { 255 } else { 0 },
            ]
        };
        let pixels: Vec<u8> = (0..300 * 200).flat_map(pixel).collect();
        let image =
            Image::from_pixels(Bytes::from(pixels), 300, 200, 3, Interpretation::Srgb).unwrap();
        for sigma in [APPROXIMATE_FROM, 35.5, 90.0] {
            let options = PipelineOptions {
                blur: sigma,
                ..PipelineOptions::default()
            };
            let found = apply(&options, &image).unwrap().to_pixels().unwrap();
            let exact = calls::gaussblur(&image, sigma)
                .unwrap()
                .to_pixels()
                .unwrap();
            let off = found.iter().zip(&exact).map(|(a, b)| a.abs_diff(*b));
            assert_eq!(found.len(), exact.len());
            assert!(
                off.clone().max().unwrap() <= 4,
                "{sigma}: {:?}",
                off.clone().max()
            );
            let mean = off.map(f64::from).sum::<f64>() / f64::from(300 * 200 * 3);
            assert!(mean < 0.7, "{sigma}: {mean}");
        }
    }
}
