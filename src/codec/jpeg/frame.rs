//! Segments and frames: how a picture is divided into blocks.

use super::header::next_marker;

/// A marker with a length, what it holds, and what follows.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    pub(super) body: &'a [u8],
    pub(super) rest: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Reads the first one; `None` also for markers without a length.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (marker, rest) = next_marker(bytes)?;
        if matches!(marker, 0 | 0x01 | 0xd0..=0xd9 | 0xff) {
            return None;
        }
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        Some(Self {
            marker,
            body: rest.get(2..length)?,
            rest: rest.get(length..)?,
        })
    }
}

/// Whether the picture ends here.
pub(super) fn is_end(bytes: &[u8]) -> bool {
    next_marker(bytes).is_some_and(|(marker, _)| marker == END)
}

/// What a frame says.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) width: u16,
    pub(super) height: u16,
    /// With different names, at least one.
    pub(super) components: Vec<Component>,
}

/// One colour of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Blocks of a unit side by side, 1–4.
    pub(super) across: u8,
    /// Blocks of a unit one upon the other, 1–4.
    pub(super) down: u8,
    /// Whether more than the mean of a block counts at an eighth.
    pub(super) has_detail: bool,
}

impl Frame {
    /// Reads the body of its segment.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let (&[8, h1, h0, w1, w0, count], described) = body.split_first_chunk()? else {
            return None;
        };
        let (described, []) = described.as_chunks::<3>() else {
            return None;
        };
        (described.len() == usize::from(count)).then_some(())?;
        let factors = |[_, factors, _]: &[u8; 3]| (factors >> 4, factors & 15);
        let most_across = described.iter().map(|c| factors(c).0).max()?;
        let most_down = described.iter().map(|c| factors(c).1).max()?;
        let mut components: Vec<Component> = Vec::new();
        for component in described {
            let &[id, ..] = component;
            let (across, down) = factors(component);
            let is_odd = ![across, down].iter().all(|n| (1..=4).contains(n));
            if is_odd || components.iter().any(|other| other.id == id) {
                return None;
            }
            components.push(Component {
                id,
                across,
                down,
                // The library decodes to twice the size what would have to be enlarged in both directions.
                has_detail: most_across % (2 * across) == 0 && most_down % (2 * down) == 0,
            });
        }
        Some(Self {
            width: u16::from_be_bytes([w1, w0]),
            height: u16::from_be_bytes([h1, h0]),
            components,
        })
    }
}

/// The marker of the end.
pub(super) const END: u8 = 0xd9;
