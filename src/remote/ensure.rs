//! `ensure`: makes sure that an attempt runs. It may be sent any number of times.

use std::collections::BTreeMap;

use bytes::Bytes;
use secrecy::SecretString;

use super::client::Remote;
use super::error::RemoteError;
use super::instance::instance_of;
use super::poll::{StateLine, read_state};
use super::receive_pack::Push;
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
    /// The files of `spec/<grant>/`.
    pub spec: BTreeMap<String, Bytes>,
    pub secrets: BTreeMap<String, SecretString>,
}

impl Remote {
    /// Sends the request, with a pack of at most [`AT_ONCE`](super::receive_pack::AT_ONCE) bytes. Without one, the host
    /// has the objects already: `receive-pack` sent them, or the attempt has started. Returns the host's instance, whose
    /// counter the request has raised.
    ///
    /// # Errors
    /// [`RemoteError::PackRefused`]: nothing of the attempt exists on the host.
    pub async fn ensure(&self, ensure: &Ensure, push: Option<&Push<'_>>) -> Result<Instance, RemoteError> {
        let pack = match push {
            Some(push) => Some(Bytes::from(tokio::fs::read(&push.pack.path).await.map_err(RemoteError::Pack)?)),
            None => None,
        };
        let request = || {
            let mut request =
                Request::new().line("name", &ensure.name).line("attempt", ensure.attempt).line("grant", ensure.grant);
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
            match (push, &pack) {
                (Some(push), Some(pack)) => push.describe(request).part("refs", push.list()).part("pack", pack.clone()),
                _ => request,
            }
        };
        let reply = self.open(Verb::Ensure, request).await?;
        let lines = self.pushed(reply, Vec::new()).await?;
        self.state_of(Verb::Ensure, &lines)?;
        instance_of(&lines).ok_or_else(|| self.garbled(Verb::Ensure, "no instance"))
    }

    /// The state line among a verb's lines.
    pub(super) fn state_of(&self, verb: Verb, lines: &[String]) -> Result<StateLine, RemoteError> {
        let state = lines.iter().rev().find_map(|line| line.strip_prefix("s ").and_then(read_state));
        state.ok_or_else(|| self.garbled(verb, "the state of the attempt is missing"))
    }
}
