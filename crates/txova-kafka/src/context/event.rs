//! Stands in for the contract until that is merged.
#![allow(missing_docs, dead_code, unreachable_pub)]

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Correlation, causation, actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventContext {
    pub correlation_id: String,
    pub causation_id: Option<String>,
    pub actor: Option<Actor>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Actor {
    pub id: uuid::Uuid,
}

#[derive(Debug, Deserialize)]
pub struct EnvelopeRef<'a> {
    pub id: Cow<'a, str>,
    #[serde(rename = "type")]
    pub event_type: Cow<'a, str>,
    pub version: Cow<'a, str>,
    pub source: Cow<'a, str>,
    pub timestamp: Cow<'a, str>,
    pub correlation_id: Cow<'a, str>,
    pub causation_id: Option<Cow<'a, str>>,
    pub actor: Option<Actor>,
    #[serde(borrow)]
    pub payload: &'a RawValue,
}

impl<'a> EnvelopeRef<'a> {
    pub fn decode(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    pub fn context(&self) -> EventContext {
        EventContext {
            correlation_id: self.correlation_id.clone().into(),
            causation_id: Some(self.id.clone().into()),
            actor: self.actor.clone(),
        }
    }

    pub fn payload<T: Event>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.payload.get())
    }
}

pub trait Event: serde::de::DeserializeOwned {
    const TYPE: &'static str;
    const VERSION: &'static str;
    const TOPIC: &'static str;
}
