//! On which partition a key lies. It must never know topics or events.

/// The hash of the Java client (murmur2), as it computes it for a key's bytes.
pub fn murmur2(key: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let mix = |k: u32| {
        let k = k.wrapping_mul(M);
        (k ^ (k >> 24)).wrapping_mul(M)
    };
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let word = word.iter().rev().fold(0, |k, &byte| (k << 8) | u32::from(byte));
        hash = hash.wrapping_mul(M) ^ mix(word);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |k, &byte| (k << 8) | u32::from(byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}

/// The hash of the Go services' producers (FNV-1a, 32 bit).
pub fn fnv1a(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |hash: u32, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Which hash places keys on partitions. All producers of a topic must agree, or an entity's events part ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Partitioner {
    /// The Java client's, and the platform's.
    #[default]
    Murmur2,
    /// The Go services', for the time of a migration.
    Fnv1a,
}

impl Partitioner {
    /// The partition of `key` among `partitions`; 0 where there are none.
    ///
    /// ```
    /// use txova_events::partition::Partitioner;
    ///
    /// let key = b"38385790-2631-476f-bae7-6170a54995f1";
    /// assert_eq!(Partitioner::Murmur2.partition(key, 12), 8);
    /// assert_eq!(Partitioner::Fnv1a.partition(key, 12), 2);
    /// ```
    pub fn partition(self, key: &[u8], partitions: u32) -> u32 {
        if partitions == 0 {
            return 0;
        }
        match self {
            Self::Murmur2 => (murmur2(key) & 0x7fff_ffff).cast_unsigned() % partitions,
            Self::Fnv1a => {
                let remainder = i64::from(fnv1a(key).cast_signed()) % i64::from(partitions);
                u32::try_from(remainder.abs()).unwrap_or(0)
            }
        }
    }
}
