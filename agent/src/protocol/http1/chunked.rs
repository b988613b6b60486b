//! The chunked transfer coding (RFC 9112, section 7.1): sizes are read, data is skipped by length.

use super::head::{EmptyLine, HEAD_BYTES_MAX};
use crate::protocol::{Consumed, Loss};

/// Sixteen hexadecimal digits are a `u64`.
const SIZE_DIGITS_MAX: u8 = 16;

/// What may follow a chunk's size on its line.
const EXTENSION_BYTES_MAX: u32 = 16 * 1024;

/// Where in a chunked body the reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In a chunk's size, of which this much was read.
    Size { size: u64, digits: u8 },
    /// Behind the size: white space or an extension, which says nothing that is needed here.
    Extension { size: u64, bytes: u32 },
    /// Behind the CR that ends the size's line.
    SizeLf { size: u64 },
    /// In a chunk's data, of which this much is left; never 0.
    Data { left: u64 },
    /// Behind a chunk's data.
    DataCr,
    /// Behind the CR that follows a chunk's data.
    DataLf,
    /// Behind the last chunk: trailers up to an empty line.
    Trailers { empty_line: EmptyLine, bytes: usize },
}

/// A chunked body that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    at: At,
}

/// How far some bytes brought a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The body goes on.
    More,
    /// It is complete.
    Ended,
    /// It breaks the rules, or a limit.
    Broken(Loss),
}

impl Chunked {
    /// Behind a head.
    pub(super) const fn new() -> Self {
        Self {
            at: At::Size { size: 0, digits: 0 },
        }
    }

    /// How much of the current chunk's data is still to come.
    pub(super) const fn data_left(&self) -> u64 {
        match self.at {
            At::Data { left } => left,
            _ => 0,
        }
    }

    /// Goes on by up to `bytes` that nobody saw, and says by how many: only data can be skipped.
    pub(super) fn skip(&mut self, bytes: u64) -> u64 {
        let skipped = bytes.min(self.data_left());
        if skipped > 0 {
            self.at = after_data(self.data_left(), skipped);
        }
        skipped
    }

    /// Reads on. What it says it consumed is all of `bytes` unless the body ended or broke.
    pub(super) fn read(&mut self, bytes: &[u8]) -> (Consumed, Progress) {
        let mut consumed = Consumed::default();
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            if let At::Data { left } = self.at {
                let in_piece = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                self.at = after_data(left, in_piece as u64);
                consumed.skipped_bytes += in_piece as u64;
                rest = rest.get(in_piece..).unwrap_or_default();
                continue;
            }
            match self.next(byte) {
                Ok(Some(at)) => self.at = at,
                Ok(None) => {
                    consumed.parsed_bytes += 1;
                    return (consumed, Progress::Ended);
                }
                Err(loss) => return (consumed, Progress::Broken(loss)),
            }
            consumed.parsed_bytes += 1;
            rest = behind;
        }
        (consumed, Progress::More)
    }

    /// Where a byte of framing leads; `None` is the body's end.
    ///
    /// Sizes and data end with CRLF and nothing less: readers that take a bare LF or CR for it can
    /// be made to disagree about where a message ends (section 11.2).
    fn next(&self, byte: u8) -> Result<Option<At>, Loss> {
        let at = match (self.at, byte) {
            (At::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                more_size(size, digits, byte)?
            }
            (At::Size { digits: 0, .. }, _) => return Err(Loss::Malformed),
            (At::Size { size, .. } | At::Extension { size, .. }, b'\r') => At::SizeLf { size },
            (At::Size { size, .. }, b';' | b' ' | b'\t') => At::Extension { size, bytes: 1 },
            (At::Extension { .. }, b'\n' | 0) => return Err(Loss::Malformed),
            (
                At::Extension {
                    bytes: EXTENSION_BYTES_MAX,
                    ..
                },
                _,
            ) => return Err(Loss::TooLarge),
            (At::Extension { size, bytes }, _) => At::Extension {
                size,
                bytes: bytes + 1,
            },
            (At::SizeLf { size: 0 }, b'\n') => At::Trailers {
                empty_line: EmptyLine::at_line_start(),
                bytes: 0,
            },
            (At::SizeLf { size }, b'\n') => At::Data { left: size },
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => Self::new().at,
            (
                At::Trailers {
                    bytes: HEAD_BYTES_MAX,
                    ..
                },
                _,
            ) => return Err(Loss::TooLarge),
            (
                At::Trailers {
                    mut empty_line,
                    bytes,
                },
                _,
            ) => {
                if empty_line.ends_with(byte) {
                    return Ok(None);
                }
                At::Trailers {
                    empty_line,
                    bytes: bytes + 1,
                }
            }
            _ => return Err(Loss::Malformed),
        };
        Ok(Some(at))
    }
}

fn after_data(left: u64, taken: u64) -> At {
    match left.saturating_sub(taken) {
        0 => At::DataCr,
        left => At::Data { left },
    }
}

fn more_size(size: u64, digits: u8, byte: u8) -> Result<At, Loss> {
    let digit = char::from(byte).to_digit(16).ok_or(Loss::Malformed)?;
    if digits == SIZE_DIGITS_MAX {
        return Err(Loss::Malformed);
    }
    Ok(At::Size {
        size: (size << 4) | u64::from(digit),
        digits: digits + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (u64, u64, Progress) {
        let (consumed, progress) = Chunked::new().read(bytes);
        (consumed.parsed_bytes, consumed.skipped_bytes, progress)
    }

    #[test]
    fn sizes_extensions_trailers() {
        assert_eq!(read(b"0\r\n\r\n"), (5, 0, Progress::Ended));
        assert_eq!(read(b"3\r\nabc\r\n0\r\n\r\nGET"), (10, 3, Progress::Ended));
        assert_eq!(
            read(b"A;x=\"y\"\r\n0123456789\r\n000\r\nT: v\r\n\r\n"),
            (24, 10, Progress::Ended)
        );
        assert_eq!(read(b"ffffffffffffffff\r\nab"), (18, 2, Progress::More));
        assert_eq!(read(b"1 \r\na\r\n0\r\n\r\n"), (11, 1, Progress::Ended));
    }

    #[test]
    fn bad_sizes_are_malformed() {
        for bad in [
            &b"\r\n"[..],
            b"g\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b"0x1\r\n",
            b" 1\r\n",
            b"1\n",
            b"1\rx",
            b"1;a\nb",
            b"1\r\nab",
            b"1\r\na\n",
            b"1\r\na\rx",
            b"00000000000000001\r\n",
            b"10000000000000000\r\n",
        ] {
            assert_eq!(
                read(bad).2,
                Progress::Broken(Loss::Malformed),
                "{}",
                bad.escape_ascii()
            );
        }
    }

    #[test]
    fn limits() {
        let extension = [b"1;".to_vec(), vec![b'x'; EXTENSION_BYTES_MAX as usize]].concat();
        assert_eq!(read(&extension).2, Progress::Broken(Loss::TooLarge));
        let trailers = [b"0\r\n".to_vec(), vec![b'x'; HEAD_BYTES_MAX + 1]].concat();
        assert_eq!(read(&trailers).2, Progress::Broken(Loss::TooLarge));
    }

    #[test]
    fn only_data_can_be_skipped() {
        let mut body = Chunked::new();
        assert_eq!(body.skip(5), 0);
        body.read(b"a\r\n");
        assert_eq!(
            (
                body.data_left(),
                body.skip(4),
                body.data_left(),
                body.skip(9)
            ),
            (10, 4, 6, 6)
        );
        assert_eq!((body.data_left(), body.skip(1)), (0, 0));
    }
}
