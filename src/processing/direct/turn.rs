//! Turns and mirrors of a raster, as `ops::rotate` and `ops::flip` do them with images.

use crate::codec::Raster;
use crate::geometry::Angle;
use crate::plan::Rotation;

/// The raster after all turns and mirrors of a pipeline, in their order.
pub(super) fn turned(raster: Raster, rotation: Rotation) -> Option<Raster> {
    if rotation.is_identity() {
        return Some(raster);
    }
    let map = Map::start(raster.width(), raster.height())
        .turn(rotation.exif_angle)
        .mirror(rotation.exif_flip, false)
        .turn(rotation.angle)
        .mirror(rotation.flip_horizontal, rotation.flip_vertical);
    map.apply(&raster)
}

/// Where the pixels of the result lie in the source: the first one, and the steps to the right and downwards, in pixels.
#[derive(Clone, Copy, Debug)]
struct Map {
    width: usize,
    height: usize,
    origin: isize,
    right: isize,
    down: isize,
}

impl Map {
    fn start(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            origin: 0,
            right: 1,
            down: isize::try_from(width).unwrap_or(isize::MAX),
        }
    }

    fn turn(self, angle: Angle) -> Self {
        match angle {
            Angle::D0 => self,
            Angle::D180 => self.mirror(true, true),
            // Clockwise: the result's first row is the source's first column, from the bottom up.
            Angle::D90 => {
                let up = self.mirror(false, true);
                Self {
                    width: up.height,
                    height: up.width,
                    right: up.down,
                    down: up.right,
                    ..up
                }
            }
            Angle::D270 => self.turn(Angle::D180).turn(Angle::D90),
        }
    }

    fn mirror(mut self, horizontal: bool, vertical: bool) -> Self {
        let last = |side: usize| isize::try_from(side).unwrap_or(1) - 1;
        if horizontal {
            self.origin += self.right * last(self.width);
            self.right = -self.right;
        }
        if vertical {
            self.origin += self.down * last(self.height);
            self.down = -self.down;
        }
        self
    }

    fn apply(self, raster: &Raster) -> Option<Raster> {
        let bytes = match raster.bands() {
            1 => self.pixels::<1>(raster.bytes()),
            2 => self.pixels::<2>(raster.bytes()),
            3 => self.pixels::<3>(raster.bytes()),
            4 => self.pixels::<4>(raster.bytes()),
            _ => None,
        }?;
        Raster::new(self.width, self.height, raster.bands(), bytes)
    }

    fn pixels<const BANDS: usize>(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (source, _) = bytes.as_chunks::<BANDS>();
        let mut result = Vec::with_capacity(bytes.len());
        let mut row = self.origin;
        for _ in 0..self.height {
            let mut at = row;
            for _ in 0..self.width {
                result.extend_from_slice(source.get(usize::try_from(at).ok()?)?);
                at += self.right;
            }
            row += self.down;
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 3 × 2 whose pixels say where they are, turned.
    fn turned_rows(rotation: Rotation, bands: usize) -> Vec<Vec<u8>> {
        let bytes = [11, 12, 13, 21, 22, 23].map(|n| vec![n; bands]).concat();
        let result = turned(Raster::new(3, 2, bands, bytes).unwrap(), rotation).unwrap();
        let rows = result.bytes().chunks(result.width() * bands);
        rows.map(|row| row.iter().copied().step_by(bands).collect())
            .collect()
    }

    #[test]
    fn turns_and_mirrors() {
        let turn = |angle| Rotation {
            angle,
            ..Rotation::default()
        };
        let both = Rotation {
            exif_angle: Angle::D90,
            exif_flip: true,
            angle: Angle::D180,
            flip_horizontal: true,
            flip_vertical: false,
        };
        for (rotation, expected) in [
            (turn(Angle::D0), vec![vec![11, 12, 13], vec![21, 22, 23]]),
            (
                turn(Angle::D90),
                vec![vec![21, 11], vec![22, 12], vec![23, 13]],
            ),
            (turn(Angle::D180), vec![vec![23, 22, 21], vec![13, 12, 11]]),
            (
                turn(Angle::D270),
                vec![vec![13, 23], vec![12, 22], vec![11, 21]],
            ),
            (both, vec![vec![13, 23], vec![12, 22], vec![11, 21]]),
        ] {
            for bands in 1..=4 {
                assert_eq!(turned_rows(rotation, bands), expected, "{rotation:?}");
            }
        }
        let mirrored = |flip_horizontal, flip_vertical| {
            let rotation = Rotation {
                flip_horizontal,
                flip_vertical,
                ..Rotation::default()
            };
            turned_rows(rotation, 3)
        };
        assert_eq!(mirrored(true, false), [[13, 12, 11], [23, 22, 21]]);
        assert_eq!(mirrored(false, true), [[21, 22, 23], [11, 12, 13]]);
    }
}
