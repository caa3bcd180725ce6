//! Which scans of a progressive file count when it is decoded to an eighth.
//!
//! The library makes one pixel of a block then, from its mean alone, where a component has the full resolution. The scans
//! that refine such components are most of the file, and most of the work.

use memchr::memchr;

use super::header::{PROGRESSIVE, SCAN, START, next_marker};

/// The file without the scans that do not count at an eighth. `None` where nothing can be left out, or not for certain:
/// damage, scans that end before the last bit, more than `most_scans`.
///
/// Of the data of scans it reads where they end, so other damage in what is left out is not seen.
pub(super) fn for_eighth(bytes: &[u8], most_scans: u8) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(&[0xff, START])?;
    let mut kept = vec![0xff, START];
    let mut components = Vec::new();
    let (mut scans, mut skipped) = (0, 0);
    loop {
        let (marker, behind) = next_marker(rest)?;
        if marker == END {
            break;
        }
        let length = usize::from(u16::from_be_bytes(*behind.first_chunk()?));
        let (body, mut behind) = (behind.get(2..length)?, behind.get(length..)?);
        let mut counts = true;
        match marker {
            SCAN => {
                behind = behind_data(behind)?;
                counts = scan(body, &mut components)?;
                scans += 1;
                skipped += usize::from(!counts);
            }
            PROGRESSIVE if components.is_empty() => components = frame(body)?,
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
    let is_whole = components.iter().all(Component::is_whole);
    (is_whole && skipped > 0 && scans <= usize::from(most_scans)).then_some(kept)
}

/// One colour of the picture.
#[derive(Debug)]
struct Component {
    id: u8,
    /// Whether more than the mean of a block counts.
    has_detail: bool,
    /// For each coefficient of a block the bits that are still missing; `None` before its first scan.
    missing: [Option<u8>; 64],
}

impl Component {
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

/// The components of a frame.
fn frame(body: &[u8]) -> Option<Vec<Component>> {
    let (&[_, _, _, _, _, count], described) = body.split_first_chunk()?;
    let (described, []) = described.as_chunks::<3>() else {
        return None;
    };
    (described.len() == usize::from(count)).then_some(())?;
    let sampling = |[_, factors, _]: &[u8; 3]| (factors >> 4, factors & 15);
    let most = |of: fn((u8, u8)) -> u8| described.iter().map(|c| of(sampling(c))).max();
    let (across, down) = (most(|(h, _)| h)?, most(|(_, v)| v)?);
    let mut components: Vec<Component> = Vec::new();
    for component in described {
        let &[id, ..] = component;
        let (h, v) = sampling(component);
        let is_odd = ![h, v].iter().all(|factor| (1..=4).contains(factor));
        if is_odd || components.iter().any(|other| other.id == id) {
            return None;
        }
        components.push(Component {
            id,
            // The library decodes to twice the size what would have to be enlarged in both directions.
            has_detail: across % (2 * h) == 0 && down % (2 * v) == 0,
            missing: [None; 64],
        });
    }
    Some(components)
}

/// Notes a scan; whether it counts.
fn scan(body: &[u8], components: &mut [Component]) -> Option<bool> {
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
        let component = components.iter_mut().find(|c| c.id == *id)?;
        // The mean of a block comes first.
        (is_means || component.missing.first()?.is_some()).then_some(())?;
        component.scanned(start.into()..=end.into(), from, to)?;
        counts |= component.has_detail;
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

const END: u8 = 0xd9;

#[cfg(test)]
mod tests {
    use super::super::{MOST_SCANS, Options, decode_all, encode_sampled, header};
    use super::*;
    use crate::codec::Raster;

    fn never() -> bool {
        false
    }

    /// A picture that has everything but even areas.
    fn noise(width: usize, height: usize, bands: usize) -> Raster {
        let mut state = 7_u32;
        let mut value = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let bytes = (0..width * height * bands).map(|_| value()).collect();
        Raster::new(width, height, bands, bytes).unwrap()
    }

    fn progressive(raster: &Raster, sampling: (u8, u8)) -> Vec<u8> {
        let options = Options {
            quality: 93,
            progressive: true,
            ..Options::default()
        };
        let bytes = encode_sampled(raster, &options, sampling, &never).unwrap();
        bytes.to_vec()
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
