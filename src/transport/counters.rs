//! Counts network operations. A benchmark prints them, and a test checks that a step uses no more than it should.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one [`Connected`](super::Connected), which grow while it is used.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    channels: AtomicU64,
    execs: AtomicU64,
}

/// The values of [`Counters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Connections started: sockets, proxy commands and hops over a jump host.
    pub connections: u64,
    /// Channels, or processes for a connection without channels.
    pub channels: u64,
    /// Commands started.
    pub execs: u64,
}

impl Counters {
    /// The values now.
    pub fn now(&self) -> Count {
        Count {
            connections: self.connections.load(Ordering::Relaxed),
            channels: self.channels.load(Ordering::Relaxed),
            execs: self.execs.load(Ordering::Relaxed),
        }
    }

    pub(super) fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn channel(&self) {
        self.channels.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn exec(&self) {
        self.execs.fetch_add(1, Ordering::Relaxed);
    }
}
