//! Colours of profiles: ours against libvips'.

use bytes::Bytes;

use crate::codec::icc::{ADOBE, P3, SRGB, curv, display_p3, para, profile, rgb};
use crate::codec::{Raster, icc};
use crate::processing::colour::ColourState;
use crate::vips::{self, Image, Interpretation, ThreadGuard};

/// Profiles to embed, with the bands of the picture.
pub(super) fn profiles() -> Vec<(usize, (&'static str, Vec<u8>))> {
    let power = || curv(&[563]);
    let grey = || profile(b"GRAY", &[(b"kTRC", power())]);
    let p3 = display_p3();
    let broken = p3[..p3.len() - 20].to_vec();
    let table_of_colours = profile(b"RGB ", &[(b"A2B0", vec![0; 100])]);
    vec![
        (3, ("Adobe RGB", rgb(&ADOBE, [power(), power(), power()]))),
        (3, ("of grey", grey())),
        (3, ("cut off", broken)),
        (3, ("of tables", table_of_colours)),
        (3, ("of noise", vec![0x5a; 400])),
        (1, ("grey", grey())),
        (1, ("Display P3", p3.clone())),
        (3, ("Display P3", p3)),
    ]
}

/// Every eighth value of each band with each of the others, and the last.
fn all_colours() -> Raster {
    let steps = || (0..=32).map(|n: u32| u8::try_from((n * 8).min(255)).unwrap());
    let mut bytes = Vec::new();
    for (r, g) in steps().flat_map(|r| steps().map(move |g| (r, g))) {
        steps().for_each(|b| bytes.extend([r, g, b]));
    }
    Raster::new(33 * 33, 33, 3, bytes).unwrap()
}

fn converted_by_libvips(raster: &Raster, profile: &[u8]) -> Vec<u8> {
    let side = |side: usize| i32::try_from(side).unwrap();
    let (width, height) = (side(raster.width()), side(raster.height()));
    let pixels = Bytes::copy_from_slice(raster.bytes());
    let image = Image::from_pixels(pixels, width, height, 3, Interpretation::Srgb).unwrap();
    let image = image.edit(|metadata| metadata.set_blob("icc-profile-data", profile));
    let mut colour = ColourState::default();
    let image = colour.enter(&image.unwrap(), false).unwrap();
    let image = colour.leave(&image, false).unwrap();
    image.to_pixels().unwrap().to_vec()
}

#[test]
fn profiles_mean_what_they_mean_to_libvips() {
    vips::ready();
    let _thread = ThreadGuard::new();
    let raster = all_colours();
    let same = |curve: Vec<u8>| [(); 3].map(|()| curve.clone());
    let power: Vec<u16> = (0..1024_u64)
        .map(|n| u16::try_from(n * n * 65_535 / 1023 / 1023).unwrap())
        .collect();
    let wide = [
        0.79767, 0.28804, 0.0, 0.13519, 0.71188, 0.0, 0.03134, 0.00009, 0.82491,
    ];
    for (name, profile) in [
        ("Display P3", display_p3()),
        ("Adobe RGB", rgb(&ADOBE, same(curv(&[563])))),
        ("a wide one", rgb(&wide, same(para(0, &[1.8])))),
        ("a table", rgb(&P3, same(curv(&power)))),
        ("linear", rgb(&P3, same(curv(&[])))),
        (
            "three curves",
            rgb(&ADOBE, [para(3, &SRGB), curv(&power), para(0, &[2.2])]),
        ),
    ] {
        let ours = icc::ToSrgb::new(&profile)
            .unwrap()
            .convert(&raster)
            .unwrap();
        let theirs = converted_by_libvips(&raster, &profile);
        assert_ne!(raster.bytes(), theirs, "{name}");
        let mut counts = [0_usize; 256];
        for (a, b) in ours.bytes().iter().zip(&theirs) {
            counts[usize::from(a.abs_diff(*b))] += 1;
        }
        let beyond: usize = counts[3..].iter().sum();
        assert_eq!(beyond, 0, "{name}: {counts:?}");
        assert!(
            counts[1] + counts[2] < theirs.len() / 20,
            "{name}: {counts:?}"
        );
    }
}
