//! A baseline file without what does not count when it is decoded to an eighth.
//!
//! The library makes one pixel of a block then, from its mean alone, where a component has the full resolution. It goes
//! over all codes of the block for that, one at a time. Here many are skipped at once; what is left is a smaller file.

use super::super::Stop;
use super::frame::{Component, END, Frame, Segment, is_end};
use super::header::{BASELINE, EXTENDED, SCAN, START};
use super::huffman::{Reader, Table, Writer};

/// The file with blocks that end behind their mean, where no more than that counts. `None` where nothing can be left out,
/// or not for certain: damage, colours in scans of their own.
pub(super) fn for_eighth(bytes: &[u8], stop: Stop<'_>) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(&[0xff, START])?;
    let mut frame = None;
    let mut tables = Tables::default();
    let mut interval = 0;
    loop {
        let Segment {
            marker,
            body,
            rest: behind,
        } = Segment::read(rest)?;
        rest = behind;
        match marker {
            SCAN => {
                let scan = Scan::read(body, frame.as_ref()?, &tables)?;
                let header = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
                return scan.shortened(header, rest, interval, stop);
            }
            BASELINE | EXTENDED if frame.is_none() => frame = Some(Frame::read(body)?),
            HUFFMAN => tables.read(body)?,
            INTERVAL => interval = u16::from_be_bytes(body.try_into().ok()?),
            0xdb | 0xe0..=0xef | 0xfe => {}
            _ => return None,
        }
    }
}

/// Tables by the names that scans have for them.
#[derive(Debug, Default)]
struct Tables {
    means: [Option<Table>; 4],
    rest: [Option<Table>; 4],
}

impl Tables {
    fn read(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&[name, ref counts @ ..], behind)) = body.split_first_chunk::<17>() {
            let symbols = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, behind) = behind.split_at_checked(symbols)?;
            let tables = match name >> 4 {
                0 => &mut self.means,
                1 => &mut self.rest,
                _ => return None,
            };
            *tables.get_mut(usize::from(name & 15))? = Some(Table::new(counts, symbols)?);
            body = behind;
        }
        body.is_empty().then_some(())
    }
}

/// The only scan of a file.
#[derive(Debug)]
struct Scan<'a> {
    /// Blocks of a unit, in their order.
    blocks: Vec<Block<'a>>,
    /// How many units there are.
    units: usize,
}

#[derive(Clone, Copy, Debug)]
struct Block<'a> {
    mean: &'a Table,
    rest: &'a Table,
    has_detail: bool,
    /// The code, and its length, that says that the rest of the block is 0.
    end: (u32, u32),
}

impl<'a> Scan<'a> {
    fn read(body: &[u8], frame: &Frame, tables: &'a Tables) -> Option<Self> {
        let (&count, body) = body.split_first()?;
        let (named, &[0, 63, 0]) = body.split_last_chunk()? else {
            return None;
        };
        let (named, []) = named.as_chunks::<2>() else {
            return None;
        };
        let is_all = named.len() == usize::from(count) && named.len() == frame.components.len();
        is_all.then_some(())?;
        let mut blocks = Vec::new();
        for ([id, names], component) in named.iter().zip(&frame.components) {
            (component.id == *id).then_some(())?;
            let table = |tables: &'a [Option<Table>; 4], name: u8| {
                tables.get(usize::from(name)).and_then(Option::as_ref)
            };
            let rest = table(&tables.rest, names & 15)?;
            let block = Block {
                mean: table(&tables.means, names >> 4)?,
                rest,
                has_detail: component.has_detail,
                end: rest.code(0)?,
            };
            let many = match frame.components.as_slice() {
                [_] => 1,
                _ => component.across * component.down,
            };
            blocks.extend((0..many).map(|_| block));
        }
        let is_shorter = blocks.iter().any(|block| !block.has_detail);
        (is_shorter && blocks.len() <= MOST_BLOCKS).then_some(Self {
            blocks,
            units: units(frame)?,
        })
    }

    /// The file from its header and the data of this scan.
    fn shortened(
        &self,
        header: &[u8],
        data: &[u8],
        interval: u16,
        stop: Stop<'_>,
    ) -> Option<Vec<u8>> {
        let mut writer = Writer::new(header.to_vec());
        let mut reader = Reader::new(data);
        let interval = if interval == 0 {
            self.units
        } else {
            interval.into()
        };
        let mut restart = RESTART;
        for unit in 0..self.units {
            if unit % UNITS_BETWEEN_STOPS == 0 && stop() {
                return None;
            }
            if unit > 0 && unit % interval == 0 {
                let rest = reader.end()?;
                reader = Reader::new(rest.strip_prefix(&[0xff, restart])?);
                writer.marker(restart);
                restart = RESTART | (restart + 1) & 7;
            }
            for block in &self.blocks {
                if block.has_detail {
                    reader.block::<true>(block.mean, block.rest, &mut writer)?;
                } else {
                    reader.block::<false>(block.mean, block.rest, &mut writer)?;
                    let (code, length) = block.end;
                    writer.put(code, length);
                }
            }
        }
        is_end(reader.end()?).then_some(())?;
        writer.marker(END);
        Some(writer.bytes)
    }
}

/// Units of a frame: its blocks if it has one component.
fn units(frame: &Frame) -> Option<usize> {
    let most = |of: fn(&Component) -> u8| frame.components.iter().map(of).max();
    let (across, down) = match frame.components.as_slice() {
        [_] => (1, 1),
        _ => (most(|c| c.across)?, most(|c| c.down)?),
    };
    let count = |side: u16, blocks: u8| usize::from(side).div_ceil(8 * usize::from(blocks));
    count(frame.width, across).checked_mul(count(frame.height, down))
}

const HUFFMAN: u8 = 0xc4;
const INTERVAL: u8 = 0xdd;
/// The first of eight markers between which blocks do not depend on each other.
const RESTART: u8 = 0xd0;
/// What the library takes.
const MOST_BLOCKS: usize = 10;
const UNITS_BETWEEN_STOPS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::samples::{file, never, noise};
    use super::super::{decode_all, header};
    use super::*;
    use crate::codec::Raster;

    /// Decoded to an eighth as it is.
    fn whole(bytes: &[u8]) -> Option<Raster> {
        decode_all(bytes, &header::parse(bytes)?, 8, true, &never)
    }

    fn shortened(bytes: &[u8]) -> Option<Vec<u8>> {
        for_eighth(bytes, &never)
    }

    #[test]
    fn an_eighth_is_the_same_without_it() {
        for bands in [1, 3] {
            for sampling in [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2)] {
                for (width, height) in [(96, 64), (101, 83), (9, 41), (8, 8)] {
                    for (quality, restart) in [(70, 0), (50, 1), (15, 20)] {
                        let case = format!("{bands} {sampling:?} {width}x{height} {quality}");
                        let bytes = file(
                            &noise(width, height, bands),
                            quality,
                            false,
                            sampling,
                            restart,
                        );
                        let short = shortened(&bytes).expect(&case);
                        assert!(short.len() < bytes.len(), "{case}");
                        assert_eq!(
                            whole(&short).expect(&case),
                            whole(&bytes).unwrap(),
                            "{case}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn damage_is_not_mended() {
        let bytes = file(&noise(120, 90, 3), 80, false, (2, 2), 5);
        assert!(shortened(&bytes).is_some());
        for length in (0..bytes.len()).step_by(101) {
            assert!(shortened(&bytes[..length]).is_none(), "{length}");
        }
        let start = bytes
            .windows(2)
            .position(|two| two == [0xff, SCAN])
            .unwrap();
        let (mut seen, mut passed) = (0, 0);
        for at in (start..bytes.len() - 2).step_by(23) {
            for bit in [0, 3, 7] {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                match shortened(&damaged) {
                    Some(short) => {
                        assert_eq!(whole(&short), whole(&damaged), "{at} {bit}");
                        passed += 1;
                    }
                    None => seen += 1,
                }
            }
        }
        assert!(seen > 50 && passed > 5, "{seen} {passed}");
    }

    #[test]
    fn what_is_not_certain_is_decoded_as_a_whole() {
        let picture = noise(40, 30, 3);
        let bytes = file(&picture, 80, false, (2, 2), 0);
        let progressive = file(&picture, 80, true, (2, 2), 0);
        assert!(shortened(&bytes).is_some());
        assert!(shortened(&progressive).is_none());
        assert!(for_eighth(&bytes, &|| true).is_none());
        let place = |marker| {
            bytes
                .windows(2)
                .position(|two| two == [0xff, marker])
                .unwrap()
        };
        let (frame, scan, tables) = (place(BASELINE), place(SCAN), place(HUFFMAN));
        // From the marker on: length 2, precision, sides 4, count; length 2, count, names, band.
        for (name, at, value) in [
            ("12 bits", frame + 4, 12),
            ("higher than there are blocks", frame + 6, 100),
            ("components that are missing", frame + 9, 4),
            ("a scan of one", scan + 4, 1),
            ("an unknown component", scan + 5, 99),
            ("an unknown table", scan + 6, 0x33),
            ("a band", scan + 12, 62),
            ("bits", scan + 13, 1),
            ("a table of a third kind", tables + 4, 0x20),
            ("too many short codes", tables + 5, 2),
        ] {
            let mut other = bytes.clone();
            assert_ne!(other[at], value, "{name}");
            other[at] = value;
            assert!(shortened(&other).is_none(), "{name}");
        }
        let trailed = [&bytes[..], b"more"].concat();
        assert_eq!(shortened(&trailed), shortened(&bytes));
        let end = bytes.len() - 2;
        let padded = [&bytes[..end], &[0xff], &bytes[end..]].concat();
        assert_eq!(shortened(&padded), shortened(&bytes));
        for more in [&[0][..], &[0xff, 0], &[0xff, RESTART], &[0xff, SCAN, 0, 2]] {
            let other = [&bytes[..end], more, &bytes[end..]].concat();
            assert!(shortened(&other).is_none(), "{more:?}");
        }
    }
}
