//! Codecs and a resampler that work without libvips, for what is common: pixels in memory in, pixels in memory out.
//!
//! Every function answers `None` for whatever it does not do or does not like: damaged data, rare kinds of a format, a
//! cancelled job. Whoever asks then goes the way over libvips, which is the reference and decides what an error is. The
//! module imports nothing of this crate and knows neither requests nor plans. No pointer leaves it.

pub mod alpha;
pub mod exif;
pub mod icc;
pub mod jpeg;
pub mod png;
pub mod resample;

/// Asks whether the work is still wanted; `true` ends it.
pub type Stop<'a> = &'a dyn Fn() -> bool;

/// 8-bit pixels in memory: rows from top to bottom, bands interleaved, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    width: usize,
    height: usize,
    bands: usize,
    bytes: Vec<u8>,
}

/// An area of a raster, in pixels from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Distance from the left edge.
    pub left: usize,
    /// Distance from the top edge.
    pub top: usize,
    /// Horizontal pixels.
    pub width: usize,
    /// Vertical pixels.
    pub height: usize,
}

impl Raster {
    /// Wraps pixels; `None` unless all numbers are positive and `bytes` holds width · height · bands of them.
    pub fn new(width: usize, height: usize, bands: usize, bytes: Vec<u8>) -> Option<Self> {
        let length = width.checked_mul(height)?.checked_mul(bands)?;
        (length > 0 && length == bytes.len()).then_some(Self {
            width,
            height,
            bands,
            bytes,
        })
    }

    /// Horizontal pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Vertical pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bands, alpha included, at least 1.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// The pixels.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The pixels, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The whole of it.
    pub fn area(&self) -> Area {
        Area {
            left: 0,
            top: 0,
            width: self.width,
            height: self.height,
        }
    }

    /// Copies an area; `None` if it is empty or not inside.
    pub fn crop(&self, area: Area) -> Option<Self> {
        let right = area.left.checked_add(area.width)?;
        if right > self.width {
            return None;
        }
        let (from, to) = (area.left * self.bands, right * self.bands);
        let mut bytes = Vec::with_capacity((to - from).checked_mul(area.height)?);
        let rows = self.bytes.chunks_exact(self.width * self.bands);
        for row in rows.skip(area.top).take(area.height) {
            bytes.extend_from_slice(row.get(from..to)?);
        }
        Self::new(area.width, area.height, self.bands, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raster_has_as_many_bytes_as_its_size_says() {
        for (width, height, bands, length, right) in [
            (2, 3, 3, 18, true),
            (2, 3, 3, 17, false),
            (0, 3, 3, 0, false),
            (usize::MAX, 2, 1, 0, false),
        ] {
            let raster = Raster::new(width, height, bands, vec![0; length]);
            assert_eq!(raster.is_some(), right, "{width}x{height}x{bands}");
        }
    }

    #[test]
    fn crops() {
        let raster = Raster::new(3, 2, 2, (0..12).collect()).unwrap();
        let area = |left, top, width, height| Area {
            left,
            top,
            width,
            height,
        };
        assert_eq!(raster.crop(raster.area()), Some(raster.clone()));
        let part = raster.crop(area(1, 1, 2, 1)).unwrap();
        assert_eq!(part, Raster::new(2, 1, 2, vec![8, 9, 10, 11]).unwrap());
        for outside in [
            area(2, 0, 2, 1),
            area(0, 1, 1, 2),
            area(0, 0, 0, 1),
            area(usize::MAX, 0, 2, 1),
        ] {
            assert_eq!(raster.crop(outside), None, "{outside:?}");
        }
    }
}
