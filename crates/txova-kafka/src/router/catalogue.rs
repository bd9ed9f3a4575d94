//! The event types there are and the topics they arrive on, whether handled here or not. Knows only names.

use std::collections::BTreeMap;

use txova_events::topics::{CATALOGUE, accepted_topics};

use super::pattern::Pattern;

/// Event type → the topics it is accepted from.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalogue(BTreeMap<String, Vec<String>>);

impl Catalogue {
    pub(super) fn platform() -> Self {
        let mut catalogue = Self::default();
        for entry in &CATALOGUE {
            catalogue.add(entry.event_type.to_owned(), accepted_topics(entry.event_type));
        }
        catalogue
    }

    pub(super) fn add<T: Into<String>>(&mut self, event_type: String, topics: impl IntoIterator<Item = T>) {
        add_all(self.0.entry(event_type).or_default(), topics.into_iter().map(Into::into));
    }

    pub(super) fn lists(&self, event_type: &str) -> bool {
        self.0.contains_key(event_type)
    }

    /// The topics of every type the pattern matches, each once.
    pub(super) fn topics(&self, pattern: &Pattern) -> Vec<String> {
        let mut topics = Vec::new();
        for (_, of_type) in self.0.iter().filter(|(event_type, _)| pattern.matches(event_type)) {
            add_all(&mut topics, of_type.iter().cloned());
        }
        topics
    }
}

pub(super) fn add_all(topics: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    for topic in more {
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
}
