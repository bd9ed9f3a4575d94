//! What a cluster needs from whatever runs its nodes, Java processes or containers. Knows neither.

use crate::failure::Result;

/// What a node is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs, or is paused, as the named process or container.
    Up { who: String, paused: bool },
    /// It does not run; its data is kept.
    Down,
}

/// Runs nodes. A signal to a node that is down does nothing: the caller has asked for its state.
pub(crate) trait Engine {
    /// Makes everything that must be there before a first node starts; done again without harm.
    fn prepare(&self) -> Result<()>;
    fn state(&self, node: u8) -> Result<State>;
    /// Starts a node that is down, on the data it has.
    fn start(&self, node: u8) -> Result<()>;
    /// Gives the users of a cluster that answers what they may do; done again without harm.
    fn permit(&self) -> Result<()>;
    /// Ends a node at once, as a power cut does.
    fn kill(&self, node: u8) -> Result<()>;
    /// Freezes a node: its connections stay open and nothing answers.
    fn pause(&self, node: u8) -> Result<()>;
    fn unpause(&self, node: u8) -> Result<()>;
    /// Asks every node to end, and kills what has not ended in time: those node numbers come back.
    fn stop(&self) -> Result<Vec<u8>>;
    /// Deletes what the engine keeps outside the cluster's folder.
    fn remove(&self) -> Result<()>;
    /// The last lines a node wrote.
    fn log_tail(&self, node: u8) -> String;
}
