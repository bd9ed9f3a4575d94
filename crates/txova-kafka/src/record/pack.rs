//! Copies records into few allocations. A record that is kept keeps its pack: it must never hold much of its neighbours.

use bytes::{BufMut, Bytes};

use super::{Headers, Record};

/// A pack that has so many bytes is closed, without the record that made it larger: a small one must not keep a large one.
const PACK_BYTES: usize = 4 * 1024;

/// Records of one read, side by side: one allocation for a handful or more, where each had several of its own, freed by
/// another thread than made them.
#[derive(Debug, Default)]
pub(crate) struct Pack {
    bytes: Vec<u8>,
    records: Vec<Packed>,
}

#[derive(Debug)]
struct Packed {
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<usize>,
    value: Option<usize>,
    headers: usize,
}

impl Packed {
    /// Puts a record's bytes behind those that are there.
    fn put<'a, N: AsRef<str>>(
        bytes: &mut Vec<u8>,
        offset: i64,
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (N, Option<&'a [u8]>)>,
    ) -> Self {
        bytes.put_slice(key.unwrap_or_default());
        bytes.put_slice(value.unwrap_or_default());
        let bare = bytes.len();
        for (name, value) in headers {
            Headers::put(bytes, name.as_ref(), value);
        }
        let (key, value) = (key.map(<[u8]>::len), value.map(<[u8]>::len));
        Self { offset, timestamp_ms, key, value, headers: bytes.len() - bare }
    }

    fn size_bytes(&self) -> usize {
        self.key.unwrap_or(0) + self.value.unwrap_or(0) + self.headers
    }

    /// Takes the record's bytes from the front.
    fn unpacked(&self, bytes: &mut Bytes) -> Record {
        Record {
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            key: self.key.map(|length| bytes.split_to(length)),
            value: self.value.map(|length| bytes.split_to(length)),
            headers: Headers { encoded: bytes.split_to(self.headers) },
        }
    }
}

/// Copies a record into a buffer of its own.
pub(crate) fn alone<'a, N: AsRef<str>>(
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (N, Option<&'a [u8]>)>,
) -> Record {
    let mut bytes = Vec::with_capacity(key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + 160);
    let packed = Packed::put(&mut bytes, offset, timestamp_ms, key, value, headers);
    packed.unpacked(&mut Bytes::from(bytes))
}

impl Pack {
    /// Adds a record; answers with [`Record::size_bytes`] of it.
    pub(crate) fn add<'a, N: AsRef<str>>(
        &mut self,
        offset: i64,
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (N, Option<&'a [u8]>)>,
    ) -> usize {
        let packed = Packed::put(&mut self.bytes, offset, timestamp_ms, key, value, headers);
        let size = packed.size_bytes();
        self.records.push(packed);
        size
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= PACK_BYTES
    }

    /// Hands over what was added, in order.
    pub(crate) fn unpack_into(&mut self, records: &mut Vec<Record>) {
        let last = self.records.last().map_or(0, Packed::size_bytes);
        let alone = if self.bytes.len() > PACK_BYTES { last } else { 0 };
        let (together, alone) = self.bytes.split_at(self.bytes.len() - alone);
        let (mut together, mut alone) = (Bytes::copy_from_slice(together), Bytes::copy_from_slice(alone));
        records.extend(self.records.drain(..).map(|packed| {
            let bytes = if together.is_empty() { &mut alone } else { &mut together };
            packed.unpacked(bytes)
        }));
        self.bytes.clear();
        self.bytes.shrink_to(4 * PACK_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_record_is_the_one_that_was_copied_alone() {
        type Given =
            (Option<&'static [u8]>, Option<&'static [u8]>, Vec<(&'static str, Option<&'static [u8]>)>);
        let given: Vec<Given> = vec![
            (Some(b"k"), Some(b"value"), vec![("a", Some(b"1")), ("b", None)]),
            (None, Some(b""), vec![]),
            (Some(b""), None, vec![("", Some(b""))]),
            (None, None, vec![]),
        ];
        let (mut pack, mut records, mut alone) = (Pack::default(), Vec::new(), Vec::new());
        for (at, (key, value, headers)) in given.into_iter().enumerate() {
            let record = Record::copy_from(at as i64, Some(7), key, value, headers.clone());
            assert_eq!(pack.add(at as i64, Some(7), key, value, headers.into_iter()), record.size_bytes());
            alone.push(record);
            if at == 1 {
                pack.unpack_into(&mut records);
            }
        }
        pack.unpack_into(&mut records);
        assert_eq!(records, alone);
    }

    #[test]
    fn a_small_record_does_not_keep_a_large_one() {
        let (mut pack, headers) = (Pack::default(), || std::iter::empty::<(&str, Option<&[u8]>)>());
        for bytes in [50, 0, 1_000_000] {
            assert!(!pack.is_full());
            pack.add(0, None, None, Some(&vec![7; bytes]), headers());
        }
        let mut records = Vec::new();
        pack.unpack_into(&mut records);
        let [small, empty, large] = &records[..] else { panic!("three were added") };
        assert_eq!((small.size_bytes(), empty.size_bytes(), large.size_bytes()), (50, 0, 1_000_000));
        let alone = large.value.clone().expect("a value");
        drop(records);
        assert!(alone.try_into_mut().is_ok(), "nobody else has its bytes");
    }

    #[test]
    fn a_pack_is_full_before_it_holds_much() {
        let (mut pack, headers) = (Pack::default(), || std::iter::empty::<(&str, Option<&[u8]>)>());
        let mut added = 0;
        while !pack.is_full() {
            added += pack.add(0, None, None, Some(&[0; 450]), headers());
        }
        assert!(added < PACK_BYTES + 450);
        pack.unpack_into(&mut Vec::new());
        assert!(!pack.is_full());
        pack.add(0, None, None, Some(&[0; PACK_BYTES]), headers());
        assert!(pack.is_full(), "a large record is alone");
    }
}
