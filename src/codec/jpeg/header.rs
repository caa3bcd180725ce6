//! The segments before the picture data of a JPEG file.

use super::exif;

/// What the segments say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Pixels as stored.
    pub width: u16,
    /// Pixels as stored.
    pub height: u16,
    /// 1 for grey, 3 for colour.
    pub components: u8,
    /// Whether the picture comes in several scans.
    pub progressive: bool,
    /// The EXIF block behind its `Exif\0\0`.
    pub exif: Option<&'a [u8]>,
    /// The XMP packet behind the name of its namespace.
    pub xmp: Option<&'a [u8]>,
    /// The Photoshop block, with its name.
    pub iptc: Option<&'a [u8]>,
    /// The ICC profile.
    pub profile: Option<Vec<u8>>,
}

/// Reads up to the first scan. `None` for what is not grey or RGB of 8 bits, for lossless and arithmetic coding, and for
/// segments that readers could take in different ways: two EXIF blocks, a profile with a part missing.
pub fn parse(bytes: &[u8]) -> Option<Header<'_>> {
    let mut rest = bytes.strip_prefix(&[0xff, START])?;
    let mut frame = None;
    let (mut exif, mut xmp, mut iptc) = (None, None, None);
    let mut profile = Vec::new();
    loop {
        let marker;
        (marker, rest) = next_marker(rest)?;
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        let body = rest.get(2..length)?;
        rest = rest.get(length..)?;
        match marker {
            SCAN => break,
            BASELINE | EXTENDED | PROGRESSIVE => {
                let &[8, h1, h0, w1, w0, components, ..] = body else {
                    return None;
                };
                let size = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
                once(&mut frame, (size, components, marker == PROGRESSIVE))?;
            }
            // Other frames: lossless, hierarchical, arithmetic. Of their range, C4 and CC are tables.
            0xc3 | 0xc5..=0xcb | 0xcd..=0xcf => return None,
            APP1 => {
                if let Some(block) = body.strip_prefix(exif::NAME) {
                    once(&mut exif, block)?;
                } else if let Some(packet) = body.strip_prefix(XMP) {
                    once(&mut xmp, packet)?;
                } else if body.starts_with(b"Exif") || body.starts_with(b"http") {
                    return None;
                }
            }
            APP2 => {
                if let Some(part) = body.strip_prefix(PROFILE) {
                    profile.push(part);
                }
            }
            APP13 if body.starts_with(b"Photo") => once(&mut iptc, body)?,
            0xc4 | 0xcc | 0xdb..=0xef | 0xfe => {}
            _ => return None,
        }
    }
    let ((width, height), components, progressive) = frame?;
    (width > 0 && height > 0 && matches!(components, 1 | 3)).then_some(())?;
    Some(Header {
        width,
        height,
        components,
        progressive,
        exif,
        xmp,
        iptc,
        profile: join(&profile)?,
    })
}

/// Puts something where nothing was.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// The marker at the start, which bytes of 0xFF may precede, and what comes behind it.
pub(super) fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let rest = bytes.strip_prefix(&[0xff])?;
    let fill = rest.iter().take_while(|byte| **byte == 0xff).count();
    let (marker, rest) = rest.get(fill..)?.split_first()?;
    Some((*marker, rest))
}

/// The parts of a profile, each of which begins with its number and the number of all, in order and complete.
fn join(parts: &[&[u8]]) -> Option<Option<Vec<u8>>> {
    let mut profile = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let [number, count, data @ ..] = part else {
            return None;
        };
        if usize::from(*number) != index + 1 || usize::from(*count) != parts.len() {
            return None;
        }
        profile.extend_from_slice(data);
    }
    Some((!parts.is_empty()).then_some(profile))
}

pub(super) const START: u8 = 0xd8;
pub(super) const SCAN: u8 = 0xda;
pub(super) const BASELINE: u8 = 0xc0;
pub(super) const EXTENDED: u8 = 0xc1;
pub(super) const PROGRESSIVE: u8 = 0xc2;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP13: u8 = 0xed;
/// Name of the namespace in front of an XMP packet.
pub(super) const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// Name in front of a part of an ICC profile.
pub(super) const PROFILE: &[u8] = b"ICC_PROFILE\0";

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &length[..], body].concat()
    }

    fn file(segments: &[Vec<u8>]) -> Vec<u8> {
        let mut file = vec![0xff, START];
        segments.iter().for_each(|s| file.extend_from_slice(s));
        file.extend_from_slice(&segment(SCAN, &[1, 1, 0, 0, 63, 0]));
        file
    }

    fn frame(marker: u8, components: u8) -> Vec<u8> {
        segment(marker, &[8, 0, 20, 1, 0, components])
    }

    fn plain() -> Header<'static> {
        Header {
            width: 256,
            height: 20,
            components: 3,
            progressive: false,
            exif: None,
            xmp: None,
            iptc: None,
            profile: None,
        }
    }

    #[test]
    fn frames() {
        let twice = [frame(BASELINE, 3), frame(BASELINE, 3)].concat();
        for (name, frame, expected) in [
            ("baseline", frame(BASELINE, 3), Some(plain())),
            ("extended", frame(EXTENDED, 3), Some(plain())),
            (
                "progressive",
                frame(PROGRESSIVE, 1),
                Some(Header {
                    components: 1,
                    progressive: true,
                    ..plain()
                }),
            ),
            ("CMYK", frame(BASELINE, 4), None),
            ("lossless", frame(0xc3, 3), None),
            ("arithmetic", frame(0xc9, 3), None),
            ("12 bits", segment(BASELINE, &[12, 0, 20, 1, 0, 3]), None),
            ("no height", segment(BASELINE, &[8, 0, 0, 1, 0, 3]), None),
            ("two", twice, None),
            ("none", Vec::new(), None),
        ] {
            assert_eq!(parse(&file(&[frame])), expected, "{name}");
        }
    }

    #[test]
    fn metadata() {
        let exif = segment(APP1, b"Exif\0\0II*");
        let xmp = segment(APP1, &[XMP, b"<x/>"].concat());
        let iptc = segment(APP13, b"Photoshop 3.0\0");
        let profile = |n, of, data: &[u8]| segment(APP2, &[PROFILE, &[n, of], data].concat());
        let frame = || frame(BASELINE, 3);
        let whole = [
            segment(0xe0, b"JFIF\0"),
            exif.clone(),
            xmp.clone(),
            iptc.clone(),
            profile(1, 2, b"ab"),
            profile(2, 2, b"cd"),
            segment(0xfe, b"comment"),
            vec![0xff, 0xff],
            frame(),
        ];
        let file_of_all = file(&whole);
        let expected = Header {
            exif: Some(b"II*"),
            xmp: Some(b"<x/>"),
            iptc: Some(b"Photoshop 3.0\0"),
            profile: Some(b"abcd".to_vec()),
            ..plain()
        };
        assert_eq!(parse(&file_of_all), Some(expected));
        for (name, segments) in [
            ("two EXIF blocks", vec![exif.clone(), exif, frame()]),
            ("two XMP packets", vec![xmp.clone(), xmp, frame()]),
            ("two IPTC blocks", vec![iptc.clone(), iptc, frame()]),
            ("a part is missing", vec![profile(1, 2, b"a"), frame()]),
            (
                "out of order",
                vec![profile(2, 2, b"a"), profile(1, 2, b"b"), frame()],
            ),
            ("an odd EXIF block", vec![segment(APP1, b"Exif"), frame()]),
        ] {
            assert_eq!(parse(&file(&segments)), None, "{name}");
        }
    }

    #[test]
    fn no_prefix_of_a_header_is_one() {
        let whole = file(&[segment(0xe0, b"JFIF\0"), frame(BASELINE, 3)]);
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
    }
}
