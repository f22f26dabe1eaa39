//! The client's side of russh's callbacks: verifies the host key, and remembers why a connection ended.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::client::{self, DisconnectReason};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::public::KeyData;

use crate::transport::ssh::known_hosts::accepted::Accepted;
use crate::transport::ssh::known_hosts::{KeyStatus, KnownHosts, Name};
use crate::transport::ssh::resolve::UnknownKeys;

/// Why a connection ended, for errors that only say that it is closed.
#[derive(Debug, Default)]
pub struct DisconnectCause {
    refused: Mutex<Option<(KeyStatus, KeyData)>>,
    /// A key that was accepted although no file has it, or although a file has another one.
    let_in: Mutex<Option<(KeyStatus, KeyData)>>,
    cause: Mutex<Option<Cause>>,
}

#[derive(Clone, Debug)]
struct Cause {
    reason: String,
    by_server: bool,
}

impl DisconnectCause {
    /// The verdict on a key that was not accepted.
    pub(super) fn refused(&self) -> Option<(KeyStatus, KeyData)> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A key that only the configuration accepted, with the verdict of the files.
    pub(super) fn let_in(&self) -> Option<(KeyStatus, KeyData)> {
        self.let_in.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the server may not be the same as before. Such a server gets no password.
    pub fn is_doubtful(&self) -> bool {
        matches!(self.let_in(), Some((KeyStatus::Changed(_), _)))
    }

    /// Why the connection ended.
    pub fn cause(&self) -> String {
        let cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        cause.as_ref().map_or_else(|| "the connection went away".to_owned(), |cause| cause.reason.clone())
    }

    /// Whether the server gave a reason for closing the connection.
    pub fn dismissed(&self) -> bool {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|cause| cause.by_server)
    }

    fn end(&self, reason: String, by_server: bool) {
        let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        cause.get_or_insert(Cause { reason, by_server });
    }
}

/// russh's handler.
pub struct Verifier {
    pub(super) name: Name,
    pub(super) known: KnownHosts,
    pub(super) unknown_keys: UnknownKeys,
    pub(super) accepted: Accepted,
    pub(super) disconnect: std::sync::Arc<DisconnectCause>,
}

impl client::Handler for Verifier {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let key = shown.public_key().key_data().clone();
        let verdict = match shown.certificate() {
            Some(certificate) => self.known.check_certificate(&self.name, certificate, now()),
            None => self.known.check(&self.name, &key),
        };
        // As in `ssh`, except that a revoked key is never accepted.
        let added = matches!(self.unknown_keys, UnknownKeys::Add | UnknownKeys::AddAndChange);
        let is_let_in = match &verdict {
            KeyStatus::Known => return Ok(true),
            KeyStatus::Unknown if self.accepted.has(&self.name.full, &key) => return Ok(true),
            KeyStatus::Unknown => added,
            KeyStatus::Changed(_) => self.unknown_keys == UnknownKeys::AddAndChange,
            KeyStatus::Revoked(_) | KeyStatus::Invalid(_) => false,
        };
        if is_let_in {
            *self.disconnect.let_in.lock().unwrap_or_else(PoisonError::into_inner) = Some((verdict, key));
            return Ok(true);
        }
        *self.disconnect.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((verdict, key));
        Ok(false)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.disconnect.end(format!("the server said {:?}", info.message), true);
                Ok(())
            }
            DisconnectReason::Error(error) => {
                self.disconnect.end(super::lower(&error), false);
                Err(error)
            }
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
