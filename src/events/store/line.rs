//! One record as a line, and finding records in bytes of which some may be damaged.

use jiff::Timestamp;

/// Format 1, at the beginning of each line.
const TAG: &[u8] = b"t1 ";
/// Tag, CRC, blank.
const SUMMED: usize = TAG.len() + 9;
/// Tag, CRC, blank, length, blank.
const HEAD: usize = SUMMED + 9;
/// No record of any store is longer than this.
const LONGEST: usize = 4 << 20;
/// The shortest line there can be: the head, `1 TIME {}`, the end. By this the records in a damaged tail are
/// estimated, so it must not be more than a real one.
pub(super) const SHORTEST: u64 = HEAD as u64 + 24;
/// Ids stay within what JSON readers keep exact.
pub(super) const LAST_ID: u64 = 1 << 53;

/// The line of a record, its end included.
pub(super) fn encode(id: u64, at: Timestamp, json: &str) -> Vec<u8> {
    let body = format!("{id} {at} {json}");
    let summed = format!("{:08x} {body}", body.len());
    format!("t1 {:08x} {summed}\n", crc32fast::hash(summed.as_bytes())).into_bytes()
}

/// A record that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Line<'a> {
    pub(super) id: u64,
    pub(super) at: Timestamp,
    pub(super) json: &'a str,
}

/// Goes through the bytes of a segment.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes up to the end of the last record that was found, its line's end included if it is there.
    pub(super) valid: usize,
    /// How often bytes had to be skipped to find a record. What follows the last one does not count: it may be about to be written.
    pub(super) damaged: u64,
    skipped: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Scan { bytes, at: 0, valid: 0, damaged: 0, skipped: false }
    }

    fn found(&mut self, line: Line<'a>, len: usize) -> Line<'a> {
        self.at += len;
        if self.bytes.get(self.at) == Some(&b'\n') {
            self.at += 1;
        }
        self.valid = self.at;
        self.damaged += u64::from(std::mem::take(&mut self.skipped));
        line
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            let rest = self.bytes.get(self.at..).filter(|r| !r.is_empty())?;
            if let Some((line, len)) = decode(rest) {
                return Some(self.found(line, len));
            }
            // The damaged byte may be the end of the line before.
            if self.at == self.valid
                && let Some((line, len)) = rest.get(1..).and_then(decode)
            {
                (self.at, self.skipped) = (self.at + 1, true);
                return Some(self.found(line, len));
            }
            // No record begins here: the next one begins after the next end of a line.
            let end = rest.iter().position(|b| *b == b'\n');
            self.skipped |= end != Some(0);
            self.at += end.map_or(rest.len(), |n| n + 1);
        }
    }
}

/// The record at the beginning of the bytes, with its length without the line's end.
fn decode(bytes: &[u8]) -> Option<(Line<'_>, usize)> {
    let head = bytes.get(..HEAD)?;
    let crc = hex(head.strip_prefix(TAG)?)?;
    let len = usize::try_from(hex(head.get(SUMMED..)?)?).ok().filter(|n| *n <= LONGEST)?;
    let summed = bytes.get(SUMMED..HEAD + len)?;
    if crc32fast::hash(summed) != crc {
        return None;
    }
    let body = std::str::from_utf8(summed.get(HEAD - SUMMED..)?).ok()?;
    let mut words = body.splitn(3, ' ');
    let id = words.next()?.parse().ok().filter(|id| (1..=LAST_ID).contains(id))?;
    let at = words.next()?.parse().ok()?;
    Some((Line { id, at, json: words.next()? }, HEAD + len))
}

/// Eight lower-case hexadecimal digits and a blank.
fn hex(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.get(..8).filter(|d| d.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))?;
    (bytes.get(8) == Some(&b' ')).then_some(())?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
