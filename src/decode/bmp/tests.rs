//! Bitmaps made here, one for each rule, and random ones. `PROPTEST_CASES` sets how many of those, 256 by default.

use proptest::prelude::*;

use super::*;

/// A bitmap as a file or, without the file header, as in an icon.
#[derive(Clone, Debug)]
struct Bitmap {
    version: u32,
    width: i32,
    height: i32,
    planes: u16,
    bits: u16,
    compression: u32,
    used: u32,
    /// Red, green, blue, alpha: within newer headers, behind the old one where there are any.
    masks: Vec<u32>,
    palette: Vec<[u8; 4]>,
    data: Vec<u8>,
}

impl Bitmap {
    fn new(width: i32, height: i32, bits: u16, data: &[u8]) -> Self {
        Self {
            version: 40,
            width,
            height,
            planes: 1,
            bits,
            compression: 0,
            used: 0,
            masks: Vec::new(),
            palette: Vec::new(),
            data: data.to_vec(),
        }
    }

    /// With a palette of the first colours of [`COLOURS`].
    fn indexed(width: i32, height: i32, bits: u16, used: usize, data: &[u8]) -> Self {
        Self {
            used: u32::try_from(used).unwrap(),
            palette: COLOURS[..used].to_vec(),
            ..Self::new(width, height, bits, data)
        }
    }

    fn masked(self, version: u32, compression: u32, masks: &[u32]) -> Self {
        Self {
            version,
            compression,
            masks: masks.to_vec(),
            ..self
        }
    }

    fn compressed(self, compression: u32) -> Self {
        Self {
            compression,
            ..self
        }
    }

    fn in_icon(&self) -> Vec<u8> {
        let mut bytes = self.headers();
        bytes.extend(&self.data);
        bytes
    }

    fn headers(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.width.to_le_bytes());
        bytes.extend(self.height.to_le_bytes());
        bytes.extend(self.planes.to_le_bytes());
        bytes.extend(self.bits.to_le_bytes());
        bytes.extend(self.compression.to_le_bytes());
        bytes.extend([0; 12]);
        bytes.extend(self.used.to_le_bytes());
        bytes.extend([0; 4]);
        for mask in &self.masks {
            bytes.extend(mask.to_le_bytes());
        }
        if self.version > 40 {
            bytes.resize(self.version as usize, 0);
        }
        bytes.extend(self.palette.concat());
        bytes
    }

    fn file(&self) -> Vec<u8> {
        let headers = self.headers();
        let mut file = b"BM".to_vec();
        file.extend([0; 8]);
        file.extend((14 + u32::try_from(headers.len()).unwrap()).to_le_bytes());
        file.extend(headers);
        file.extend(&self.data);
        file
    }

    fn decoded(&self) -> Result<Raster, BmpError> {
        Header::of_file(&self.file())?.decode()
    }
}

/// Blue, green, red and a byte that says nothing.
const COLOURS: [[u8; 4]; 4] = [[3, 2, 1, 9], [6, 5, 4, 9], [9, 8, 7, 9], [12, 11, 10, 9]];
/// The same as they are decoded, and black for an index without a colour.
const A: [u8; 3] = [1, 2, 3];
const B: [u8; 3] = [4, 5, 6];
const C: [u8; 3] = [7, 8, 9];
const D: [u8; 3] = [10, 11, 12];
const NONE: [u8; 3] = [0; 3];

const RGB: [u32; 4] = [0xff_0000, 0xff00, 0xff, 0];
const RGBA: [u32; 4] = [0xff_0000, 0xff00, 0xff, 0xff00_0000];
const R565: [u32; 3] = [0xf800, 0x07e0, 0x001f];
const R555: [u32; 3] = [0x7c00, 0x03e0, 0x001f];

#[test]
fn layouts() {
    let px32 = [3, 2, 1, 128];
    let word = |n: u16| [n.to_le_bytes(), [0; 2]].concat();
    let deep = |bits, data: &[u8]| Bitmap::new(1, 1, bits, data);
    for (name, bitmap, expected) in [
        ("24", deep(24, &[3, 2, 1, 0]), &[1, 2, 3][..]),
        ("32, old header: alpha", deep(32, &px32), &[1, 2, 3, 128]),
        (
            "32, V4, no alpha mask",
            deep(32, &px32).masked(108, 0, &RGB),
            &[1, 2, 3],
        ),
        (
            "32, V5, alpha mask",
            deep(32, &px32).masked(124, 0, &RGBA),
            &[1, 2, 3, 128],
        ),
        (
            "32, V5, fields",
            deep(32, &px32).masked(124, 3, &RGBA),
            &[1, 2, 3, 128],
        ),
        (
            "32, V4, fields, opaque",
            deep(32, &px32).masked(108, 3, &RGB),
            &[1, 2, 3],
        ),
        (
            "32, old, four masks",
            deep(32, &px32).masked(40, 3, &RGBA),
            &[1, 2, 3, 128],
        ),
        (
            "32, old, alpha fields",
            deep(32, &px32).masked(40, 6, &RGBA),
            &[1, 2, 3, 128],
        ),
        (
            "32, old, three masks",
            deep(32, &px32).masked(40, 3, &RGB[..3]),
            &[1, 2, 3],
        ),
        (
            "565: no high bits repeated",
            deep(16, &word(0xffff)).masked(40, 3, &R565),
            &[248, 252, 248],
        ),
        (
            "565, V5",
            deep(16, &word(0x0821)).masked(124, 3, &R565),
            &[8, 4, 8],
        ),
        (
            "555 by masks: full range",
            deep(16, &word(0xffff)).masked(40, 3, &R555),
            &[255, 255, 255],
        ),
        (
            "555, red",
            deep(16, &word(0x4000)).masked(40, 3, &R555),
            &[132, 0, 0],
        ),
        (
            "16 without masks is 555",
            deep(16, &word(0x03e0)),
            &[0, 255, 0],
        ),
        ("8", Bitmap::indexed(1, 1, 8, 3, &[2, 0, 0, 0]), &C),
        (
            "index without a colour",
            Bitmap::indexed(1, 1, 8, 3, &[200, 0, 0, 0]),
            &NONE,
        ),
        (
            "4",
            Bitmap::indexed(3, 1, 4, 4, &[0x31, 0x20, 0, 0]),
            &[D, B, C].concat(),
        ),
        (
            "2",
            Bitmap::indexed(5, 1, 2, 4, &[0b11_10_01_00, 0b10_00_00_00, 0, 0]),
            &[D, C, B, A, C].concat(),
        ),
        (
            "1",
            Bitmap::indexed(9, 1, 1, 2, &[0b0110_0001, 0x80, 0, 0]),
            &[A, B, B, A, A, A, A, B, B].concat(),
        ),
    ] {
        let raster = bitmap
            .decoded()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(raster.pixels, expected, "{name}");
        let size = (raster.width, raster.height, usize::from(raster.bands));
        assert_eq!(
            size.0 as usize * size.1 as usize * size.2,
            expected.len(),
            "{name}"
        );
    }
}

#[test]
fn rows_are_turned_and_their_padding_is_dropped() {
    let data = [3, 2, 1, 0, 6, 5, 4, 0];
    for (name, height, expected) in [
        ("bottom-up", 2, [B, A].concat()),
        ("top-down", -2, [A, B].concat()),
    ] {
        let bitmap = Bitmap::new(1, height, 24, &data);
        assert_eq!(bitmap.decoded().unwrap().pixels, expected, "{name}");
        // The last row may lack its padding, but nothing else.
        let short = Bitmap::new(1, height, 24, &data[..7]);
        assert_eq!(short.decoded().unwrap().pixels, expected, "{name}");
        let broken = Bitmap::new(1, height, 24, &data[..6]);
        assert_eq!(broken.decoded(), Err(BmpError::Truncated), "{name}");
    }
}

#[test]
fn runs() {
    const EIGHT: (u16, u32) = (8, 1);
    const FOUR: (u16, u32) = (4, 2);
    for (name, (bits, compression), (width, height), data, expected) in [
        (
            "runs and ends",
            EIGHT,
            (3, 2),
            &[3, 1, 0, 0, 2, 2, 0, 1][..],
            vec![C, C, NONE, B, B, B],
        ),
        (
            "no mark behind a full picture",
            EIGHT,
            (1, 2),
            &[1, 1, 0, 0, 1, 2],
            vec![C, B],
        ),
        (
            "literals are padded",
            EIGHT,
            (4, 1),
            &[0, 3, 1, 2, 3, 77, 1, 1, 0, 1],
            vec![B, C, D, B],
        ),
        (
            "even literals are not",
            EIGHT,
            (5, 1),
            &[0, 4, 1, 2, 3, 1, 1, 1, 0, 1],
            vec![B, C, D, B, B],
        ),
        (
            "cut off at the end of a row",
            EIGHT,
            (2, 2),
            &[255, 1, 0, 5, 2, 2, 2, 2, 2, 0, 0, 0, 2, 3, 0, 1],
            vec![D, D, B, B],
        ),
        (
            "moves",
            EIGHT,
            (3, 2),
            &[1, 1, 0, 2, 1, 1, 1, 2, 0, 1],
            vec![NONE, NONE, C, B, NONE, NONE],
        ),
        (
            "a move to the right of the picture",
            EIGHT,
            (2, 1),
            &[0, 2, 255, 0, 9, 1, 0, 1],
            vec![NONE, NONE],
        ),
        (
            "a move below ends it",
            EIGHT,
            (1, 2),
            &[1, 1, 0, 2, 0, 255, 1, 1],
            vec![NONE, B],
        ),
        ("ends at once", EIGHT, (1, 1), &[0, 1], vec![NONE]),
        (
            "runs of nibbles",
            FOUR,
            (5, 1),
            &[5, 0x12, 0, 1],
            vec![B, C, B, C, B],
        ),
        (
            "literal nibbles",
            FOUR,
            (5, 1),
            &[0, 5, 0x12, 0x31, 0x20, 0, 0, 1],
            vec![B, C, D, B, C],
        ),
        (
            "literal nibbles without padding",
            FOUR,
            (4, 1),
            &[0, 4, 0x12, 0x31, 0, 1],
            vec![B, C, D, B],
        ),
    ] {
        let bitmap = Bitmap::indexed(width, height, bits, 4, data).compressed(compression);
        assert_eq!(
            bitmap.decoded().unwrap().pixels,
            expected.concat(),
            "{name}"
        );
    }
    let top_down = Bitmap::indexed(1, -2, 8, 4, &[1, 1, 0, 0, 1, 2, 0, 1]).compressed(1);
    assert_eq!(top_down.decoded().unwrap().pixels, [B, C].concat());
    for (name, data) in [
        ("nothing", &[][..]),
        ("half a command", &[1]),
        ("no end", &[1, 1]),
        ("half a move", &[0, 2, 1]),
        ("too few literals", &[0, 3, 1, 2]),
    ] {
        let bitmap = Bitmap::indexed(3, 2, 8, 4, data).compressed(1);
        assert_eq!(bitmap.decoded(), Err(BmpError::Truncated), "{name}");
    }
}

#[test]
fn headers_that_are_refused() {
    let plain = || Bitmap::new(1, 1, 24, &[0; 4]);
    let layout = |planes, bits, compression| BmpError::Layout {
        planes,
        bits,
        compression,
    };
    for (name, bitmap, expected) in [
        (
            "OS/2",
            plain().masked(12, 0, &[]),
            BmpError::HeaderVersion(12),
        ),
        (
            "V2",
            plain().masked(52, 0, &R555),
            BmpError::HeaderVersion(52),
        ),
        (
            "no width",
            Bitmap::new(0, 1, 24, &[0; 4]),
            BmpError::Sides(0, 1),
        ),
        (
            "negative width",
            Bitmap::new(-1, 1, 24, &[0; 4]),
            BmpError::Sides(-1, 1),
        ),
        (
            "no height",
            Bitmap::new(1, 0, 24, &[0; 4]),
            BmpError::Sides(1, 0),
        ),
        (
            "no planes",
            Bitmap {
                planes: 0,
                ..plain()
            },
            layout(0, 24, 0),
        ),
        ("0 bits", Bitmap::new(1, 1, 0, &[0; 4]), layout(1, 0, 0)),
        ("3 bits", Bitmap::new(1, 1, 3, &[0; 4]), layout(1, 3, 0)),
        (
            "255 bits",
            Bitmap::new(1, 1, 255, &[0; 4]),
            layout(1, 255, 0),
        ),
        (
            "8-bit runs of 4 bits",
            Bitmap::indexed(1, 1, 4, 4, &[0, 1]).compressed(1),
            layout(1, 4, 1),
        ),
        (
            "4-bit runs of 8 bits",
            Bitmap::indexed(1, 1, 8, 4, &[0, 1]).compressed(2),
            layout(1, 8, 2),
        ),
        ("JPEG inside", plain().compressed(4), layout(1, 24, 4)),
        (
            "masks of 24 bits",
            plain().masked(124, 3, &RGB),
            BmpError::Masks(0xff_0000, 0xff00, 0xff, 0),
        ),
        (
            "another order",
            Bitmap::new(1, 1, 32, &[0; 4]).masked(124, 3, &[0xff, 0xff00, 0xff_0000, 0]),
            BmpError::Masks(0xff, 0xff00, 0xff_0000, 0),
        ),
        (
            "a palette too large",
            Bitmap {
                used: 3,
                ..Bitmap::indexed(1, 1, 1, 2, &[0; 4])
            },
            BmpError::Palette(3),
        ),
        (
            "a palette past the end",
            Bitmap {
                used: 200,
                ..Bitmap::indexed(1, 1, 8, 2, &[0; 4])
            },
            BmpError::Truncated,
        ),
        (
            "sides of 2 GiB",
            Bitmap::new(i32::MAX, i32::MIN, 24, &[0; 4]),
            BmpError::TooLarge,
        ),
    ] {
        assert_eq!(bitmap.decoded(), Err(expected), "{name}");
    }
    let file = plain().file();
    for length in 0..file.len() - 1 {
        let decoded = Header::of_file(&file[..length]).and_then(|header| header.decode());
        assert_eq!(decoded, Err(BmpError::Truncated), "{length}");
    }
    for (offset, expected) in [
        (0, BmpError::Offset),
        (53, BmpError::Offset),
        (59, BmpError::Truncated),
        (u32::MAX, BmpError::Truncated),
    ] {
        let mut file = file.clone();
        file[10..14].copy_from_slice(&offset.to_le_bytes());
        assert_eq!(Header::of_file(&file).unwrap_err(), expected, "{offset}");
    }
}

#[test]
fn the_size_is_known_without_any_pixel() {
    let huge = Bitmap::new(i32::MAX, i32::MIN, 32, &[]).file();
    let size = Header::of_file(&huge).unwrap().size();
    assert_eq!(size, Size::new(0x7fff_ffff, 0x8000_0000));
}

#[test]
fn palette_depths() {
    for (used, expected) in [
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 2),
        (5, 4),
        (16, 4),
        (17, 8),
        (0, 8),
    ] {
        let entries = if used == 0 { 256 } else { used };
        let bitmap = Bitmap {
            used: u32::try_from(used).unwrap(),
            palette: vec![[0; 4]; entries],
            ..Bitmap::new(1, 1, 8, &[0; 4])
        };
        let file = bitmap.file();
        let header = Header::of_file(&file).unwrap();
        assert_eq!(header.palette_depth(), Some(expected), "{used}");
    }
    let file = Bitmap::new(1, 1, 24, &[0; 4]).file();
    assert_eq!(Header::of_file(&file).unwrap().palette_depth(), None);
}

#[test]
fn in_an_icon_the_mask_below_is_dropped() {
    let mask = [0xff; 4];
    for (name, bitmap, expected) in [
        (
            "true colour",
            Bitmap::new(1, 2, 24, &[3, 2, 1, 0]),
            A.to_vec(),
        ),
        (
            "alpha",
            Bitmap::new(1, 2, 32, &[3, 2, 1, 4]),
            vec![1, 2, 3, 4],
        ),
        (
            "a palette",
            Bitmap::indexed(1, 2, 4, 4, &[0x10, 0, 0, 0]),
            B.to_vec(),
        ),
        (
            "a whole palette",
            Bitmap {
                palette: vec![COLOURS[2]; 16],
                ..Bitmap::new(1, 2, 4, &[0; 4])
            },
            C.to_vec(),
        ),
        (
            "colours that are only suggested",
            Bitmap::indexed(1, 2, 24, 3, &[3, 2, 1, 0]),
            A.to_vec(),
        ),
        (
            "masks",
            Bitmap::new(1, 2, 32, &[3, 2, 1, 4]).masked(40, 3, &RGBA),
            vec![1, 2, 3, 4],
        ),
    ] {
        let mut bytes = bitmap.in_icon();
        bytes.extend(mask);
        let header = Header::of_icon(&bytes).unwrap();
        assert_eq!(header.size(), Size::new(1, 1), "{name}");
        assert_eq!(header.decode().unwrap().pixels, expected, "{name}");
    }
    let flat = Bitmap::new(5, 1, 24, &[0; 16]).in_icon();
    assert_eq!(Header::of_icon(&flat).unwrap_err(), BmpError::Sides(5, 1));
    let long = Bitmap {
        used: u32::MAX,
        ..Bitmap::new(1, 2, 24, &[0; 4])
    }
    .in_icon();
    assert_eq!(Header::of_icon(&long).unwrap_err(), BmpError::Truncated);
}

/// Any mixture of values that make sense on their own.
fn any_bitmap() -> impl Strategy<Value = Bitmap> {
    let fields = (
        prop::sample::select(vec![40, 40, 40, 108, 124]),
        (1..40_i32, -40..40_i32),
        prop::sample::select(vec![1_u16, 2, 4, 8, 16, 24, 32]),
        prop::sample::select(vec![0_u32, 0, 1, 2, 3, 6]),
        0..20_u32,
        prop::sample::select(vec![&[][..], &R555, &R565, &RGB, &RGBA]),
    );
    let bytes = (
        prop::collection::vec(any::<[u8; 4]>(), 0..20),
        prop::collection::vec(any::<u8>(), 0..300),
    );
    (fields, bytes).prop_map(|(fields, (palette, data))| {
        let (version, (width, height), bits, compression, used, masks) = fields;
        // Compressions go with one depth only: without this most of them would be refused.
        let bits = match compression {
            1 => 8,
            2 => 4,
            3 | 6 if bits < 16 => 32,
            _ => bits,
        };
        Bitmap {
            version,
            width,
            height,
            bits,
            compression,
            used,
            palette,
            ..Bitmap::new(1, 1, 1, &data)
        }
        .masked(version, compression, masks)
    })
}

/// Decodes what is small enough for a test, and checks what every picture has to be.
fn check(header: Result<Header<'_>, BmpError>) -> Result<(), TestCaseError> {
    let Ok(header) = header else { return Ok(()) };
    let size = header.size();
    prop_assert!(size.width > 0 && size.height > 0);
    if size.pixels() > 1 << 18 {
        return Ok(());
    }
    if let Ok(raster) = header.decode() {
        prop_assert!(raster.bands == 3 || raster.bands == 4);
        let pixels = usize::try_from(size.pixels()).unwrap();
        prop_assert_eq!(raster.pixels.len(), pixels * usize::from(raster.bands));
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(Header::of_file(&bytes))?;
        check(Header::of_icon(&bytes))?;
    }

    #[test]
    fn any_header_is_decoded_or_refused(bitmap in any_bitmap()) {
        check(Header::of_file(&bitmap.file()))?;
        check(Header::of_icon(&bitmap.in_icon()))?;
    }

    #[test]
    fn damaged_files_are_decoded_or_refused(
        bitmap in any_bitmap(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        kept in any::<prop::sample::Index>(),
    ) {
        let mut file = bitmap.file();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        check(Header::of_file(&file))?;
        check(Header::of_file(&file[..kept.index(file.len())]))?;
    }
}
