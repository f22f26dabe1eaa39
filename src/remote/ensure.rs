//! `ensure`: makes sure that an attempt runs. It may be sent any number of times.

use std::collections::BTreeMap;

use bytes::Bytes;
use secrecy::SecretString;

use super::client::Remote;
use super::error::RemoteError;
use super::instance::instance_of;
use super::poll::{StateLine, read_state};
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::AttemptNo;
use crate::model::id::RemoteName;
use crate::model::root::Instance;

/// Everything that an attempt needs. It is sent whole each time; the host stores it once.
pub struct Ensure {
    pub name: RemoteName,
    pub attempt: AttemptNo,
    /// The grant's number.
    pub grant: u32,
    /// The attempt is known to have started: the host may watch it, but never start it.
    pub started: bool,
    /// Attempts whose directories the host has lost. Their remaining processes are ended first.
    pub strays: Vec<AttemptNo>,
    /// Seconds that the watcher waits for the ship's ref, so that this request can be sent at the same time as the
    /// push.
    pub wait_ref: u64,
    /// The files of `spec/<grant>/`.
    pub spec: BTreeMap<String, Bytes>,
    pub secrets: BTreeMap<String, SecretString>,
}

impl Remote {
    /// Sends the request and returns the host's instance, whose counter the request has raised.
    pub async fn ensure(&self, ensure: &Ensure) -> Result<Instance, RemoteError> {
        let request = || {
            let mut request = Request::new()
                .line("name", &ensure.name)
                .line("attempt", ensure.attempt)
                .line("grant", ensure.grant)
                .line("wait_ref", ensure.wait_ref);
            if ensure.started {
                request = request.line("started", "yes");
            }
            for stray in &ensure.strays {
                request = request.line("stray", stray);
            }
            for (name, value) in &ensure.secrets {
                request = request.secret(name, value);
            }
            for (name, content) in &ensure.spec {
                request = request.part(&format!("spec/{name}"), content.clone());
            }
            request
        };
        let lines = self.call(Verb::Ensure, request).await?;
        self.state_of(Verb::Ensure, &lines)?;
        instance_of(&lines).ok_or_else(|| self.garbled(Verb::Ensure, "no instance"))
    }

    /// The state line among a verb's lines.
    pub(super) fn state_of(&self, verb: Verb, lines: &[String]) -> Result<StateLine, RemoteError> {
        let state = lines.iter().rev().find_map(|line| line.strip_prefix("s ").and_then(read_state));
        state.ok_or_else(|| self.garbled(verb, "the state of the attempt is missing"))
    }
}
