//! Why an event changes nothing.

/// Why an event is not applied: its content is already so, or is no longer possible.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    #[error("the journal does not begin with the handoff's creation")]
    NotCreated,
    #[error("the journal creates the handoff twice")]
    CreatedTwice,
    #[error("this record was written by a newer version; upgrade handoff to change it")]
    ReadOnly,
    #[error("{0}")]
    Stale(&'static str),
}
