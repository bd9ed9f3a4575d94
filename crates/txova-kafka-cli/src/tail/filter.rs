//! Which records are shown. It must never know how.

use clap::Args;
use txova_events::EnvelopeRef;
use txova_events::topics::CATALOGUE;
use txova_kafka::Record;

use crate::failure::Failure;
use crate::nearest::did_you_mean;

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filter")]
pub(super) struct FilterArgs {
    /// Only events of this type, or of these: `ride.*`. May be said several times.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only records of this key. May be said several times.
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Only records whose value holds this text.
    #[arg(long = "text", value_name = "TEXT")]
    text: Option<String>,
}

pub(super) struct Filter<'a> {
    args: &'a FilterArgs,
}

impl<'a> Filter<'a> {
    /// A type of the platform's domains that is none of its events is refused: it would show nothing for ever.
    pub(super) fn new(args: &'a FilterArgs) -> Result<Self, Failure> {
        for wanted in &args.types {
            let (domain, _) = wanted.split_once('.').unwrap_or((wanted, ""));
            let is_ours = CATALOGUE.iter().any(|entry| entry.event_type.split('.').next() == Some(domain));
            let is_known = wanted.contains('*') || CATALOGUE.iter().any(|entry| entry.event_type == wanted);
            if is_ours && !is_known {
                let hint = did_you_mean(wanted, CATALOGUE.map(|entry| entry.event_type));
                return Err(Failure::Usage(format!("--type {wanted}: there is no such event{hint}")));
            }
        }
        Ok(Self { args })
    }

    pub(super) fn takes(&self, record: &Record) -> bool {
        let FilterArgs { types, keys, text } = self.args;
        let value = record.value.as_deref().unwrap_or_default();
        let is_key = |key: &String| record.key.as_deref() == Some(key.as_bytes());
        let holds = |text: &String| value.windows(text.len().max(1)).any(|part| part == text.as_bytes());
        (keys.is_empty() || keys.iter().any(is_key))
            && text.as_ref().is_none_or(holds)
            && (types.is_empty() || self.is_of_type(record))
    }

    fn is_of_type(&self, record: &Record) -> bool {
        let is_wanted = |event_type: &str| self.args.types.iter().any(|wanted| fits(wanted, event_type));
        match EnvelopeRef::decode(record.value.as_deref().unwrap_or_default()) {
            Ok(envelope) => is_wanted(&envelope.event_type),
            // A dead letter is no envelope, and says the type beside it.
            Err(_) => record.headers.text("event_type").is_some_and(is_wanted),
        }
    }
}

/// `*` at the end stands for anything.
fn fits(wanted: &str, event_type: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(begin) => event_type.starts_with(begin),
        None => event_type == wanted,
    }
}

#[cfg(test)]
mod tests {
    use txova_events::example::Ride;

    use super::*;

    fn record(event_type: &str, key: &str) -> Record {
        let value = Ride::seeded(1).event(event_type).unwrap().encode();
        let headers = std::iter::empty::<(&str, Option<&[u8]>)>();
        Record::copy_from(0, None, Some(key.as_bytes()), Some(&value), headers)
    }

    fn takes(args: FilterArgs, record: &Record) -> bool {
        Filter::new(&args).unwrap().takes(record)
    }

    #[test]
    fn records_are_chosen_by_type_key_and_text_and_all_must_fit() {
        let rated = record("ride.rated", "r1");
        let of_types = |types: &[&str]| FilterArgs {
            types: types.iter().map(|wanted| (*wanted).to_owned()).collect(),
            ..FilterArgs::default()
        };
        assert!(takes(FilterArgs::default(), &rated));
        assert!(takes(of_types(&["ride.*"]), &rated));
        assert!(takes(of_types(&["user.*", "ride.rated"]), &rated));
        assert!(!takes(of_types(&["ride.started"]), &rated));
        let keyed = FilterArgs { keys: vec!["r2".to_owned()], ..of_types(&["ride.*"]) };
        assert!(!takes(keyed.clone(), &rated) && takes(keyed, &record("ride.rated", "r2")));
        let text = |text: &str| FilterArgs { text: Some(text.to_owned()), ..FilterArgs::default() };
        assert!(takes(text("rated_by"), &rated) && !takes(text("nowhere"), &rated));
    }

    #[test]
    fn a_slip_in_a_type_is_told_and_a_foreign_type_is_taken() {
        let new = |wanted: &str| {
            let args = FilterArgs { types: vec![wanted.to_owned()], ..FilterArgs::default() };
            Filter::new(&args).map(|_| ()).map_err(|failure| failure.to_string())
        };
        let told = new("ride.ratd").unwrap_err();
        assert_eq!(told, "--type ride.ratd: there is no such event (did you mean ride.rated?)");
        assert_eq!(new("parcel.moved"), Ok(()));
    }

    #[test]
    fn a_dead_letter_is_of_the_type_its_header_says() {
        let headers = [("event_type", Some(&b"ride.rated"[..]))];
        let letter = Record::copy_from(0, None, None, Some(b"{"), headers);
        assert!(takes(FilterArgs { types: vec!["ride.*".to_owned()], ..FilterArgs::default() }, &letter));
    }
}
