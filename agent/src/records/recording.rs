//! Recordings: records as lines of JSON, to keep a run and to play it again.

use super::Record;
use std::io::{self, BufRead, Write};

/// Writes one record as a line.
///
/// # Errors
/// The writer's.
pub fn write(record: &Record<'_>, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}

/// Reads a recording line by line; empty lines and lines that begin with `#` are comments.
///
/// # Errors
/// The reader's, or a line that is not a record, with its number.
pub fn read(mut input: impl BufRead, mut each: impl FnMut(Record<'_>)) -> io::Result<()> {
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            break;
        }
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let record = serde_json::from_str(text)
            .map_err(|error| io::Error::other(format!("line {number}: {error}")))?;
        each(record);
    }
    Ok(())
}

/// Bytes as a string in which each byte is the character of the same number, so that text stays
/// readable in a recording.
pub(super) mod latin1 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::borrow::Cow;

    pub(in super::super) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(
            &bytes
                .iter()
                .map(|byte| char::from(*byte))
                .collect::<String>(),
        )
    }

    pub(in super::super) fn deserialize<'de, 'a, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Cow<'a, [u8]>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        bytes
            .map(Cow::Owned)
            .map_err(|_| D::Error::custom("a character above U+00FF in content"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{ConnectionId, Direction, Segment, Transport};
    use std::borrow::Cow;

    #[test]
    fn what_is_written_is_read_again() {
        let records = [
            Record::Segment(Segment {
                connection: ConnectionId(1 << 60),
                direction: Direction::Receive,
                position: 0,
                other_position: 5,
                length_bytes: 300,
                begin_ns: 1,
                time_ns: 2,
                turn: 4,
                pid: 3,
                transport: Transport::Tcp,
                overtakes: false,
                after_end: false,
                content: Cow::Owned((0..=255).collect()),
            }),
            Record::Losses([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]),
            Record::Tick { time_ns: 9 },
        ];
        let mut file = b"# a comment\n\n".to_vec();
        for record in &records {
            write(record, &mut file).unwrap();
        }
        let mut again = Vec::new();
        read(file.as_slice(), |record| again.push(format!("{record:?}"))).unwrap();
        assert_eq!(again, records.map(|record| format!("{record:?}")));
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = read(&b"{\"tick\":{\"time_ns\":1}}\n{\"tock\":{}}\n"[..], |_| ()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("line 2: unknown variant `tock`"),
            "{error}"
        );
    }
}
