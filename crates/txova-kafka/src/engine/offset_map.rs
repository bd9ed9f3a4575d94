//! The offset map: what is done above a committed offset, and how often failing records were tried, as text beside the
//! committed offset. It must never be trusted for another offset than the one it was written with.
//!
//! Layout, base64 without padding around it: a version byte, a form byte (0 runs, 1 bits), the failing records
//! (a count, then for each the distance to the one before, attempts, seconds since 1970 of the first failure), the map,
//! and a CRC-32 over all of that and the committed offset. Numbers are LEB128. Runs are pairs (undone, done), counted
//! from the committed offset; bits are one an offset, lowest bit first. The shorter form is taken. Text that does not
//! check is ignored by the reader: records come again, none is lost.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

const VERSION: u8 = 1;
const RUNS: u8 = 0;
const BITS: u8 = 1;
const CHECKSUM_BYTES: usize = 4;
/// Failing records may take this share of the text at most, so that a wide failure leaves room for the map.
const FAILING_SHARE: usize = 2;

/// What is done above an offset, and which records there are failing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OffsetMap {
    /// Offsets that need not be handled again: ascending, apart from each other, none empty.
    pub done: Vec<Range<i64>>,
    /// Failing records, by offset.
    pub failing: Vec<Failing>,
}

/// A record that failed and is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    pub offset: i64,
    /// Attempts that failed.
    pub attempts: u32,
    /// When the first did, in seconds since 1970.
    pub first_failure_s: i64,
}

/// The text, and whether all of the map found room in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub text: String,
    pub complete: bool,
    /// What is done before this offset is told.
    pub told_to: i64,
}

/// Writes the map for `committed` into at most `max_bytes` of text. What finds no room is cut off at the far end, where
/// it means that records come again. An empty map is no text at all.
pub(crate) fn encode(committed: i64, map: &OffsetMap, max_bytes: usize) -> Encoded {
    if map.done.is_empty() && map.failing.is_empty() {
        return Encoded { text: String::new(), complete: true, told_to: i64::MAX };
    }
    let room = (max_bytes / 4 * 3).saturating_sub(CHECKSUM_BYTES);
    if room < 8 {
        return Encoded { text: String::new(), complete: false, told_to: committed };
    }
    let failing = put_failing(committed, &map.failing, (room - 2) / FAILING_SHARE);
    let map_room = room - 2 - failing.bytes.len();
    let runs = put_runs(committed, &map.done, map_room);
    let bits_bytes = map.done.last().map_or(0, |run| (run.end - committed + 7) / 8);
    let (form, body) = if runs.complete && runs.bytes.len() as i64 <= bits_bytes {
        (RUNS, runs)
    } else {
        let bits = put_bits(committed, &map.done, map_room);
        let bits_win =
            if runs.complete { bits.complete } else { bits.complete || bits.covered > runs.covered };
        if bits_win { (BITS, bits) } else { (RUNS, runs) }
    };
    let mut bytes = vec![VERSION, form];
    bytes.extend_from_slice(&failing.bytes);
    bytes.extend_from_slice(&body.bytes);
    let sum = checksum(&bytes, committed);
    bytes.extend_from_slice(&sum.to_le_bytes());
    let complete = failing.complete && body.complete;
    Encoded { text: BASE64.encode(bytes), complete, told_to: body.told_to }
}

/// Why a text is no map for that offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OffsetMapError {
    #[error("it is not this library's (no base64, or too short)")]
    Foreign,
    #[error("its version is {0}, this library reads {VERSION}")]
    Version(u8),
    #[error("its checksum does not fit this offset")]
    Checksum,
    #[error("it does not follow the layout")]
    Layout,
}

/// Reads the map that was committed with `committed`. No text is an empty map.
pub(crate) fn decode(committed: i64, text: &str) -> Result<OffsetMap, OffsetMapError> {
    if text.is_empty() {
        return Ok(OffsetMap::default());
    }
    let bytes = BASE64.decode(text).map_err(|_| OffsetMapError::Foreign)?;
    let split = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(OffsetMapError::Foreign)?;
    let (content, sum) = bytes.split_at(split);
    match content.first() {
        None => return Err(OffsetMapError::Foreign),
        Some(&VERSION) => {}
        Some(&other) => return Err(OffsetMapError::Version(other)),
    }
    if checksum(content, committed).to_le_bytes() != sum {
        return Err(OffsetMapError::Checksum);
    }
    read(committed, content).ok_or(OffsetMapError::Layout)
}

fn checksum(content: &[u8], committed: i64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(content);
    hasher.update(&committed.to_le_bytes());
    hasher.finalize()
}

struct Part {
    bytes: Vec<u8>,
    complete: bool,
    /// How many done offsets it holds …
    covered: i64,
    /// … which are all before this one.
    told_to: i64,
}

fn put_failing(committed: i64, failing: &[Failing], room: usize) -> Part {
    let mut bytes = Vec::new();
    let mut count = 0;
    let mut before = committed;
    for record in failing {
        let mut one = Vec::new();
        put_number(&mut one, (record.offset - before) as u64);
        put_number(&mut one, u64::from(record.attempts));
        put_number(&mut one, record.first_failure_s.max(0) as u64);
        if bytes.len() + one.len() + 3 > room {
            break; // three bytes are the count's, at most
        }
        bytes.append(&mut one);
        before = record.offset;
        count += 1;
    }
    let mut counted = Vec::with_capacity(bytes.len() + 3);
    put_number(&mut counted, count as u64);
    counted.append(&mut bytes);
    Part { bytes: counted, complete: count == failing.len(), covered: 0, told_to: committed }
}

fn put_runs(committed: i64, done: &[Range<i64>], room: usize) -> Part {
    let mut part = Part { bytes: Vec::new(), complete: true, covered: 0, told_to: i64::MAX };
    let mut before = committed;
    for run in done {
        let length = part.bytes.len();
        put_number(&mut part.bytes, (run.start - before) as u64);
        put_number(&mut part.bytes, (run.end - run.start) as u64);
        if part.bytes.len() > room {
            part.bytes.truncate(length);
            part.complete = false;
            part.told_to = run.start;
            break;
        }
        part.covered += run.end - run.start;
        before = run.end;
    }
    part
}

fn put_bits(committed: i64, done: &[Range<i64>], room: usize) -> Part {
    let limit = committed.saturating_add(room as i64 * 8);
    let mut part = Part { bytes: Vec::new(), complete: true, covered: 0, told_to: i64::MAX };
    for run in done {
        for offset in run.start..run.end.min(limit) {
            let bit = (offset - committed) as usize;
            if part.bytes.len() <= bit / 8 {
                part.bytes.resize(bit / 8 + 1, 0);
            }
            if let Some(byte) = part.bytes.get_mut(bit / 8) {
                *byte |= 1 << (bit % 8);
            }
            part.covered += 1;
        }
        if run.end > limit {
            part.complete = false;
            part.told_to = limit;
            break;
        }
    }
    part
}

fn read(committed: i64, content: &[u8]) -> Option<OffsetMap> {
    let form = *content.get(1)?;
    let mut rest = content.get(2..)?;
    let mut map = OffsetMap::default();
    let mut before = committed;
    for _ in 0..take_number(&mut rest)? {
        let offset = before.checked_add(take_distance(&mut rest)?)?;
        let attempts = u32::try_from(take_number(&mut rest)?).ok()?;
        let first_failure_s = take_distance(&mut rest)?;
        map.failing.push(Failing { offset, attempts, first_failure_s });
        before = offset;
    }
    match form {
        RUNS => {
            let mut before = committed;
            while !rest.is_empty() {
                let start = before.checked_add(take_distance(&mut rest)?)?;
                let end = start.checked_add(take_distance(&mut rest)?)?;
                if start == end {
                    return None;
                }
                map.done.push(start..end);
                before = end;
            }
        }
        BITS => {
            for bit in 0..rest.len() * 8 {
                if rest.get(bit / 8)? >> (bit % 8) & 1 == 0 {
                    continue;
                }
                let offset = committed.checked_add(bit as i64)?;
                let end = offset.checked_add(1)?;
                match map.done.last_mut() {
                    Some(run) if run.end == offset => run.end = end,
                    _ => map.done.push(offset..end),
                }
            }
        }
        _ => return None,
    }
    Some(map)
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_distance(rest: &mut &[u8]) -> Option<i64> {
    i64::try_from(take_number(rest)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 4096;

    /// Ascending, separate runs above `committed` from pairs (undone, done).
    fn runs(committed: i64, pairs: &[(i64, i64)]) -> Vec<Range<i64>> {
        let mut at = committed;
        let mut done = Vec::new();
        for (undone, length) in pairs {
            let start = at + undone;
            done.push(start..start + length);
            at = start + length;
        }
        done
    }

    #[test]
    fn a_map_is_refused_with_another_offset_than_its_own() {
        let map = OffsetMap { done: runs(100, &[(1, 5)]), failing: vec![] };
        let text = encode(100, &map, LIMIT).text;
        assert_eq!(decode(100, &text), Ok(map));
        assert_eq!(decode(101, &text), Err(OffsetMapError::Checksum));
    }

    #[test]
    fn foreign_text_newer_versions_and_damage_are_told_apart_and_refused() {
        assert_eq!(decode(0, "a consumer's own note"), Err(OffsetMapError::Foreign));
        assert_eq!(decode(0, "AQ"), Err(OffsetMapError::Foreign));
        let newer = BASE64.encode([9, 0, 0, 1, 1, 0, 0, 0, 0]);
        assert_eq!(decode(0, &newer), Err(OffsetMapError::Version(9)));
        let text = encode(7, &OffsetMap { done: runs(7, &[(3, 4)]), failing: vec![] }, LIMIT).text;
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(bytes).unwrap();
            assert!(decode(7, &damaged).is_err(), "damage at {place} went unnoticed");
        }
    }

    #[test]
    fn an_overfull_map_loses_its_far_end_only_and_says_so() {
        let done = runs(0, &vec![(200, 1); 5000]);
        let encoded = encode(0, &OffsetMap { done: done.clone(), failing: vec![] }, LIMIT);
        assert!(!encoded.complete && encoded.text.len() <= LIMIT);
        let read = decode(0, &encoded.text).unwrap().done;
        assert!(read.len() > 900, "{}", read.len());
        assert_eq!(read, done[..read.len()]);
    }

    #[test]
    fn every_other_offset_done_costs_a_bit_each() {
        let done = runs(0, &vec![(1, 1); 10_000]);
        let encoded = encode(0, &OffsetMap { done: done.clone(), failing: vec![] }, LIMIT);
        assert!(encoded.complete, "20,000 offsets are 2,500 bytes of bits");
        assert_eq!(decode(0, &encoded.text).unwrap().done, done);
    }

    #[test]
    fn many_failing_records_leave_room_for_the_map() {
        let failing: Vec<_> = (0..2000)
            .map(|n| Failing { offset: n * 2, attempts: 3, first_failure_s: 1_790_000_000 })
            .collect();
        let done = runs(0, &vec![(1, 1); 2000]);
        let encoded = encode(0, &OffsetMap { done: done.clone(), failing: failing.clone() }, LIMIT);
        assert!(!encoded.complete && encoded.text.len() <= LIMIT);
        let read = decode(0, &encoded.text).unwrap();
        assert_eq!(read.done, done);
        assert_eq!(read.failing, failing[..read.failing.len()]);
        assert!(read.failing.len() > 100);
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written_or_less_of_its_far_end(
            committed in 0..i64::MAX / 2,
            pairs in prop::collection::vec((1..5000i64, 1..5000i64), 0..1500),
            failing in prop::collection::vec((0..1000i64, 1..9u32), 0..300),
            limit in 0..LIMIT,
        ) {
            let done = runs(committed, &pairs);
            let mut at = committed;
            let failing: Vec<_> = failing.into_iter().map(|(gap, attempts)| {
                at += gap + 1;
                Failing { offset: at, attempts, first_failure_s: 1_790_000_000 }
            }).collect();
            let map = OffsetMap { done: done.clone(), failing: failing.clone() };
            let encoded = encode(committed, &map, limit);
            prop_assert!(encoded.text.len() <= limit);
            let read = decode(committed, &encoded.text).unwrap();
            if encoded.complete {
                prop_assert_eq!(&read, &map);
            }
            prop_assert_eq!(&read.failing[..], &failing[..read.failing.len()]);
            let told = |offset: i64| read.done.iter().any(|run| run.contains(&offset));
            for run in done.iter().filter(|run| run.start < encoded.told_to) {
                prop_assert!(told(run.start) && told(run.end.min(encoded.told_to) - 1), "{run:?} is not told");
            }
            for run in &read.done {
                prop_assert!(done.iter().any(|d| d.start == run.start && run.end <= d.end), "{run:?} was never done");
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(committed: i64, text in "[A-Za-z0-9+/]{0,200}", bytes: Vec<u8>) {
            let _ = decode(committed, &text);
            let _ = decode(committed, &String::from_utf8_lossy(&bytes));
            let mut content = vec![VERSION];
            content.extend_from_slice(&bytes);
            content.extend_from_slice(&checksum(&content, committed).to_le_bytes());
            let _ = decode(committed, &BASE64.encode(content));
        }
    }
}
