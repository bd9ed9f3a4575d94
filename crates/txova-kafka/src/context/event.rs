//! Stands in for the contract's `EventContext` until that is merged.

/// Correlation, causation, actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventContext {
    /// The chain's id.
    pub correlation_id: String,
    /// The event that caused this one.
    pub causation_id: Option<String>,
    /// Who.
    pub actor: Option<()>,
}
