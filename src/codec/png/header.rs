//! What stands in front of the pixels of a PNG.

use std::io::Read;

use flate2::Crc;
use flate2::read::ZlibDecoder;

/// What a file says before its pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Horizontal pixels, at least 1.
    pub width: u32,
    /// Vertical pixels, at least 1.
    pub height: u32,
    /// Bands without alpha: 1 or 3. A palette counts as its colours.
    pub colours: u8,
    /// Whether there is alpha, as a channel, a colour or in the palette.
    pub alpha: bool,
    /// Bits of an index where there is a palette.
    pub palette_depth: Option<u8>,
    /// Whether rows come in seven passes.
    pub interlaced: bool,
    /// The EXIF block, without a name.
    pub exif: Option<&'a [u8]>,
    /// The XMP packet.
    pub xmp: Option<&'a [u8]>,
    /// The ICC profile.
    pub profile: Option<Vec<u8>>,
}

/// Reads everything up to the pixels. `None` for what readers could take in different ways, and for animations and 16 bits
/// per channel.
pub fn parse(file: &[u8]) -> Option<Header<'_>> {
    let mut rest = file.strip_prefix(SIGNATURE)?;
    let (kind, body) = next(&mut rest)?;
    let mut header = start(kind, body)?;
    let indexed = header.palette_depth.is_some();
    let (mut colours, mut profile, mut described) = (None, None, false);
    for _ in 0..MOST_CHUNKS {
        let (kind, body) = next(&mut rest)?;
        match kind {
            b"IDAT" => {
                let whole = !indexed || colours.is_some();
                let clear = profile.is_none() || !described;
                return (whole && clear).then_some(Header { profile, ..header });
            }
            b"PLTE" if colours.is_none() && header.colours == 3 => {
                colours = Some(palette(body, header.palette_depth)?);
            }
            b"tRNS" if !header.alpha => {
                let right = match (indexed, header.colours) {
                    (true, _) => (1..=colours?).contains(&body.len()),
                    (false, 1) => body.len() == 2,
                    (false, _) => body.len() == 6,
                };
                right.then_some(())?;
                header.alpha = true;
            }
            b"iCCP" if profile.is_none() => profile = Some(inflated(body)?),
            b"eXIf" if header.exif.is_none() => header.exif = Some(body),
            b"iTXt" | b"tEXt" | b"zTXt" => {
                if let Some(text) = body.strip_prefix(XMP) {
                    let first = kind == b"iTXt" && header.xmp.is_none();
                    header.xmp = Some(first.then(|| plain_text(text)).flatten()?);
                }
            }
            // They speak of the same colours as a profile, and which counts hangs on details.
            b"sRGB" | b"gAMA" | b"cHRM" => described = true,
            b"acTL" | b"fcTL" | b"fdAT" => return None,
            [first, ..] if first.is_ascii_lowercase() && !SINGULAR.contains(&kind) => {}
            _ => return None,
        }
    }
    None
}

/// A chunk whose checksum is right.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8; 4], &'a [u8])> {
    let (length, behind) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let kind = behind.first_chunk()?;
    // Checking the pixels is up to whoever decodes them.
    if kind == b"IDAT" {
        return Some((kind, &[]));
    }
    let (checked, behind) = behind.split_at_checked(length.checked_add(4)?)?;
    let (sum, behind) = behind.split_first_chunk()?;
    let mut crc = Crc::new();
    crc.update(checked);
    (crc.sum() == u32::from_be_bytes(*sum)).then_some(())?;
    *rest = behind;
    Some((kind, checked.get(4..)?))
}

fn start(kind: &[u8; 4], body: &[u8]) -> Option<Header<'static>> {
    let &[a, b, c, d, e, f, g, h, depth, colour, 0, 0, interlaced] = body else {
        return None;
    };
    let (width, height) = (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    );
    let sides = 1..=LONGEST_SIDE;
    let sound = kind == b"IHDR" && sides.contains(&width) && sides.contains(&height);
    let (colours, alpha, shallow) = match colour {
        0 => (1, false, true),
        2 => (3, false, false),
        3 => (3, false, true),
        4 => (1, true, false),
        6 => (3, true, false),
        _ => return None,
    };
    let right_depth = depth == 8 || (shallow && matches!(depth, 1 | 2 | 4));
    (sound && right_depth && interlaced <= 1).then_some(Header {
        width,
        height,
        colours,
        alpha,
        palette_depth: (colour == 3).then_some(depth),
        interlaced: interlaced == 1,
        exif: None,
        xmp: None,
        profile: None,
    })
}

/// The colours of a palette; for one that only suggests them, no more than that it is one.
fn palette(body: &[u8], depth: Option<u8>) -> Option<usize> {
    let count = body.len() / 3;
    let most = 1 << depth.unwrap_or(8);
    (body.len().is_multiple_of(3) && (1..=most).contains(&count)).then_some(count)
}

/// The profile of an `iCCP` chunk.
fn inflated(body: &[u8]) -> Option<Vec<u8>> {
    let name = body.iter().position(|byte| *byte == 0)?;
    let (&0, data) = body.get(name + 1..)?.split_first()? else {
        return None;
    };
    (1..=LONGEST_NAME).contains(&name).then_some(())?;
    let mut profile = Vec::new();
    let mut reader = ZlibDecoder::new(data).take(LARGEST_PROFILE);
    reader.read_to_end(&mut profile).ok()?;
    (reader.limit() > 0).then_some(profile)
}

/// The text of an `iTXt` chunk behind its keyword, where it is not compressed.
fn plain_text(body: &[u8]) -> Option<&[u8]> {
    let body = body.strip_prefix(&[0, 0])?;
    let mut parts = body.splitn(3, |byte| *byte == 0);
    let (_language, _keyword, text) = (parts.next()?, parts.next()?, parts.next()?);
    (!text.is_empty() && !text.contains(&0)).then_some(text)
}

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The keyword of an XMP packet, with its end.
const XMP: &[u8] = b"XML:com.adobe.xmp\0";
/// Chunks that count once and have been taken already.
const SINGULAR: &[&[u8; 4]] = &[b"tRNS", b"iCCP", b"eXIf"];
/// libvips reads no more than about so many.
const MOST_CHUNKS: usize = 90;
/// What libvips allows.
const LONGEST_SIDE: u32 = 10_000_000;
/// Of a profile.
const LONGEST_NAME: usize = 79;
const LARGEST_PROFILE: u64 = 4 << 20;
