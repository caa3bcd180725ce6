//! Which scans of a progressive file count when it is decoded to an eighth.
//!
//! The library makes one pixel of a block then, from its mean alone, where a component has the full resolution. The scans
//! that refine such components are most of the file, and most of the work.

use memchr::memchr;

use super::frame::{Component, END, Frame, Segment, is_end};
use super::header::{PROGRESSIVE, SCAN, START};

/// The file without the scans that do not count at an eighth. `None` where nothing can be left out, or not for certain:
/// damage, scans that end before the last bit, more than `most_scans`.
///
/// Of the data of scans it reads where they end, so other damage in what is left out is not seen.
pub(super) fn for_eighth(bytes: &[u8], most_scans: u8) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(&[0xff, START])?;
    let mut kept = vec![0xff, START];
    let mut seen: Vec<Seen> = Vec::new();
    let (mut scans, mut skipped) = (0, 0);
    while !is_end(rest) {
        let segment = Segment::read(rest)?;
        let mut behind = segment.rest;
        let mut counts = true;
        match segment.marker {
            SCAN => {
                behind = behind_data(behind)?;
                counts = scan(segment.body, &mut seen)?;
                scans += 1;
                skipped += usize::from(!counts);
            }
            PROGRESSIVE if seen.is_empty() => {
                let components = Frame::read(segment.body)?.components;
                seen = components.into_iter().map(Seen::new).collect();
            }
            // Tables, restart intervals, metadata, comments.
            0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe => {}
            _ => return None,
        }
        if counts {
            kept.extend_from_slice(rest.get(..rest.len().checked_sub(behind.len())?)?);
        }
        rest = behind;
    }
    kept.extend([0xff, END]);
    let is_whole = seen.iter().all(Seen::is_whole);
    (is_whole && skipped > 0 && scans <= usize::from(most_scans)).then_some(kept)
}

/// What the scans so far have said of a component.
#[derive(Debug)]
struct Seen {
    component: Component,
    /// For each coefficient of a block the bits that are still missing; `None` before its first scan.
    missing: [Option<u8>; 64],
}

impl Seen {
    fn new(component: Component) -> Self {
        Self {
            component,
            missing: [None; 64],
        }
    }

    fn is_whole(&self) -> bool {
        self.missing.iter().all(|bits| *bits == Some(0))
    }

    /// Notes a scan over a band of coefficients. `None` unless it goes on where the one before ended.
    fn scanned(&mut self, band: std::ops::RangeInclusive<usize>, from: u8, to: u8) -> Option<()> {
        let before = (from > 0).then_some(from);
        for bits in self.missing.get_mut(band)? {
            (*bits == before).then_some(())?;
            *bits = Some(to);
        }
        Some(())
    }
}

/// Notes a scan; whether it counts.
fn scan(body: &[u8], seen: &mut [Seen]) -> Option<bool> {
    let (&count, rest) = body.split_first()?;
    let (named, &[start, end, bits]) = rest.split_last_chunk()?;
    let (named, []) = named.as_chunks::<2>() else {
        return None;
    };
    let (from, to) = (bits >> 4, bits & 15);
    let is_means = start == 0;
    let is_valid = named.len() == usize::from(count)
        && (if is_means { end == 0 } else { count == 1 })
        && end < 64
        && (from == 0 || from == to + 1);
    is_valid.then_some(())?;
    let mut counts = is_means;
    for [id, _] in named {
        let seen = seen.iter_mut().find(|seen| seen.component.id == *id)?;
        // The mean of a block comes first.
        (is_means || seen.missing.first()?.is_some()).then_some(())?;
        seen.scanned(start.into()..=end.into(), from, to)?;
        counts |= seen.component.has_detail;
    }
    Some(counts)
}

/// What follows the data of a scan: a marker, perhaps behind bytes of 0xFF.
fn behind_data(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        bytes = bytes.get(memchr(0xff, bytes)?..)?;
        match bytes.get(1)? {
            0 | 0xd0..=0xd7 => bytes = bytes.get(2..)?,
            _ => return Some(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{file, never, noise};
    use super::super::{MOST_SCANS, decode_all, header};
    use super::*;
    use crate::codec::Raster;

    fn progressive(raster: &Raster, sampling: (u8, u8)) -> Vec<u8> {
        file(raster, 93, true, sampling, 0)
    }

    /// Where scans begin, and the end.
    fn places(file: &[u8]) -> Vec<usize> {
        let is_scan = |at: &usize| matches!(file[*at..], [0xff, SCAN | END, ..]);
        (0..file.len()).filter(is_scan).collect()
    }

    #[test]
    fn an_eighth_is_the_same_without_them() {
        for bands in [1, 3] {
            for sampling in [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2)] {
                for (width, height) in [(96, 64), (101, 83), (9, 41), (8, 8)] {
                    let case = format!("{bands} {sampling:?} {width}x{height}");
                    let whole = progressive(&noise(width, height, bands), sampling);
                    let short = for_eighth(&whole, MOST_SCANS).unwrap();
                    let header = header::parse(&whole).unwrap();
                    let at = |bytes: &[u8], shrink, smooth| {
                        decode_all(bytes, &header, shrink, smooth, &never).unwrap()
                    };
                    assert_eq!(at(&short, 8, false), at(&whole, 8, true), "{case}");
                    assert_ne!(at(&short, 4, false), at(&whole, 4, true), "{case}");
                    let scans = places(&whole).len() - places(&short).len();
                    // Two scans of the spectrum and their refinements; chroma has one and a refinement.
                    let expected = match (bands, sampling) {
                        (3, (2, 2) | (4, 2)) | (1, _) => 4,
                        _ => 8,
                    };
                    assert_eq!(scans, expected, "{case}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_certain_is_decoded_as_a_whole() {
        let whole = progressive(&noise(40, 30, 3), (2, 2));
        assert!(for_eighth(&whole, MOST_SCANS).is_some());
        let count = u8::try_from(places(&whole).len() - 1).unwrap();
        assert!(for_eighth(&whole, count).is_some());
        assert!(for_eighth(&whole, count - 1).is_none());
        for length in 0..whole.len() {
            assert!(
                for_eighth(&whole[..length], MOST_SCANS).is_none(),
                "{length}"
            );
        }
        let places = places(&whole);
        for pair in places.windows(2) {
            let (start, end) = (pair[0], pair[1]);
            let without = [&whole[..start], &whole[end..]].concat();
            assert!(
                for_eighth(&without, MOST_SCANS).is_none(),
                "without {start}"
            );
            let twice = [&whole[..end], &whole[start..]].concat();
            assert!(for_eighth(&twice, MOST_SCANS).is_none(), "twice {start}");
        }
        let scan = places[1];
        let frame = whole
            .windows(2)
            .position(|two| two == [0xff, PROGRESSIVE])
            .unwrap();
        for (name, at, bytes) in [
            ("a number of lines", scan, &[0xff, 0xdc, 0, 4, 0, 30][..]),
            ("another frame", scan, &[0xff, 0xc0, 0, 4, 0, 0]),
            ("another start", scan, &[0xff, START]),
            ("no marker", scan, &[0]),
            ("an odd byte in the data", scan, &[0xff, 0xff, 0]),
        ] {
            let mut file = whole.clone();
            file.splice(at..at, bytes.iter().copied());
            assert!(for_eighth(&file, MOST_SCANS).is_none(), "{name}");
        }
        // From the marker: length 2 bytes, scan header; precision, sides, count, components.
        for (name, at, value) in [
            ("a baseline frame", frame + 1, 0xc0),
            ("components that are missing", frame + 9, 4),
            ("no sampling", frame + 11, 0x02),
            ("two of one name", frame + 13, whole[frame + 10]),
            ("an unknown component", scan + 5, 99),
            ("the end before the start", scan + 8, 0),
            ("a coefficient outside", scan + 8, 64),
        ] {
            let mut file = whole.clone();
            assert_ne!(file[at], value, "{name}");
            file[at] = value;
            assert!(for_eighth(&file, MOST_SCANS).is_none(), "{name}");
        }
        let filled = [&whole[..scan], &[0xff, 0xff], &whole[scan..], b"more"].concat();
        assert!(for_eighth(&filled, MOST_SCANS).is_some());
    }
}
