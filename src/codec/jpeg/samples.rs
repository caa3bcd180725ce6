//! Files for tests.

use super::{Options, Units, encode_units};
use crate::codec::Raster;

pub(super) fn never() -> bool {
    false
}

/// A picture that has everything but even areas.
pub(super) fn noise(width: usize, height: usize, bands: usize) -> Raster {
    let mut state = 7_u32;
    let mut value = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let bytes = (0..width * height * bands).map(|_| value()).collect();
    Raster::new(width, height, bands, bytes).unwrap()
}

/// A file in which many blocks of colour, `across` × `down`, make a unit.
pub(super) fn file(
    raster: &Raster,
    quality: u8,
    progressive: bool,
    (across, down): (u8, u8),
    restart_interval: u16,
) -> Vec<u8> {
    let options = Options {
        quality,
        progressive,
        ..Options::default()
    };
    let units = Units {
        across,
        down,
        restart_interval,
    };
    let bytes = encode_units(raster, &options, units, &never).unwrap();
    bytes.to_vec()
}
