//! Records as they cross the library: owned, cheap to clone. Knows nothing of clients or events.

mod pack;
mod readable_key;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

pub(crate) use self::pack::{Pack, alone};
pub use self::readable_key::ReadableKey;

/// One partition of one topic.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name, shared by every record of the topic.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A record read from a topic.
///
/// Key, value and headers are slices of one buffer: a clone copies no bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offset in its partition.
    pub offset: i64,
    /// Milliseconds since the Unix epoch, as the broker or the producer stamped it; `None` where the log has none.
    pub timestamp_ms: Option<i64>,
    /// The key's bytes; `None` is a null key, which is not the same as a key of no bytes.
    pub key: Option<Bytes>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Headers,
}

impl Record {
    /// Copies a record's parts into one buffer.
    pub fn copy_from<'a, H>(
        offset: i64,
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Self
    where
        H: IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    {
        pack::alone(offset, timestamp_ms, key, value, headers.into_iter())
    }

    /// Bytes of key, value and headers: what the record counts for in limits.
    pub fn size_bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        length(&self.key) + length(&self.value) + self.headers.encoded.len()
    }
}

/// A record's headers, in order. Names may repeat; a value may be absent.
///
/// Kept in one flat buffer (name length, name, value length + 1 or 0, value), read without copying.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    encoded: Bytes,
}

impl Headers {
    /// The last header of that name, as Kafka's own clients read it. `None` where there is none or it has no value.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().filter(|(n, _)| *n == name).last().and_then(|(_, value)| value)
    }

    /// The last header of that name as text; `None` where it is absent or no UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// All headers, in order.
    pub fn iter(&self) -> HeadersIter<'_> {
        HeadersIter { rest: &self.encoded }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    fn put(buffer: &mut impl BufMut, name: &str, value: Option<&[u8]>) {
        buffer.put_u32_ne(name.len() as u32);
        buffer.put_slice(name.as_bytes());
        match value {
            None => buffer.put_u32_ne(0),
            Some(value) => {
                buffer.put_u32_ne(value.len() as u32 + 1);
                buffer.put_slice(value);
            }
        }
    }
}

impl<'a> FromIterator<(&'a str, Option<&'a [u8]>)> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a str, Option<&'a [u8]>)>>(headers: I) -> Self {
        let mut buffer = BytesMut::new();
        for (name, value) in headers {
            Self::put(&mut buffer, name, value);
        }
        Self { encoded: buffer.freeze() }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, value.map(String::from_utf8_lossy))))
            .finish()
    }
}

/// Iterates over [`Headers`].
#[derive(Clone, Debug)]
pub struct HeadersIter<'a> {
    rest: &'a [u8],
}

impl<'a> HeadersIter<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn take_length(&mut self) -> Option<usize> {
        let bytes = self.take(4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?) as usize)
    }
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let length = self.take_length()?;
        let name = std::str::from_utf8(self.take(length)?).ok()?;
        let value = match self.take_length()? {
            0 => None,
            length => Some(self.take(length - 1)?),
        };
        Some((name, value))
    }
}

/// A record to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition; `None` leaves it to the partitioner and the key.
    pub partition: Option<i32>,
    /// The key's bytes; `None` is a null key.
    pub key: Option<Bytes>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<(Cow<'static, str>, Option<Bytes>)>,
    /// Milliseconds since the Unix epoch; `None` takes the time of sending.
    pub timestamp_ms: Option<i64>,
}

impl OutgoingRecord {
    /// Bytes of key, value and headers.
    pub fn size_bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + length(value)).sum();
        length(&self.key) + length(&self.value) + headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_key_and_a_key_of_no_bytes_stay_apart() {
        let null = Record::copy_from(0, None, None, Some(b""), []);
        let empty = Record::copy_from(0, None, Some(b""), None, []);
        assert_eq!((null.key, null.value), (None, Some(Bytes::new())));
        assert_eq!((empty.key, empty.value), (Some(Bytes::new()), None));
    }

    #[test]
    fn headers_keep_order_repeats_and_absent_values() {
        let given: Vec<(&str, Option<&[u8]>)> =
            vec![("a", Some(b"1")), ("b", None), ("a", Some(b"")), ("", Some(b"x"))];
        let record = Record::copy_from(7, Some(1), Some(b"k"), Some(b"v"), given.clone());
        assert_eq!(record.headers.iter().collect::<Vec<_>>(), given);
        assert_eq!(record.headers.get("a"), Some(&b""[..]));
        assert_eq!(record.headers.get("b"), None);
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"k"[..]), Some(&b"v"[..])));
    }
}
