//! `ensure`: makes an attempt be under way, however often it is sent.

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

/// Everything an attempt needs; sent whole each time, kept by the host once.
pub struct Ensure {
    pub name: RemoteName,
    pub attempt: AttemptNo,
    /// The grant's number.
    pub grant: u32,
    /// The attempt is known to have started: it may be attended, never started.
    pub started: bool,
    /// Attempts of which the host has lost the directories: what still runs of them is ended first.
    pub strays: Vec<AttemptNo>,
    /// Seconds the watcher waits for the ship's ref, so that this can travel beside the push.
    pub wait_ref: u64,
    /// Files of `spec/<grant>/`.
    pub spec: BTreeMap<String, Bytes>,
    pub secrets: BTreeMap<String, SecretString>,
}

impl Remote {
    /// Sends it and gives the host's instance, which it has raised.
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
        state.ok_or_else(|| self.garbled(verb, "no state of the attempt"))
    }
}
