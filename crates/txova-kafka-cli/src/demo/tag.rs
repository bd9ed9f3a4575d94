//! Ids that say what they are about: which run, which trip, which step. UUIDs of version 8, made from nothing but that,
//! so that a run can be repeated and an event can be told from one of another run. It must never know events.

use uuid::Uuid;

/// A run's number, at most 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run(u64);

impl Run {
    /// The run on a cluster of its own: always the same ids.
    pub(crate) const ALONE: Self = Self(1);

    /// A run among others, told apart by when it began.
    pub(crate) fn begun_at(unix_ms: i64) -> Self {
        Self(unix_ms.unsigned_abs() & 0xFFFF_FFFF_FFFF)
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// What an id is the id of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Ride = 1,
    Payment,
    Driver,
    Rider,
    Vehicle,
    Event,
    Poison,
}

/// The id of `kind` for a trip (or a driver) and, for events, its step.
pub(crate) fn id(run: Run, kind: Kind, number: u32, step: u8) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&run.0.to_be_bytes()[2..]);
    bytes[6] = 0x80;
    bytes[7] = kind as u8;
    bytes[8] = 0x80;
    bytes[9..13].copy_from_slice(&number.to_be_bytes());
    bytes[13] = step;
    let check = check(&bytes);
    bytes[14..].copy_from_slice(&check);
    Uuid::from_bytes(bytes)
}

/// Trip (or driver) and step of an id of `kind` that `run` made; `None` for every other text.
pub(crate) fn read(run: Run, kind: Kind, text: &str) -> Option<(u32, u8)> {
    let bytes = Uuid::try_parse(text).ok()?.into_bytes();
    let number = u32::from_be_bytes([bytes[9], bytes[10], bytes[11], bytes[12]]);
    let step = bytes[13];
    (id(run, kind, number, step).into_bytes() == bytes).then_some((number, step))
}

/// Two bytes of FNV-1a over the others, so that a foreign id is hardly ever taken for one of ours.
fn check(bytes: &[u8; 16]) -> [u8; 2] {
    let hash = bytes[..14]
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_be_bytes();
    [a ^ c, b ^ d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_run_another_kind_or_another_maker_is_not_read() {
        let ours = id(Run(7), Kind::Event, 5154, 8).to_string();
        assert_eq!(read(Run(8), Kind::Event, &ours), None);
        assert_eq!(read(Run(7), Kind::Ride, &ours), None);
        assert_eq!(read(Run(7), Kind::Event, &Uuid::now_v7().to_string()), None);
        assert_eq!(read(Run(7), Kind::Event, "poison"), None);
        assert_eq!(read(Run(7), Kind::Event, &ours), Some((5154, 8)));
    }

    #[test]
    fn the_same_trip_and_step_give_the_same_valid_uuid() {
        let made = id(Run::ALONE, Kind::Ride, 3, 0);
        assert_eq!(made, id(Run::ALONE, Kind::Ride, 3, 0));
        assert_ne!(made, id(Run::ALONE, Kind::Ride, 4, 0));
        assert_eq!((made.get_version_num(), made.get_variant()), (8, uuid::Variant::RFC4122));
    }
}
