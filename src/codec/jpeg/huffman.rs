//! Huffman codes of baseline data: told apart and copied, but not decoded.

/// The codes of one table, with the bits that follow each.
#[derive(Debug)]
pub(super) struct Table {
    /// By the next [`LOOK`] bits: length and symbol of the first code, length 0 where it is longer than that.
    first: Box<[(u8, u8); 1 << LOOK]>,
    /// Likewise, all codes that can be seen whole.
    run: Box<[Run; 1 << LOOK]>,
    /// Longer codes, in their order.
    long: Vec<Code>,
}

/// Codes one after the other: in the lower byte their length with the bits that belong to them, in the upper one how many
/// coefficients they are about, and [`ENDS`] more if the last says that the rest of the block is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run(u16);

#[derive(Debug)]
struct Code {
    /// Its bits, followed by 0 up to 16.
    bits: u16,
    length: u8,
    symbol: u8,
}

impl Table {
    /// From the number of codes of each length, and their symbols.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            first: Box::new([(0, 0); 1 << LOOK]),
            run: Box::new([NOTHING; 1 << LOOK]),
            long: Vec::new(),
        };
        let mut symbols = symbols.iter();
        let mut code = 0_u32;
        for (length, count) in (1_u8..).zip(counts) {
            code <<= 1;
            for &symbol in symbols.by_ref().take((*count).into()) {
                // The code of ones only is not used.
                (code + 1 < 1 << length).then_some(())?;
                table.add(code, length, symbol)?;
                code += 1;
            }
        }
        for (seen, run) in (0_u32..).zip(table.run.iter_mut()) {
            *run = Run::seen(seen, &table.first);
        }
        Some(table)
    }

    fn add(&mut self, code: u32, length: u8, symbol: u8) -> Option<()> {
        if let Some(free) = LOOK.checked_sub(length.into()) {
            let start = usize::try_from(code << free).ok()?;
            let same = self.first.get_mut(start..start + (1 << free))?;
            same.fill((length, symbol));
        } else {
            self.long.push(Code {
                bits: u16::try_from(code << (16 - u32::from(length))).ok()?,
                length,
                symbol,
            });
        }
        Some(())
    }

    /// Length and symbol of the first code.
    fn first(&self, bits: u64) -> Option<(u32, u8)> {
        let &(length, symbol) = self.first.get(top(bits))?;
        if length > 0 {
            return Some((length.into(), symbol));
        }
        let [b1, b0, ..] = bits.to_be_bytes();
        let next = u16::from_be_bytes([b1, b0]);
        let after = self.long.partition_point(|code| code.bits <= next);
        let code = self.long.get(after.checked_sub(1)?)?;
        let is_same = (next - code.bits) >> (16 - code.length) == 0;
        is_same.then_some((code.length.into(), code.symbol))
    }

    /// The code of a symbol, with its length.
    pub(super) fn code(&self, symbol: u8) -> Option<(u32, u32)> {
        let is_it = |entry: &&(u32, &(u8, u8))| entry.1.0 > 0 && entry.1.1 == symbol;
        let (seen, &(length, _)) = (0_u32..).zip(self.first.iter()).find(|e| is_it(&e))?;
        Some((seen >> (LOOK - u32::from(length)), length.into()))
    }
}

impl Run {
    /// The codes at the start of these bits.
    fn seen(seen: u32, first: &[(u8, u8); 1 << LOOK]) -> Self {
        let mut run = NOTHING;
        let (mut at, mut coefficients, mut ends) = (0, 0, 0);
        while at < LOOK && ends == 0 {
            let next = usize::try_from((seen << at) & ((1 << LOOK) - 1));
            let Some(&(length, symbol)) = next.ok().and_then(|next| first.get(next)) else {
                break;
            };
            let end = at + u32::from(length);
            if length == 0 || end > LOOK {
                break;
            }
            at = end + u32::from(symbol & 15);
            if symbol & 15 == 0 && symbol != ZEROS {
                ends = ENDS;
            } else {
                coefficients += u32::from(symbol >> 4) + 1;
            }
            run = Self::new(at, coefficients.min(BLOCK) + ends);
        }
        run
    }

    const fn new(bits: u32, coefficients: u32) -> Self {
        let ([.., bits], [.., coefficients]) = (bits.to_be_bytes(), coefficients.to_be_bytes());
        Self(u16::from_be_bytes([coefficients, bits]))
    }

    fn bits(self) -> u32 {
        (self.0 & 0xff).into()
    }

    fn coefficients(self) -> u32 {
        (self.0 >> 8).into()
    }
}

/// Reads bits of entropy-coded data up to a marker.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    data: &'a [u8],
    /// The next ones, from the top.
    bits: u64,
    count: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            bits: 0,
            count: 0,
        }
    }

    /// Sees to it that there are at least 56 bits, or all up to the marker. Of what is counted as not there yet, bits may
    /// stand below already.
    #[inline]
    fn fill(&mut self) {
        if let Some(eight) = self.data.first_chunk()
            && !has_ff(u64::from_be_bytes(*eight))
            && let Some(rest) = self.data.get(place((63 - self.count) / 8)..)
        {
            self.bits |= u64::from_be_bytes(*eight) >> self.count;
            self.count |= 56;
            self.data = rest;
        } else {
            self.fill_bytewise();
        }
    }

    #[cold]
    fn fill_bytewise(&mut self) {
        while self.count < 56 {
            let (byte, rest) = match self.data {
                [0xff, 0, rest @ ..] => (0xff, rest),
                [0xff, ..] | [] => return,
                [byte, rest @ ..] => (*byte, rest),
            };
            self.bits |= u64::from(byte) << (56 - self.count);
            self.count += 8;
            self.data = rest;
        }
    }

    fn take(&mut self, count: u32) -> Option<()> {
        self.count = self.count.checked_sub(count)?;
        self.bits <<= count;
        Some(())
    }

    /// What follows once all bits but those that fill the last byte were taken; `None` if there are more.
    pub(super) fn end(mut self) -> Option<&'a [u8]> {
        self.fill();
        (self.count < 8 && self.data.first() == Some(&0xff)).then_some(self.data)
    }

    /// Goes over a block, and copies its mean, or with `WHOLE` all of it. `None` for codes that are none.
    pub(super) fn block<const WHOLE: bool>(
        &mut self,
        mean: &Table,
        rest: &Table,
        target: &mut Writer,
    ) -> Option<()> {
        self.fill();
        let (length, size) = mean.first(self.bits)?;
        (size < 16).then_some(())?;
        self.copy::<true>(length + u32::from(size), target)?;
        let mut next = 1;
        while next < BLOCK {
            self.fill();
            let mut seen = self.run::<WHOLE>(rest, &mut next, target)?;
            // The bits suffice for two of them.
            if seen == Seen::Some {
                seen = self.run::<WHOLE>(rest, &mut next, target)?;
            } else if seen == Seen::Nothing {
                let (length, symbol) = rest.first(self.bits)?;
                self.copy::<WHOLE>(length + u32::from(symbol & 15), target)?;
                if symbol & 15 == 0 && symbol != ZEROS {
                    return Some(());
                }
                next += u32::from(symbol >> 4) + 1;
            }
            if seen == Seen::End {
                return Some(());
            }
        }
        (next == BLOCK).then_some(())
    }

    /// Goes over as many codes as can be seen at once.
    #[inline]
    fn run<const WHOLE: bool>(
        &mut self,
        table: &Table,
        next: &mut u32,
        target: &mut Writer,
    ) -> Option<Seen> {
        let run = table.run.get(top(self.bits))?;
        let after = *next + run.coefficients();
        if after < BLOCK {
            self.copy::<WHOLE>(run.bits(), target)?;
            *next = after;
            return Some(Seen::Some);
        }
        if (ENDS..ENDS + BLOCK).contains(&after) {
            self.copy::<WHOLE>(run.bits(), target)?;
            return Some(Seen::End);
        }
        Some(Seen::Nothing)
    }

    #[inline]
    fn copy<const WHOLE: bool>(&mut self, count: u32, target: &mut Writer) -> Option<()> {
        if WHOLE && count > 0 {
            target.put(low(self.bits >> (64 - count)), count);
        }
        self.take(count)
    }
}

/// What was gone over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Codes.
    Some,
    /// The last ones of the block.
    End,
    /// None: the first is too long, or the last of the block is among them, behind which another table counts.
    Nothing,
}

/// Writes entropy-coded data.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    /// The last ones, at the bottom, fewer than 32 between two calls.
    bits: u64,
    count: u32,
}

impl Writer {
    /// Goes on behind `bytes`.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            bits: 0,
            count: 0,
        }
    }

    /// Writes the lower `count` bits, at most 32, above which there are none.
    pub(super) fn put(&mut self, bits: u32, count: u32) {
        self.bits = (self.bits << count) | u64::from(bits);
        self.count += count;
        if self.count < 32 {
            return;
        }
        self.count -= 32;
        let four = low(self.bits >> self.count);
        if has_ff(four.into()) {
            four.to_be_bytes().into_iter().for_each(|b| self.byte(b));
        } else {
            self.bytes.extend_from_slice(&four.to_be_bytes());
        }
    }

    /// Fills up the last byte, and writes a marker.
    pub(super) fn marker(&mut self, marker: u8) {
        let free = self.count.next_multiple_of(8) - self.count;
        self.put((1 << free) - 1, free);
        while let Some(count) = self.count.checked_sub(8) {
            self.count = count;
            let [.., byte] = (self.bits >> count).to_be_bytes();
            self.byte(byte);
        }
        self.bytes.extend([0xff, marker]);
    }

    fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
        if byte == 0xff {
            self.bytes.push(0);
        }
    }
}

/// The next bits as a place in a table.
fn top(bits: u64) -> usize {
    place(low(bits >> (64 - LOOK)))
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
fn low(bits: u64) -> u32 {
    bits as u32
}

/// Whether any of eight bytes is 0xFF.
fn has_ff(eight: u64) -> bool {
    eight & (!eight).wrapping_sub(0x0101_0101_0101_0101) & 0x8080_8080_8080_8080 != 0
}

/// Bits that tables are looked up by.
const LOOK: u32 = 12;
/// Coefficients of a block.
const BLOCK: u32 = 64;
/// More than two blocks have.
const ENDS: u32 = 128;
/// Symbol of sixteen coefficients that are 0.
const ZEROS: u8 = 0xf0;
/// A run that fits into no block.
const NOTHING: Run = Run::new(0, BLOCK);

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of every length: 0, 10, 110 and so on.
    fn every_length() -> Table {
        let symbols = [
            0x01, 0x00, 0x12, ZEROS, 0x23, 0x05, 0x31, 0x0a, 0x42, 0x13, 0x54, 0x61, 0x77, 0x81,
            0x92, 0xa1,
        ];
        Table::new(&[1; 16], &symbols).unwrap()
    }

    #[test]
    fn codes_of_every_length() {
        let table = every_length();
        for ones in 0..16 {
            // As many ones and a zero, and then anything.
            for behind in [0, u64::MAX] {
                let bits = !(u64::MAX >> ones) | (behind >> (ones + 1));
                let (length, _) = table.first(bits).unwrap();
                assert_eq!(length, ones + 1);
            }
        }
        assert_eq!(table.first(u64::MAX), None);
        assert_eq!(table.first(0b110 << 61), Some((3, 0x12)));
        assert_eq!(table.first(0xfffe << 48), Some((16, 0xa1)));
        assert_eq!(table.code(0), Some((0b10, 2)));
        assert_eq!(table.code(ZEROS), Some((0b1110, 4)));
        assert_eq!(table.code(0x99), None);
    }

    #[test]
    fn tables_that_are_none() {
        let counts = |length: usize, count| {
            let mut counts = [0; 16];
            counts[length - 1] = count;
            counts
        };
        for (length, count, expected) in [(1, 1, true), (1, 2, false), (3, 7, true), (3, 8, false)]
        {
            let table = Table::new(&counts(length, count), &[0x11; 8]);
            assert_eq!(table.is_some(), expected, "{length} {count}");
        }
    }

    #[test]
    fn runs_are_what_codes_are_one_by_one() {
        let table = every_length();
        for seen in 0..1_u64 << LOOK {
            let run = table.run[usize::try_from(seen).unwrap()];
            let bits = seen << (64 - LOOK);
            let (mut at, mut coefficients, mut ends) = (0, 0, 0);
            while ends == 0
                && at < LOOK
                && let Some((length, symbol)) = table.first(bits << at)
                && at + length <= LOOK
            {
                at += length + u32::from(symbol & 15);
                match symbol {
                    0 => ends = ENDS,
                    _ => coefficients += u32::from(symbol >> 4) + 1,
                }
            }
            let expected = if at > 0 {
                Run::new(at, coefficients.min(BLOCK) + ends)
            } else {
                NOTHING
            };
            assert_eq!(run, expected, "{seen:012b}");
        }
    }

    #[test]
    fn bits_are_copied() {
        let table = every_length();
        // Means of one bit, the rest in codes of all lengths, with bytes of 0xFF in between.
        let mut source = Writer::new(Vec::new());
        let mut blocks = 0;
        for ones in (0..16).filter(|ones| *ones != 1).cycle().take(150) {
            source.put(0b01, 2);
            source.put(((1 << ones) - 1) << 1, ones + 1);
            let (_, symbol) = table.first(!(u64::MAX >> ones)).unwrap();
            source.put((1 << (symbol & 15)) - 1, (symbol & 15).into());
            source.put(0b10, 2);
            blocks += 1;
        }
        source.marker(0xd9);
        assert!(source.bytes.windows(2).any(|two| two == [0xff, 0]));
        let mut copy = Writer::new(Vec::new());
        let mut reader = Reader::new(&source.bytes);
        for _ in 0..blocks {
            reader.block::<true>(&table, &table, &mut copy).unwrap();
        }
        assert_eq!(reader.end(), Some(&[0xff, 0xd9][..]));
        copy.marker(0xd9);
        assert_eq!(copy.bytes, source.bytes);
        let mut means = Writer::new(Vec::new());
        let mut reader = Reader::new(&source.bytes);
        for _ in 0..blocks {
            reader.block::<false>(&table, &table, &mut means).unwrap();
        }
        assert!(reader.block::<false>(&table, &table, &mut means).is_none());
        means.marker(0xd9);
        // 150 times 01.
        assert_eq!(means.bytes[..4], [0x55; 4]);
        assert_eq!(means.bytes.len(), 150 * 2 / 8 + 1 + 2);
        assert_eq!(Reader::new(&source.bytes).end(), None);
    }
}
