//! The alpha band of rasters with 2 or 4 bands: leaving it out where it says nothing, and putting a colour behind it.

use super::Raster;

/// The raster without its alpha band where that is opaque everywhere, and whether it was.
pub fn without_opaque(mut raster: Raster) -> (Raster, bool) {
    let dropped = match raster.bands {
        2 => opaque::<2>(&raster.bytes) && drop_last::<2, 1>(&mut raster.bytes).is_some(),
        4 => opaque::<4>(&raster.bytes) && drop_last::<4, 3>(&mut raster.bytes).is_some(),
        _ => false,
    };
    raster.bands -= usize::from(dropped);
    (raster, dropped)
}

/// The raster with an opaque alpha band behind its 1 or 3 bands.
pub fn with_opaque(raster: &Raster) -> Raster {
    let bands = raster.bands;
    let mut bytes = Vec::with_capacity(raster.bytes.len() / bands * (bands + 1));
    for pixel in raster.bytes.chunks_exact(bands) {
        bytes.extend_from_slice(pixel);
        bytes.push(u8::MAX);
    }
    Raster {
        bands: bands + 1,
        bytes,
        ..*raster
    }
}

/// The raster before a background, without its alpha band; rounded down, as libvips does. `background` has as many bands
/// as the raster, less one.
pub fn flatten(raster: &Raster, background: &[u8]) -> Option<Raster> {
    let bands = raster.bands.checked_sub(1)?;
    (bands > 0 && background.len() == bands).then_some(())?;
    let mut bytes = Vec::with_capacity(raster.bytes.len() / raster.bands * bands);
    for pixel in raster.bytes.chunks_exact(raster.bands) {
        let (alpha, colours) = pixel.split_last()?;
        let (alpha, behind) = (u16::from(*alpha), u16::from(u8::MAX - alpha));
        for (colour, background) in colours.iter().zip(background) {
            let sum = u16::from(*colour) * alpha + u16::from(*background) * behind;
            bytes.push(u8::try_from(sum / u16::from(u8::MAX)).unwrap_or(u8::MAX));
        }
    }
    Some(Raster {
        bands,
        bytes,
        ..*raster
    })
}

fn opaque<const BANDS: usize>(bytes: &[u8]) -> bool {
    let (pixels, _) = bytes.as_chunks::<BANDS>();
    // In blocks: all of one can be compared at once.
    pixels.chunks(BLOCK).all(|block| {
        block
            .iter()
            .fold(u8::MAX, |all, pixel| all & pixel.last().unwrap_or(&0))
            == u8::MAX
    })
}

/// Moves what is kept together where it is: a second raster would be held beside the first.
fn drop_last<const BANDS: usize, const KEPT: usize>(bytes: &mut Vec<u8>) -> Option<()> {
    let (mut from, mut to) = (0, 0);
    let mut block = Vec::with_capacity(BLOCK * KEPT);
    while from < bytes.len() {
        let end = bytes.len().min(from + BLOCK * BANDS);
        let (pixels, _) = bytes.get(from..end)?.as_chunks::<BANDS>();
        block.clear();
        for pixel in pixels {
            block.extend_from_slice(pixel.first_chunk::<KEPT>()?);
        }
        bytes.get_mut(to..to + block.len())?.copy_from_slice(&block);
        (from, to) = (end, to + block.len());
    }
    bytes.truncate(to);
    Some(())
}

/// Pixels that are worked on at once.
const BLOCK: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_alpha_goes_and_comes_back() {
        for bands in [2, 4] {
            let value = |i: usize| {
                if i % bands == bands - 1 {
                    255
                } else {
                    u8::try_from(i % 251).unwrap()
                }
            };
            let bytes = (0..3000 * bands).map(value).collect();
            let raster = Raster::new(3, 1000, bands, bytes).unwrap();
            let (dropped, opaque) = without_opaque(raster.clone());
            assert!(opaque && dropped.bands() == bands - 1);
            assert_eq!(with_opaque(&dropped), raster);
            let mut bytes = raster.into_bytes();
            bytes[3000 * bands - 1] = 254;
            let raster = Raster::new(3, 1000, bands, bytes).unwrap();
            assert_eq!(without_opaque(raster.clone()), (raster, false));
        }
        let grey = Raster::new(1, 1, 1, vec![255]).unwrap();
        assert_eq!(without_opaque(grey.clone()), (grey, false));
    }

    #[test]
    fn a_colour_behind() {
        let raster = Raster::new(3, 1, 2, vec![100, 255, 100, 0, 100, 128]).unwrap();
        let flat = flatten(&raster, &[200]).unwrap();
        assert_eq!(flat, Raster::new(3, 1, 1, vec![100, 200, 149]).unwrap());
        assert_eq!(flatten(&raster, &[200, 1]), None);
        assert_eq!(flatten(&flat, &[]), None);
    }
}
