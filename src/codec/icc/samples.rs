//! Profiles for tests, made of numbers.

use super::{ENTRY, HEADER};

/// Colorants of Display P3.
pub(crate) const P3: [f64; 9] = [
    0.51512, 0.2412, -0.00105, 0.29198, 0.69225, 0.04189, 0.1571, 0.06657, 0.78407,
];
/// Colorants of Adobe RGB.
pub(crate) const ADOBE: [f64; 9] = [
    0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457,
];
/// The curve of sRGB.
pub(crate) const SRGB: [f64; 5] = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045];

/// A profile with these tags behind the white point, which every profile has.
pub(crate) fn profile(space: &[u8; 4], tags: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut profile = vec![0; HEADER];
    profile[8..12].copy_from_slice(&[4, 0x30, 0, 0]);
    profile[12..16].copy_from_slice(b"mntr");
    profile[16..20].copy_from_slice(space);
    profile[20..24].copy_from_slice(b"XYZ ");
    profile[36..40].copy_from_slice(b"acsp");
    profile[68..80].copy_from_slice(&fractions(&[0.9642, 1.0, 0.8249]));
    let white = (b"wtpt", xyz(&[0.9642, 1.0, 0.8249]));
    let tags = [&[white], tags].concat();
    let count = u32::try_from(tags.len()).unwrap();
    profile.extend(count.to_be_bytes());
    let mut start = profile.len() + ENTRY * tags.len();
    for (name, tag) in &tags {
        profile.extend_from_slice(*name);
        profile.extend(u32::try_from(start).unwrap().to_be_bytes());
        profile.extend(u32::try_from(tag.len()).unwrap().to_be_bytes());
        start += tag.len();
    }
    tags.iter().for_each(|(_, tag)| profile.extend(tag));
    let size = u32::try_from(profile.len()).unwrap();
    profile[..4].copy_from_slice(&size.to_be_bytes());
    profile
}

/// A profile of three colorants and their curves.
pub(crate) fn rgb(colorants: &[f64; 9], [r, g, b]: [Vec<u8>; 3]) -> Vec<u8> {
    let (xyz, names) = (colorants.chunks(3).map(xyz), [b"rXYZ", b"gXYZ", b"bXYZ"]);
    let mut tags: Vec<_> = names.into_iter().zip(xyz).collect();
    tags.extend([(b"rTRC", r), (b"gTRC", g), (b"bTRC", b)]);
    profile(b"RGB ", &tags)
}

pub(crate) fn display_p3() -> Vec<u8> {
    rgb(&P3, [(); 3].map(|()| para(3, &SRGB)))
}

fn fractions(numbers: &[f64]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "numbers of some units")]
    let bytes = |n: &f64| ((n * 65_536.0).round() as i32).to_be_bytes();
    numbers.iter().flat_map(bytes).collect()
}

pub(super) fn xyz(numbers: &[f64]) -> Vec<u8> {
    [b"XYZ \0\0\0\0".to_vec(), fractions(numbers)].concat()
}

pub(crate) fn para(kind: u8, numbers: &[f64]) -> Vec<u8> {
    [
        vec![b'p', b'a', b'r', b'a', 0, 0, 0, 0, 0, kind, 0, 0],
        fractions(numbers),
    ]
    .concat()
}

pub(crate) fn curv(values: &[u16]) -> Vec<u8> {
    let count = u32::try_from(values.len()).unwrap().to_be_bytes();
    let values = values.iter().flat_map(|v| v.to_be_bytes());
    let mut tag = [b"curv\0\0\0\0", &count[..]].concat();
    tag.extend(values);
    tag.resize(tag.len().next_multiple_of(4), 0);
    tag
}
