//! From what was registered to routes, or to all that is wrong with it.

use std::collections::HashMap;
use std::sync::Arc;

use super::catalogue::{Catalogue, add_all};
use super::pattern::Pattern;
use super::routes::{Route, Routes, Table};
use super::unexpected::Counts;
use super::{Registration, Router, RouterError, RouterProblem};
use crate::extract::States;

pub(super) fn build(router: Router) -> Result<Routes, RouterError> {
    let Router {
        registrations,
        catalogue,
        policies,
        states,
        layers,
        classify,
        in_transactions,
        mut problems,
    } = router;
    let mut catalogue = catalogue.unwrap_or_else(Catalogue::platform);
    if registrations.is_empty() {
        problems.push(RouterProblem::NoHandlers);
    }
    for event in registrations.iter().flat_map(|registration| registration.needs.events()) {
        catalogue.add(event.event_type.to_owned(), event.topics.iter().copied());
    }
    let mut routes: Vec<Route> = Vec::new();
    let mut topics = Vec::new();
    let mut batches = Vec::new();
    for registration in registrations {
        missing_states(&registration, &states, &mut problems);
        if registration.needs.has_transaction() && !in_transactions {
            problems.push(RouterProblem::NoTransactions { setting: registration.setting() });
        }
        let Some(pattern) = pattern_of(&registration, &mut problems) else { continue };
        if let Some(first) = routes.iter().find(|route| route.pattern == pattern) {
            problems.push(RouterProblem::TwoHandlers {
                pattern: pattern.to_string(),
                first: first.name.to_string(),
                second: registration.name.clone(),
            });
        }
        add_all(&mut topics, topics_of(&registration, &pattern, &catalogue, &mut problems));
        let batch = registration.batching.map(|batching| {
            if let Some(reason) = batching.problem() {
                problems.push(RouterProblem::Batching { setting: registration.setting(), reason });
            }
            batches.push(batching);
            batches.len() as u32 - 1
        });
        if let Some(reason) = registration.retry.and_then(|policy| policy.problem()) {
            problems.push(RouterProblem::Retry { setting: registration.setting(), reason });
        }
        let handler = layers.around(&registration.layers, registration.handler);
        let (name, retry) = (Arc::from(registration.name), registration.retry);
        let classify = registration.classify.or_else(|| classify.clone());
        routes.push(Route { pattern, name, handler, batch, retry, classify });
    }
    if !problems.is_empty() {
        return Err(RouterError { problems });
    }
    routes.sort_by(|a, b| Pattern::by_precedence(&a.pattern, &b.pattern));
    let exact = routes.iter().enumerate().filter_map(|(at, route)| match &route.pattern {
        Pattern::Exact(event_type) => Some((event_type.clone(), at)),
        Pattern::Prefix(_) => None,
    });
    let exact: HashMap<String, usize, _> = exact.collect();
    Ok(Routes::new(Table {
        first_prefix: exact.len(),
        exact,
        routes,
        batches,
        catalogue,
        policies,
        states,
        topics,
        counts: Counts::default(),
        no_handler: Arc::from("-"),
    }))
}

/// The types this registration is for, as checked against the `Event<T>` it takes.
fn pattern_of(registration: &Registration, problems: &mut Vec<RouterProblem>) -> Option<Pattern> {
    let (setting, handler) = (registration.setting(), registration.name.clone());
    let events = registration.needs.events();
    if events.len() > 1 {
        let types = events.iter().map(|event| event.event_type).collect();
        problems.push(RouterProblem::SeveralEvents { setting, types });
        return None;
    }
    let text = match (&registration.pattern, events.first()) {
        (Some(pattern), _) => pattern.as_str(),
        (None, Some(event)) => event.event_type,
        (None, None) => {
            problems.push(RouterProblem::NoEvent { setting, handler });
            return None;
        }
    };
    let pattern = match Pattern::parse(text) {
        Ok(pattern) => pattern,
        Err(reason) => {
            problems.push(RouterProblem::MalformedPattern { setting, pattern: text.to_owned(), reason });
            return None;
        }
    };
    match events.first() {
        Some(event) if pattern != Pattern::Exact(event.event_type.to_owned()) => {
            let (event_type, pattern) = (event.event_type, pattern.to_string());
            problems.push(RouterProblem::EventUnderPattern { setting, handler, event_type, pattern });
            None
        }
        _ => Some(pattern),
    }
}

fn topics_of(
    registration: &Registration,
    pattern: &Pattern,
    catalogue: &Catalogue,
    problems: &mut Vec<RouterProblem>,
) -> Vec<String> {
    let setting = || registration.setting();
    let topics = registration.topics.clone().unwrap_or_else(|| catalogue.topics(pattern));
    if topics.is_empty() {
        problems.push(RouterProblem::NoTopics { setting: setting(), pattern: pattern.to_string() });
    }
    for topic in topics.iter().filter(|topic| !is_topic_name(topic)) {
        problems.push(RouterProblem::MalformedTopic { setting: setting(), topic: topic.clone() });
    }
    topics
}

fn missing_states(registration: &Registration, states: &States, problems: &mut Vec<RouterProblem>) {
    for state in registration.needs.states().iter().filter(|state| !states.has(state.id)) {
        problems.push(RouterProblem::MissingState { setting: registration.setting(), state: state.name });
    }
}

/// Kafka's own rule.
fn is_topic_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(known)
}
