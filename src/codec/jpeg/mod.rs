//! JPEG by the library that libvips is linked with, so that both make the same pixels and the same bytes.

#![expect(unsafe_code, reason = "calls the C layer beside this file")]

mod frame;
mod header;
mod huffman;
mod means;
#[cfg(test)]
mod samples;
mod scans;

use std::ffi::{c_int, c_uint, c_void};

use bytes::Bytes;

use super::{Raster, Stop, exif};

pub use header::{Header, parse as header};

/// Decodes a picture that is `1/shrink` of the stored one, sides rounded down. Any warning of the library counts as
/// damage.
///
/// `shrink` is 1, 2, 4 or 8; the result has as many bands as the header says.
pub fn decode(bytes: &[u8], header: &Header<'_>, shrink: u16, stop: Stop<'_>) -> Option<Raster> {
    let shorter = match shrink {
        8 if header.progressive => scans::for_eighth(bytes, MOST_SCANS),
        8 => means::for_eighth(bytes, stop),
        _ => None,
    };
    let smooth = shorter.is_none();
    decode_all(
        shorter.as_deref().unwrap_or(bytes),
        header,
        shrink,
        smooth,
        stop,
    )
}

fn decode_all(
    bytes: &[u8],
    header: &Header<'_>,
    shrink: u16,
    smooth: bool,
    stop: Stop<'_>,
) -> Option<Raster> {
    let side = |side: u16| side.checked_div(shrink).filter(|side| *side > 0);
    let (width, height) = (side(header.width)?, side(header.height)?);
    let bands = usize::from(header.components);
    let mut pixels = vec![0; usize::from(width) * usize::from(height) * bands];
    let job = Decode {
        bytes: bytes.as_ptr(),
        length: bytes.len(),
        shrink: shrink.into(),
        components: header.components.into(),
        width: width.into(),
        height: height.into(),
        pixels: pixels.as_mut_ptr(),
        most_scans: MOST_SCANS.into(),
        smooth: smooth.into(),
        stop: call_stop,
        data: (&raw const stop).cast_mut().cast(),
    };
    // SAFETY: all pointers of the job are valid during the call, `bytes` for `length` bytes, and `pixels` for as many as
    // rows of this width and number of components take, which the function checks against the file before it writes.
    let answer = unsafe { imgforge_jpeg_decode(&raw const job) };
    (answer == DONE).then_some(())?;
    Raster::new(width.into(), height.into(), bands, pixels)
}

/// How to encode.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// 1–100; below 90 chroma has half the resolution.
    pub quality: u8,
    /// Several scans instead of one.
    pub progressive: bool,
    /// ICC profile to embed.
    pub profile: Option<&'a [u8]>,
    /// XMP packet to embed.
    pub xmp: Option<&'a [u8]>,
    /// Photoshop block to embed.
    pub iptc: Option<&'a [u8]>,
}

/// Encodes one band as grey, three as RGB. `None` for other pictures, for sides above 65,500 pixels, and for metadata that
/// does not fit.
pub fn encode(raster: &Raster, options: &Options<'_>, stop: Stop<'_>) -> Option<Bytes> {
    let is_halved = raster.bands == 3 && options.quality < FULL_CHROMA;
    let side = if is_halved { 2 } else { 1 };
    let units = Units {
        across: side,
        down: side,
        restart_interval: 0,
    };
    encode_units(raster, options, units, stop)
}

/// How a file is divided.
#[derive(Clone, Copy, Debug)]
struct Units {
    /// Pixels that share a colour, side by side, 1–4.
    across: u8,
    /// The same, one upon the other.
    down: u8,
    /// Units from one restart marker to the next; 0 for none.
    restart_interval: u16,
}

fn encode_units(
    raster: &Raster,
    options: &Options<'_>,
    units: Units,
    stop: Stop<'_>,
) -> Option<Bytes> {
    let side = |side: usize| u16::try_from(side).ok().filter(|side| *side <= MOST_SIDE);
    let (width, height) = (side(raster.width)?, side(raster.height)?);
    matches!(raster.bands, 1 | 3).then_some(())?;
    let blocks = metadata(options, width, height)?;
    let mut segments = Vec::with_capacity(blocks.len());
    for (marker, block) in &blocks {
        segments.push(Segment {
            marker: *marker,
            bytes: block.as_ptr(),
            length: u16::try_from(block.len())
                .ok()
                .filter(|length| *length <= LONGEST_SEGMENT)?
                .into(),
        });
    }
    let job = Encode {
        pixels: raster.bytes.as_ptr(),
        width: width.into(),
        height: height.into(),
        components: c_int::try_from(raster.bands).ok()?,
        quality: options.quality.into(),
        progressive: options.progressive.into(),
        across: units.across.into(),
        down: units.down.into(),
        restart_interval: units.restart_interval.into(),
        segments: segments.as_ptr(),
        segment_count: segments.len(),
        stop: call_stop,
        data: (&raw const stop).cast_mut().cast(),
    };
    let (mut bytes, mut length) = (std::ptr::null_mut(), 0);
    // SAFETY: all pointers of the job are valid during the call: a raster has as many bytes as its size says, and
    // `segments` points into `blocks`. What comes back is ours.
    let answer = unsafe { imgforge_jpeg_encode(&raw const job, &raw mut bytes, &raw mut length) };
    (answer == DONE && !bytes.is_null()).then(|| Bytes::from_owner(Encoded { bytes, length }))
}

/// The segments to write, with their markers.
fn metadata(options: &Options<'_>, width: u16, height: u16) -> Option<Vec<(c_int, Vec<u8>)>> {
    let mut blocks = vec![(0xe1, exif::of_picture(width.into(), height.into()))];
    if let Some(xmp) = options.xmp {
        blocks.push((0xe1, [header::XMP, xmp].concat()));
    }
    if let Some(iptc) = options.iptc {
        blocks.push((0xed, iptc.to_vec()));
    }
    let parts = options.profile.unwrap_or_default().chunks(PROFILE_PART);
    let count = u8::try_from(parts.len()).ok()?;
    for (part, number) in parts.zip(1_u8..) {
        blocks.push((0xe2, [header::PROFILE, &[number, count], part].concat()));
    }
    Some(blocks)
}

/// What libvips allows, against files that are all scans.
const MOST_SCANS: u8 = 100;
/// The library's own limit.
const MOST_SIDE: u16 = 65_500;
/// From this quality on, libvips keeps the full resolution of chroma.
const FULL_CHROMA: u8 = 90;
/// Two bytes of 65,535 are the length itself.
const LONGEST_SEGMENT: u16 = 65_533;
/// Bytes of a profile that fit into a segment behind its name, its number and the number of all.
const PROFILE_PART: usize = 65_519;

/// The answer of the C layer where all went well.
const DONE: c_int = 0;

type StopCall = unsafe extern "C" fn(*mut c_void) -> c_int;

#[repr(C)]
struct Decode {
    bytes: *const u8,
    length: usize,
    shrink: c_int,
    components: c_int,
    width: c_uint,
    height: c_uint,
    pixels: *mut u8,
    most_scans: c_int,
    smooth: c_int,
    stop: StopCall,
    data: *mut c_void,
}

#[repr(C)]
struct Segment {
    marker: c_int,
    bytes: *const u8,
    length: c_uint,
}

#[repr(C)]
struct Encode {
    pixels: *const u8,
    width: c_uint,
    height: c_uint,
    components: c_int,
    quality: c_int,
    progressive: c_int,
    across: c_int,
    down: c_int,
    restart_interval: c_uint,
    segments: *const Segment,
    segment_count: usize,
    stop: StopCall,
    data: *mut c_void,
}

unsafe extern "C" {
    fn imgforge_jpeg_decode(job: *const Decode) -> c_int;
    fn imgforge_jpeg_encode(job: *const Encode, bytes: *mut *mut u8, length: *mut usize) -> c_int;
}

/// Called by the library during the work.
unsafe extern "C" fn call_stop(data: *mut c_void) -> c_int {
    // SAFETY: `decode` and `encode` pass a pointer to the `Stop` that they hold during the call.
    let stop = unsafe { &*data.cast::<Stop<'_>>() };
    stop().into()
}

/// Memory of the C library with an encoded picture.
struct Encoded {
    bytes: *mut u8,
    length: usize,
}

// SAFETY: nobody else knows the memory, and it may be freed on any thread.
unsafe impl Send for Encoded {}

impl AsRef<[u8]> for Encoded {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the C layer wrote `length` bytes there, and nothing changes them.
        unsafe { std::slice::from_raw_parts(self.bytes, self.length) }
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        // SAFETY: the memory came from malloc, and this is the only place that frees it.
        unsafe { libc::free(self.bytes.cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> bool {
        false
    }

    fn picture(width: usize, height: usize, bands: usize) -> Raster {
        let value = |i: usize| u8::try_from(i / bands % width * 255 / width).unwrap();
        let bytes = (0..width * height * bands).map(value).collect();
        Raster::new(width, height, bands, bytes).unwrap()
    }

    fn encoded(raster: &Raster, options: &Options<'_>) -> Bytes {
        encode(raster, options, &never).unwrap()
    }

    #[test]
    fn there_and_back() {
        for (bands, quality, progressive) in [(1, 95, false), (3, 95, true), (3, 60, false)] {
            let raster = picture(67, 35, bands);
            let options = Options {
                quality,
                progressive,
                ..Options::default()
            };
            let bytes = encoded(&raster, &options);
            let header = header(&bytes).unwrap();
            assert_eq!((header.width, header.height), (67, 35));
            assert_eq!(exif::parse(header.exif.unwrap()).unwrap().orientation, 1);
            assert_eq!(header.progressive, progressive);
            let back = decode(&bytes, &header, 1, &never).unwrap();
            let difference = |(a, b): (&u8, &u8)| a.abs_diff(*b);
            let worst = raster
                .bytes()
                .iter()
                .zip(back.bytes())
                .map(difference)
                .max();
            assert!(worst < Some(12), "{bands} {quality}: {worst:?}");
            for shrink in [2, 4, 8] {
                let small = decode(&bytes, &header, shrink, &never).unwrap();
                let side = |side: usize| side / usize::from(shrink);
                assert_eq!((small.width(), small.height()), (side(67), side(35)));
            }
        }
    }

    #[test]
    fn metadata_is_written_and_read() {
        let profile: Vec<u8> = (0..200_000).map(|i: u32| i.to_le_bytes()[1]).collect();
        let options = Options {
            quality: 80,
            profile: Some(&profile),
            xmp: Some(b"<x/>"),
            iptc: Some(b"Photoshop 3.0\0 and more"),
            ..Options::default()
        };
        let bytes = encoded(&picture(8, 8, 3), &options);
        let header = header(&bytes).unwrap();
        assert_eq!(header.profile.as_ref(), Some(&profile));
        assert_eq!(header.xmp, options.xmp);
        assert_eq!(header.iptc, options.iptc);
        let long = vec![0; 70_000];
        let options = Options {
            quality: 80,
            xmp: Some(&long),
            ..Options::default()
        };
        assert!(encode(&picture(8, 8, 3), &options, &never).is_none());
    }

    #[test]
    fn damaged_files_are_left_to_others() {
        let options = Options {
            quality: 80,
            ..Options::default()
        };
        let bytes = encoded(&picture(400, 300, 3), &options);
        let header = header(&bytes).unwrap();
        assert!(decode(&bytes, &header, 1, &never).is_some());
        for length in [bytes.len() / 2, bytes.len() * 9 / 10] {
            assert!(decode(&bytes[..length], &header, 1, &never).is_none());
        }
        let larger = Header {
            height: 301,
            ..header.clone()
        };
        assert!(decode(&bytes, &larger, 1, &never).is_none());
        let grey = Header {
            components: 1,
            ..header
        };
        assert!(decode(&bytes, &grey, 1, &never).is_none());
    }

    #[test]
    fn work_that_is_no_longer_wanted_ends() {
        let raster = picture(64, 64, 3);
        let options = Options {
            quality: 80,
            ..Options::default()
        };
        let bytes = encoded(&raster, &options);
        let header = header(&bytes).unwrap();
        assert!(encode(&raster, &options, &|| true).is_none());
        assert!(decode(&bytes, &header, 1, &|| true).is_none());
    }

    #[test]
    fn other_pictures_are_refused() {
        let options = Options {
            quality: 80,
            ..Options::default()
        };
        assert!(encode(&picture(8, 8, 4), &options, &never).is_none());
        assert!(encode(&picture(65_501, 1, 1), &options, &never).is_none());
    }
}
