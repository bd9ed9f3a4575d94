//! The grammar of `tracestate` and `baggage`: well formed or not. It must never know what their members mean.

/// Bytes of `tracestate` or `baggage` beyond which the header is not carried on.
const LIST_LIMIT_BYTES: usize = 8192;
const TRACESTATE_LIMIT_MEMBERS: usize = 32;
const BAGGAGE_LIMIT_MEMBERS: usize = 180;

/// The members of a comma-separated list, blanks around them taken off, empty ones left out.
fn members(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty())
}

pub(super) fn is_tracestate(list: &str) -> bool {
    let mut keys = Vec::new();
    for member in members(list) {
        let Some((key, value)) = member.split_once('=') else { return false };
        if !is_tracestate_key(key) || !is_tracestate_value(value) || keys.contains(&key) {
            return false;
        }
        keys.push(key);
        if keys.len() > TRACESTATE_LIMIT_MEMBERS {
            return false;
        }
    }
    !keys.is_empty() && list.len() <= LIST_LIMIT_BYTES
}

fn is_tracestate_key(key: &str) -> bool {
    let starts_well =
        |part: &str| part.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let only_known = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'*' | b'/'))
    };
    let part = |part: &str, limit: usize| part.len() <= limit && starts_well(part) && only_known(part);
    match key.split_once('@') {
        None => part(key, 256),
        Some((tenant, system)) => part(tenant, 241) && part(system, 14),
    }
}

fn is_tracestate_value(value: &str) -> bool {
    (1..=256).contains(&value.len()) && value.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'=')
}

pub(super) fn is_baggage(list: &str) -> bool {
    let is_member = |member: &str| {
        let mut parts = member.split(';').map(|part| part.trim_matches([' ', '\t']));
        let is_pair = |pair: &str| {
            pair.split_once('=').is_some_and(|(key, value)| {
                is_token(key.trim_end_matches([' ', '\t']))
                    && is_baggage_value(value.trim_start_matches([' ', '\t']))
            })
        };
        parts.next().is_some_and(is_pair) && parts.all(|property| is_token(property) || is_pair(property))
    };
    list.len() <= LIST_LIMIT_BYTES
        && (1..=BAGGAGE_LIMIT_MEMBERS).contains(&members(list).count())
        && members(list).all(is_member)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn is_baggage_value(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x21..=0x7e) && !matches!(b, b'"' | b',' | b';' | b'\\'))
}
