//! Request targets that the URI type cannot hold.
//!
//! `#` is an ordinary path character to imgproxy, and so are `<`, `>` and `` ` ``; the URI type cuts at the first and
//! refuses the others. [`Scanner`] swaps them for a harmless byte of the same length while the head is on its way to the
//! parser and remembers where; [`restore`] puts them back. Nothing but these bytes of an origin-form target is touched, so
//! requests stay delimited as they were.

use memchr::{memchr, memchr2};

/// One byte that was swapped: its offset in the target, and what it was.
pub(super) type Swap = (usize, u8);

/// Follows the bytes of a connection as far as it is certain where a request head begins.
#[derive(Debug)]
pub(super) struct Scanner {
    place: Place,
    /// Ended lines of the head, without the first.
    lines: usize,
    swaps: Vec<Swap>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before or in the method.
    Method,
    /// At this offset of the target.
    Target(usize),
    /// After the target, at or after the first byte of a line.
    Lines { at_start: bool },
    /// After the head.
    End,
    /// Bytes came that belong to no head seen from its start; nothing is certain any more.
    Lost,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Method,
            lines: 0,
            swaps: Vec::new(),
        }
    }

    /// A new head is expected. Bytes that had been read ahead leave the scanner lost.
    pub(super) fn expect_head(&mut self) {
        self.lines = 0;
        if self.place == Place::End {
            self.place = Place::Method;
        } else {
            self.place = Place::Lost;
        }
    }

    /// Looks at bytes on their way to the parser.
    pub(super) fn pass(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = self.step(rest);
            rest = rest.get_mut(length..).unwrap_or_default();
        }
    }

    /// Follows the first bytes; how many that were, at least one.
    fn step(&mut self, bytes: &mut [u8]) -> usize {
        let first = bytes.first().copied();
        let (place, length) = match self.place {
            Place::Method => match memchr(b' ', bytes) {
                Some(at) => (Place::Target(0), at + 1),
                None => (Place::Method, bytes.len()),
            },
            Place::Target(0) if first != Some(b'/') => (Place::Lines { at_start: false }, 1),
            Place::Target(offset) => {
                let end = memchr2(b' ', b'\n', bytes);
                let at_start = end.is_some_and(|at| bytes.get(at) == Some(&b'\n'));
                let length = end.unwrap_or(bytes.len());
                for (at, byte) in bytes.iter_mut().take(length).enumerate() {
                    if matches!(byte, b'#' | b'<' | b'>' | b'`') {
                        self.swaps.push((offset + at, *byte));
                        *byte = STAND_IN;
                    }
                }
                match end {
                    Some(at) => (Place::Lines { at_start }, at + 1),
                    None => (Place::Target(offset + length), length),
                }
            }
            Place::Lines { at_start: true } if first == Some(b'\n') => (Place::End, 1),
            Place::Lines { at_start: true } if first == Some(b'\r') => (self.place, 1),
            Place::Lines { .. } => match memchr(b'\n', bytes) {
                Some(at) => {
                    self.lines += 1;
                    (Place::Lines { at_start: true }, at + 1)
                }
                None => (Place::Lines { at_start: false }, bytes.len()),
            },
            Place::End | Place::Lost => (Place::Lost, bytes.len()),
        };
        self.place = place;
        length
    }

    /// How many header lines of the head have been seen to their end.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// The swaps of the head that has been parsed.
    pub(super) fn take(&mut self) -> Vec<Swap> {
        std::mem::take(&mut self.swaps)
    }
}

/// Puts the swapped bytes back into an origin-form target.
pub(super) fn restore(target: &str, swaps: &[Swap]) -> String {
    if swaps.is_empty() {
        return target.to_owned();
    }
    let mut bytes = target.as_bytes().to_vec();
    for (offset, original) in swaps {
        if let Some(byte) = bytes.get_mut(*offset) {
            *byte = *original;
        }
    }
    // Only ASCII bytes were swapped, for ASCII bytes.
    String::from_utf8(bytes).unwrap_or_else(|_| target.to_owned())
}

/// Allowed everywhere in a path and a query, and in no need of escaping.
const STAND_IN: u8 = b'-';

#[cfg(test)]
mod tests {
    use super::*;

    /// What the parser sees, and the target as restored.
    fn through(head: &str, chunk: usize) -> (String, String) {
        let mut scanner = Scanner::new();
        let mut bytes = head.as_bytes().to_vec();
        for part in bytes.chunks_mut(chunk) {
            scanner.pass(part);
        }
        let seen = String::from_utf8(bytes).unwrap();
        let target = seen.split(' ').nth(1).unwrap_or_default().to_owned();
        (seen, restore(&target, &scanner.take()))
    }

    #[test]
    fn only_the_target_changes_and_it_comes_back() {
        let rows = [
            (
                "GET /a#b<c>`d?e#f HTTP/1.1\r\nA: #<>\r\n\r\n",
                "GET /a-b-c--d?e-f HTTP/1.1\r\nA: #<>\r\n\r\n",
                "/a#b<c>`d?e#f",
            ),
            ("G#T /a HTTP/1.1\r\n\r\n", "G#T /a HTTP/1.1\r\n\r\n", "/a"),
            (
                "GET http://a/#b HTTP/1.1\r\n\r\n",
                "GET http://a/#b HTTP/1.1\r\n\r\n",
                "http://a/#b",
            ),
            ("\r\nGET /# HTTP/1.1\n\n", "\r\nGET /- HTTP/1.1\n\n", "/#"),
            (
                "GET /\u{e9}# HTTP/1.1\r\n\r\n",
                "GET /\u{e9}- HTTP/1.1\r\n\r\n",
                "/\u{e9}#",
            ),
        ];
        for (head, seen, target) in rows {
            for chunk in [1, 2, 7, 1000] {
                assert_eq!(
                    through(head, chunk),
                    (seen.to_owned(), target.to_owned()),
                    "{head:?} {chunk}"
                );
            }
        }
    }

    #[test]
    fn what_follows_a_head_is_left_alone_for_good() {
        let mut scanner = Scanner::new();
        let mut bytes = *b"GET /# HTTP/1.1\r\n\r\nGET /# HTTP/1.1\r\n\r\n";
        scanner.pass(&mut bytes);
        assert_eq!(&bytes, b"GET /- HTTP/1.1\r\n\r\nGET /# HTTP/1.1\r\n\r\n");
        assert_eq!(scanner.take(), [(1, b'#')]);
        scanner.expect_head();
        let mut next = *b"GET /# HTTP/1.1\r\n\r\n";
        scanner.pass(&mut next);
        assert_eq!(&next, b"GET /# HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn the_next_head_of_a_clean_connection_is_seen() {
        let mut scanner = Scanner::new();
        for _ in 0..3 {
            let mut bytes = *b"GET /# HTTP/1.1\r\nA: b\r\n\r\n";
            scanner.pass(&mut bytes);
            assert_eq!(&bytes, b"GET /- HTTP/1.1\r\nA: b\r\n\r\n");
            assert_eq!(scanner.take(), [(1, b'#')]);
            scanner.expect_head();
        }
    }
}
