//! From the colours of an ICC profile to sRGB, for the profiles that cameras and screens have: a matrix between tone curves.
//!
//! Nothing of a profile gets into the library but numbers that were read here.

#[cfg(test)]
mod samples;

use std::sync::{Arc, LazyLock};

use moxcms::{
    ColorProfile, Layout, RenderingIntent, ToneReprCurve, Transform8BitExecutor, TransformOptions,
    Xyzd,
};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::Raster;
#[cfg(test)]
pub(crate) use samples::{ADOBE, P3, SRGB, curv, display_p3, para, profile, rgb};

/// The way from a profile to sRGB with the relative colorimetric intent, without black point compensation.
#[derive(Clone)]
pub struct ToSrgb(Arc<Transform8BitExecutor>);

impl std::fmt::Debug for ToSrgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToSrgb").finish_non_exhaustive()
    }
}

impl ToSrgb {
    /// The way from an RGB profile. `None` for grey and CMYK, for tables of colours, for curves that not all readers take
    /// alike, and for a profile that is damaged anywhere.
    ///
    /// The last few are remembered; what is used more than once is not displaced by what is not.
    pub fn new(profile: &[u8]) -> Option<Self> {
        if profile.len() > LONGEST {
            return None;
        }
        Self::known(&KNOWN, profile)
    }

    fn known(known: &Known, profile: &[u8]) -> Option<Self> {
        let key: [u8; 32] = Sha256::digest(profile).into();
        known
            .get_or_insert_with(&key, || Self::build(profile).ok_or(NotCovered))
            .ok()
    }

    fn build(profile: &[u8]) -> Option<Self> {
        let options = TransformOptions {
            rendering_intent: RenderingIntent::RelativeColorimetric,
            allow_use_cicp_transfer: false,
            ..TransformOptions::default()
        };
        let srgb = ColorProfile::new_srgb();
        parse(profile)?
            .create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, options)
            .ok()
            .map(Self)
    }

    /// The same picture in sRGB; `None` unless it has three bands.
    pub fn convert(&self, raster: &Raster) -> Option<Raster> {
        (raster.bands == 3).then_some(())?;
        let mut bytes = vec![0; raster.bytes.len()];
        self.0.transform(&raster.bytes, &mut bytes).ok()?;
        Raster::new(raster.width, raster.height, raster.bands, bytes)
    }
}

/// A profile that is left to others.
struct NotCovered;

/// Ways by the digest of the profile: nobody can make a profile that is taken for another one's.
type Known = Cache<[u8; 32], ToSrgb>;

static KNOWN: LazyLock<Known> = LazyLock::new(|| Cache::new(MOST_KNOWN));

/// Whether a profile is whole, and of pictures with this number of colours. Of others libvips may drop some.
pub fn is_sound(profile: &[u8], colours: usize) -> bool {
    let space: &[u8] = if colours == 1 { b"GRAY" } else { b"RGB " };
    tags(profile).is_some() && profile.get(16..20) == Some(space)
}

/// The tags of a profile with their names; `None` unless all of them lie inside.
fn tags(bytes: &[u8]) -> Option<Vec<(&[u8; 4], &[u8])>> {
    let size = usize::try_from(number(bytes, 0)?).ok()?;
    let bytes = bytes.get(..size)?;
    (matches!(bytes.get(8)?, 2 | 4) && bytes.get(36..40)? == b"acsp").then_some(())?;
    let count = usize::try_from(number(bytes, HEADER)?).ok()?;
    (count <= MOST_TAGS).then_some(())?;
    let table = bytes.get(HEADER + 4..)?;
    let table = table.get(..count.checked_mul(ENTRY)?)?;
    let tag = |entry| {
        let place = |at| usize::try_from(number(entry, at)?).ok();
        let (start, length) = (place(4)?, place(8)?);
        let tag = bytes.get(start..start.checked_add(length)?)?;
        Some((entry.first_chunk()?, tag))
    };
    table.chunks_exact(ENTRY).map(tag).collect()
}

/// Reads a profile of which only the matrix and the curves count.
fn parse(bytes: &[u8]) -> Option<ColorProfile> {
    let tags = tags(bytes)?;
    let classes: [&[u8]; 3] = [b"mntr", b"scnr", b"spac"];
    classes.contains(&bytes.get(12..16)?).then_some(())?;
    (bytes.get(16..24)? == b"RGB XYZ ").then_some(())?;
    let (mut colorants, mut curves) = ([None; 3], [const { None }; 3]);
    for (name, tag) in tags {
        match name {
            b"rXYZ" => once(&mut colorants[0], colorant(tag)?)?,
            b"gXYZ" => once(&mut colorants[1], colorant(tag)?)?,
            b"bXYZ" => once(&mut colorants[2], colorant(tag)?)?,
            b"rTRC" => once(&mut curves[0], curve(tag)?)?,
            b"gTRC" => once(&mut curves[1], curve(tag)?)?,
            b"bTRC" => once(&mut curves[2], curve(tag)?)?,
            // Tables of colours, which come before the matrix.
            b"A2B0" | b"A2B1" | b"A2B2" | b"D2B0" | b"D2B1" | b"D2B2" | b"D2B3" => return None,
            _ => {}
        }
    }
    let ([red, green, blue], [Some(r), Some(g), Some(b)]) = (colorants, curves) else {
        return None;
    };
    // Where two of three are the same, the library takes the third one for the same as well.
    ((r == g) == (g == b)).then_some(())?;
    let mut profile = ColorProfile::new_srgb();
    profile.red_colorant = red?;
    profile.green_colorant = green?;
    profile.blue_colorant = blue?;
    profile.red_trc = Some(r);
    profile.green_trc = Some(g);
    profile.blue_trc = Some(b);
    Some(profile)
}

fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// A big-endian number.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A fraction with 16 bits behind its point.
fn fraction(bytes: &[u8], at: usize) -> Option<f64> {
    let number = i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?);
    Some(f64::from(number) / 65_536.0)
}

fn colorant(tag: &[u8]) -> Option<Xyzd> {
    tag.starts_with(b"XYZ ").then_some(())?;
    let [x, y, z] = [8, 12, 16].map(|at| fraction(tag, at));
    Some(Xyzd {
        x: x?,
        y: y?,
        z: z?,
    })
}

/// A tone curve that begins with 0 and ends with 1: a power, a power with a straight line before it, or a table.
fn curve(tag: &[u8]) -> Option<ToneReprCurve> {
    match tag.first_chunk()? {
        b"curv" => {
            let count = usize::try_from(number(tag, 8)?).ok()?;
            let values = tag.get(12..)?.get(..count.checked_mul(2)?)?;
            let (values, _) = values.as_chunks();
            let values: Vec<_> = values.iter().map(|v| u16::from_be_bytes(*v)).collect();
            let rises = values.is_sorted() && values.last() == Some(&u16::MAX);
            (count < 2 && values != [0] || rises).then_some(ToneReprCurve::Lut(values))
        }
        b"para" => {
            let kind = u16::from_be_bytes(*tag.get(8..)?.first_chunk()?);
            let count = match kind {
                0 => 1,
                3 => 5,
                _ => return None,
            };
            let mut values = Vec::with_capacity(count);
            for index in 0..count {
                values.push(fraction(tag, 12 + 4 * index)?);
            }
            is_usual(&values).then_some(())?;
            Some(ToneReprCurve::Parametric(
                values.into_iter().map(narrow).collect(),
            ))
        }
        _ => None,
    }
}

/// Whether a power (g), or with a line before it (g, a, b, c, d), rises from 0 to 1 without a jump.
fn is_usual(values: &[f64]) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() < 0.01;
    match *values {
        [g] => g > 0.0,
        [g, a, b, c, d] => {
            let power = |x: f64| (a * x + b).powf(g);
            let [start, end] = [power(d), power(1.0)];
            [g, a].iter().all(|n| *n > 0.0)
                && [b, c, d].iter().all(|n| *n >= 0.0)
                && near(start, c * d)
                && near(end, 1.0)
        }
        _ => false,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the library works with single precision"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// Bytes of a profile's header.
const HEADER: usize = 128;
/// Bytes for each tag in the table behind it: name, place, length.
const ENTRY: usize = 12;
/// What LittleCMS reads.
const MOST_TAGS: usize = 100;
/// Bytes of the longest profile that is read; a matrix and three curves take a few thousand.
const LONGEST: usize = 65_536;
/// Ways that are kept, of at most 200 kB each.
const MOST_KNOWN: usize = 16;

#[cfg(test)]
mod tests {
    use super::samples::*;
    use super::*;

    #[test]
    fn soundness() {
        let p3 = display_p3();
        let grey = profile(b"GRAY", &[]);
        for (profile, colours, expected) in [
            (&p3[..], 3, true),
            (&p3, 1, false),
            (&grey, 1, true),
            (&grey, 3, false),
            (&p3[..p3.len() - 1], 3, false),
            (&[0x5a; 400], 3, false),
            (&[], 3, false),
        ] {
            assert_eq!(is_sound(profile, colours), expected, "{profile:?}");
        }
    }

    fn is_covered(profile: &[u8]) -> bool {
        ToSrgb::new(profile).is_some()
    }

    #[test]
    fn colours_of_a_phone() {
        let way = ToSrgb::new(&display_p3()).unwrap();
        let raster = Raster::new(
            2,
            2,
            3,
            vec![0, 0, 0, 255, 255, 255, 200, 100, 50, 0, 255, 0],
        );
        let small = way.convert(&raster.unwrap()).unwrap();
        // The last is outside of sRGB.
        let expected = [0, 0, 0, 255, 255, 255, 215, 94, 31, 0, 255, 0];
        for (a, b) in small.bytes().iter().zip(expected) {
            assert!(a.abs_diff(b) <= 1, "{small:?}");
        }
        let grey = Raster::new(1, 1, 1, vec![7]).unwrap();
        assert_eq!(way.convert(&grey), None);
    }

    #[test]
    fn what_is_covered() {
        let [linear, gamma, table] =
            [vec![], vec![563], vec![0, 9_000, 9_000, 65_535]].map(|v| curv(&v));
        let same = |curve: Vec<u8>| rgb(&P3, [(); 3].map(|()| curve.clone()));
        let with = |at: usize, bytes: &[u8]| {
            let mut profile = display_p3();
            profile[at..at + bytes.len()].copy_from_slice(bytes);
            profile
        };
        let and = |name: &'static [u8; 4], tag: Vec<u8>| {
            let curve = || para(0, &[2.2]);
            let xyz = || xyz(&[0.3, 0.3, 0.3]);
            let mut tags = vec![(b"rXYZ", xyz()), (b"gXYZ", xyz()), (b"bXYZ", xyz())];
            tags.extend([(b"rTRC", curve()), (b"gTRC", curve()), (b"bTRC", curve())]);
            tags.push((name, tag));
            profile(b"RGB ", &tags)
        };
        for (name, profile, expected) in [
            ("Display P3", display_p3(), true),
            ("linear", same(linear.clone()), true),
            ("a power", same(gamma.clone()), true),
            ("a table", same(table.clone()), true),
            ("a power with numbers", same(para(0, &[1.8])), true),
            (
                "three curves",
                rgb(&P3, [linear.clone(), gamma.clone(), table.clone()]),
                true,
            ),
            (
                "two curves",
                rgb(&P3, [linear.clone(), linear, gamma]),
                false,
            ),
            (
                "two other curves",
                rgb(&P3, [table.clone(), curv(&[]), table]),
                true,
            ),
            ("an unknown tag", and(b"vcgt", vec![1, 2, 3]), true),
            ("a table of colours", and(b"A2B0", vec![0; 99]), false),
            ("another matrix", and(b"rXYZ", xyz(&[0.3, 0.3, 0.3])), false),
            ("a printer", with(12, b"prtr"), false),
            ("grey", with(16, b"GRAY"), false),
            ("Lab", with(20, b"Lab "), false),
            ("version 5", with(8, &[5]), false),
            ("no profile", with(36, b"pcsa"), false),
            ("more than there is", with(0, &[0, 1]), false),
            ("more tags than there are", with(128, &[255]), false),
            ("a tag outside", with(132 + 4, &[255]), false),
            (
                "a table that falls",
                same(curv(&[0, 60_000, 50_000, 65_535])),
                false,
            ),
            ("a dark table", same(curv(&[0, 30_000])), false),
            ("no power", same(curv(&[0])), false),
            ("a negative power", same(para(0, &[-1.0])), false),
            ("another formula", same(para(1, &[2.2, 1.0, 0.0])), false),
            (
                "a jump",
                same(para(3, &[2.4, 0.948, 0.052, 0.5, 0.5])),
                false,
            ),
            (
                "a bright end",
                same(para(3, &[2.4, 1.2, 0.052, 0.077, 0.04])),
                false,
            ),
            (
                "a short curve",
                same(b"para\0\0\0\0\0\x03\0\0".to_vec()),
                false,
            ),
            (
                "a table without values",
                same(b"curv\0\0\0\0\xff\xff\xff\xff".to_vec()),
                false,
            ),
        ] {
            assert_eq!(is_covered(&profile), expected, "{name}");
        }
        assert!(!is_covered(&[display_p3(), vec![0; LONGEST]].concat()));
        assert!(is_covered(&[display_p3(), vec![0; 3]].concat()));
    }

    #[test]
    fn no_prefix_of_a_profile_is_one() {
        let whole = display_p3();
        for length in 0..whole.len() {
            assert!(!is_covered(&whole[..length]), "{length}");
        }
    }

    #[test]
    fn what_is_used_again_is_remembered() {
        let known = Known::new(MOST_KNOWN);
        let way = |gamma| ToSrgb::known(&known, &rgb(&ADOBE, [(); 3].map(|()| curv(&[gamma]))));
        let [first, second] = [(); 2].map(|()| way(563).unwrap());
        assert!(Arc::ptr_eq(&first.0, &second.0));
        for gamma in 600..700 {
            assert!(way(gamma).is_some());
        }
        assert!(Arc::ptr_eq(&first.0, &way(563).unwrap().0));
        assert!(known.len() <= MOST_KNOWN);
        assert!(way(0).is_none());
    }
}
