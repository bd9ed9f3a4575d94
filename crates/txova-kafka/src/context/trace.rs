//! W3C trace context as it travels in record headers. Parses and prints; it must never know a tracing library.

use std::fmt;
use std::fmt::Write as _;
use std::str::from_utf8;
use std::sync::Arc;

use crate::record::Headers;

use self::list::{is_baggage, is_tracestate};

mod list;

/// Sampled, and (since level 2) random trace id. Other bits are to be sent as zero by whoever does not know them.
const KNOWN_FLAGS: u8 = 0b11;

/// A trace's identity on its way through records: `traceparent`, `tracestate` and `baggage`
/// ([W3C Trace Context](https://www.w3.org/TR/trace-context/), [W3C Baggage](https://www.w3.org/TR/baggage/)).
///
/// ```
/// use txova_kafka::{Headers, TraceContext};
///
/// let incoming = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let headers: Headers = [("traceparent", Some(incoming.as_bytes()))].into_iter().collect();
/// let trace = TraceContext::from_headers(&headers).expect("well formed");
/// assert!(trace.is_sampled());
/// assert_eq!(trace.traceparent(), incoming);
///
/// let mine = trace.child([0, 0, 0, 0, 0, 0, 0, 9]);
/// assert_eq!(mine.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000009-01");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
    tracestate: Option<Arc<str>>,
    baggage: Option<Arc<str>>,
}

impl TraceContext {
    /// The name of the header with trace id, parent id and flags.
    pub const TRACEPARENT: &'static str = "traceparent";
    /// The name of the header with what tracing vendors add.
    pub const TRACESTATE: &'static str = "tracestate";
    /// The name of the header with the application's own names and values.
    pub const BAGGAGE: &'static str = "baggage";

    /// A trace with neither `tracestate` nor `baggage`. `None` where an id is all zeros, which the standard forbids.
    pub fn new(trace_id: [u8; 16], parent_id: [u8; 8], sampled: bool) -> Option<Self> {
        let valid = trace_id != [0; 16] && parent_id != [0; 8];
        valid.then_some(Self {
            trace_id,
            parent_id,
            flags: u8::from(sampled),
            tracestate: None,
            baggage: None,
        })
    }

    /// Reads a record's headers, the last of a name where it repeats.
    ///
    /// `None` without a well-formed `traceparent`; baggage alone is no trace and is not carried on. A malformed
    /// `tracestate` or `baggage` is left out alone, as the standard asks: the trace goes on without it.
    pub fn from_headers(headers: &Headers) -> Option<Self> {
        if headers.is_empty() {
            return None;
        }
        Self::read(headers.iter())
    }

    pub(crate) fn read<'a>(headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> Option<Self> {
        let (mut traceparent, mut tracestate, mut baggage) = (None, None, None);
        for (name, value) in headers {
            match name {
                Self::TRACEPARENT => traceparent = value,
                Self::TRACESTATE => tracestate = value,
                Self::BAGGAGE => baggage = value,
                _ => {}
            }
        }
        let text = |value: Option<&'_ [u8]>, well_formed: fn(&str) -> bool| {
            let text = from_utf8(value?).ok()?.trim_matches([' ', '\t']);
            well_formed(text).then(|| Arc::from(text))
        };
        Some(Self {
            tracestate: text(tracestate, is_tracestate),
            baggage: text(baggage, is_baggage),
            ..Self::from_traceparent(from_utf8(traceparent?).ok()?)?
        })
    }

    /// Reads a `traceparent` of version 00, or the part of a later version's that 00 knows.
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (known, beyond) = bytes.split_at_checked(55)?;
        let [version] = hex(&known[..2])?;
        let length_fits = match version {
            0 => beyond.is_empty(),
            0xff => false,
            _ => beyond.is_empty() || beyond[0] == b'-',
        };
        if !length_fits || [known[2], known[35], known[52]] != *b"---" {
            return None;
        }
        let [flags] = hex(&known[53..])?;
        let trace = Self::new(hex(&known[3..35])?, hex(&known[36..52])?, false)?;
        Some(Self { flags: flags & KNOWN_FLAGS, ..trace })
    }

    /// The same trace with `span_id` as the parent of what follows. An all-zero id, which the standard forbids, leaves
    /// the parent as it was.
    pub fn child(&self, span_id: [u8; 8]) -> Self {
        let parent_id = if span_id == [0; 8] { self.parent_id } else { span_id };
        Self { parent_id, ..self.clone() }
    }

    /// With these lists in place of its own, each left out where it is empty or malformed.
    #[cfg(feature = "otel")]
    pub(crate) fn with_lists(self, tracestate: Option<&str>, baggage: Option<&str>) -> Self {
        let tracestate = tracestate.filter(|list| is_tracestate(list)).map(Arc::from);
        let baggage = baggage.filter(|list| is_baggage(list)).map(Arc::from);
        Self { tracestate, baggage, ..self }
    }

    /// The id all spans of the trace share.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the span that caused this one.
    pub fn parent_id(&self) -> [u8; 8] {
        self.parent_id
    }

    /// Whether the caller recorded its spans.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// What tracing vendors added, as it came.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    /// The application's own names and values, as they came.
    pub fn baggage(&self) -> Option<&str> {
        self.baggage.as_deref()
    }

    /// The `traceparent` header's text, version 00.
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        push_hex(&mut text, &self.trace_id);
        text.push('-');
        push_hex(&mut text, &self.parent_id);
        text.push('-');
        push_hex(&mut text, &[self.flags]);
        text
    }

    /// The headers to send: `traceparent`, then `tracestate` and `baggage` where there are any.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        let optional =
            |name, value: &Option<Arc<str>>| value.as_deref().map(|value| (name, value.to_owned()));
        std::iter::once((Self::TRACEPARENT, self.traceparent()))
            .chain(optional(Self::TRACESTATE, &self.tracestate))
            .chain(optional(Self::BAGGAGE, &self.baggage))
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the baggage's content: it may name people.
        f.debug_struct("TraceContext")
            .field("traceparent", &self.traceparent())
            .field("tracestate", &self.tracestate)
            .field("baggage_bytes", &self.baggage.as_ref().map_or(0, |baggage| baggage.len()))
            .finish()
    }
}

/// Lower-case only: upper-case hex is malformed by the standard.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "{byte:02x}").ok(); // writing to a String cannot fail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn from(headers: &[(&str, &str)]) -> Option<TraceContext> {
        let headers = headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
        TraceContext::from_headers(&headers)
    }

    #[test]
    fn a_malformed_traceparent_is_no_trace_at_all() {
        for malformed in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ção",
            "çççççççççççççççççççççççççççççççççççççççççççççççççççççççç",
        ] {
            assert_eq!(from(&[("traceparent", malformed), ("tracestate", "a=1")]), None, "{malformed}");
        }
        let no_utf8: Headers = [("traceparent", Some(&[0xff; 55][..]))].into_iter().collect();
        let no_value: Headers = [("traceparent", None)].into_iter().collect();
        assert_eq!(
            (TraceContext::from_headers(&no_utf8), TraceContext::from_headers(&no_value)),
            (None, None)
        );
    }

    #[test]
    fn a_malformed_tracestate_or_baggage_is_left_out_and_the_trace_goes_on() {
        let repeated = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        for state in ["", "novalue", "A=1", "a=1,a=2", "a=b=c", "a@=1", "a=\u{e9}", "a=", repeated.as_str()] {
            let trace = from(&[("traceparent", PARENT), ("tracestate", state)]).expect("the trace goes on");
            assert_eq!(trace.tracestate(), None, "{state}");
        }
        for baggage in ["", "novalue", "a b=1", "a=1 2", "a=\"1\"", "=1", "a=1;;", "a=\u{e9}"] {
            let trace = from(&[("traceparent", PARENT), ("baggage", baggage)]).expect("the trace goes on");
            assert_eq!(trace.baggage(), None, "{baggage}");
        }
    }

    #[test]
    fn what_comes_in_goes_out_as_it_was() {
        let given = [
            ("traceparent", PARENT),
            ("tracestate", "rojo=00f067aa0ba902b7,fw529a3039@dt=FfffFf , congo=t61"),
            ("baggage", "userId=am%C3%A9lia, serverNode = DF%2028;p1;p2=v ,isProduction=false"),
        ];
        let out: Vec<_> = from(&given).expect("well formed").headers().collect();
        assert_eq!(out, given.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known_and_sent_as_00() {
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-the-future-brings";
        let sent = from(&[("traceparent", later)]).expect("well formed").traceparent();
        assert_eq!(sent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03");
    }

    #[test]
    fn the_last_header_of_a_name_counts() {
        let trace = from(&[("traceparent", "nonsense"), ("traceparent", PARENT)]).expect("well formed");
        assert_eq!(trace.traceparent(), PARENT);
    }

    #[test]
    fn a_child_keeps_all_but_the_parent() {
        let trace =
            from(&[("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "b=2")]).expect("well formed");
        let child = trace.child([7; 8]);
        assert_eq!(child.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0707070707070707-01");
        assert_eq!((child.tracestate(), child.baggage()), (Some("a=1"), Some("b=2")));
        assert_eq!(trace.child([0; 8]), trace, "an all-zero id is no span");
    }

    #[test]
    fn baggage_stays_out_of_debug_output() {
        let trace = from(&[("traceparent", PARENT), ("baggage", "user=amelia")]).expect("well formed");
        assert!(!format!("{trace:?}").contains("amelia"));
    }
}
