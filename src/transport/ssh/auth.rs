//! Logs in: with keys of the agent and of files, then with what the user types.

mod answers;
mod interactive;
mod keys;
mod last_key;
mod signer;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

pub use answers::Answers;
use keys::{Candidate, Holder};
use russh::client::{AuthResult, Handle};
use russh::keys::HashAlg;
use russh::{MethodKind, MethodSet};
use signer::{AgentSigner, FileSigner};

use super::connect::{DisconnectCause, Failure, Verifier, lower};
use super::resolve::{Resolved, Target, resolve};
use crate::model::host::Host;
use crate::transport::{Options, Prompter, TransportError};

/// Maximum keys offered to one server. OpenSSH closes the connection after 6 (MaxAuthTries), and a server may ban
/// clients that reach that often.
const KEYS: usize = 5;

/// Answers the prompts of keys and servers, and remembers the keys.
pub struct Person<'a> {
    pub prompter: &'a Arc<dyn Prompter>,
    pub answers: &'a Answers,
    /// The file with the key that each server accepted last, if there is one.
    pub last_keys: Option<&'a Path>,
}

/// Logs in on a new handle. After an error the handle must not be used again. Returns notes for the user.
///
/// # Errors
/// [`TransportError::Auth`] says what was tried and what the server accepts; [`Failure::Beyond`] if only the system's
/// `ssh` can continue.
pub async fn login(
    handle: &mut Handle<Verifier>,
    label: &str,
    resolved: &Resolved,
    disconnect: &DisconnectCause,
    Person { prompter, answers, last_keys }: Person<'_>,
) -> Result<Vec<String>, Failure> {
    let (remarks, notes, offered) = (Vec::new(), Vec::new(), Vec::new());
    let mut login = Login {
        handle,
        label,
        resolved,
        disconnect,
        prompter,
        answers,
        last_keys,
        methods: None,
        remarks,
        notes,
        offered,
        is_agent_silent: false,
    };
    login.run().await?;
    Ok(login.notes)
}

/// Why the agent of a host's configuration cannot be used. `None` if it answers, or if there is none.
pub async fn broken_agent(host: &Host, options: &Options) -> Option<String> {
    let resolved = resolve(&Target::of(host), options).await.ok()?;
    keys::agent(&resolved, None).await.err()
}

struct Login<'a> {
    handle: &'a mut Handle<Verifier>,
    label: &'a str,
    resolved: &'a Resolved,
    disconnect: &'a DisconnectCause,
    prompter: &'a Arc<dyn Prompter>,
    answers: &'a Answers,
    last_keys: Option<&'a Path>,
    /// The methods that the server accepts, once it has listed them.
    methods: Option<MethodSet>,
    /// What was tried or left out, for the error.
    remarks: Vec<String>,
    /// Notes for the user even if the login succeeds.
    notes: Vec<String>,
    /// Labels of the keys that were offered to the server.
    offered: Vec<String>,
    /// The agent stopped answering.
    is_agent_silent: bool,
}

/// The result of a try.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    In,
    /// The server accepted a method and requires another one.
    Further,
    Refused,
}

impl Login<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let mut beyond = None;
        if self.resolved.publickey {
            let agent = keys::agent(self.resolved, self.handle.agent_session_binding()).await;
            let offer = match agent {
                Ok(held) => keys::gather(self.resolved, held),
                Err(why) => {
                    self.give_up_agent(&why);
                    keys::gather(self.resolved, None)
                }
            };
            self.remarks.extend(offer.remarks);
            beyond = offer.beyond;
            if self.offer(offer.candidates, offer.agent).await? == Step::In {
                return Ok(());
            }
            // The agent that stopped answering may have had the keys of these files.
            if self.is_agent_silent && self.offer(keys::gather(self.resolved, None).candidates, None).await? == Step::In
            {
                return Ok(());
            }
        }
        if self.methods.is_none() {
            let result = self.handle.authenticate_none(self.resolved.user.clone()).await;
            if self.judge(result)? == Step::In {
                return Ok(());
            }
        }
        if self.interactively().await? == Step::In {
            return Ok(());
        }
        Err(self.refused(beyond))
    }

    /// Whether the server accepts a method, as far as known.
    fn takes(&self, method: MethodKind) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(&method))
    }

    async fn offer(&mut self, candidates: Vec<Candidate>, agent: Option<keys::Agent>) -> Result<Step, Failure> {
        let (mut candidates, mut agent) = (candidates, agent);
        let server = format!("{}@{}:{}", self.resolved.user, self.resolved.hostname, self.resolved.port);
        last_key::first(&mut candidates, self.last_keys, &server);
        let mut rsa_hash = None;
        for candidate in candidates {
            if !self.takes(MethodKind::PublicKey) || self.offered.len() == KEYS {
                break;
            }
            if self.offered.contains(&candidate.label) {
                continue;
            }
            self.offered.push(candidate.label.clone());
            let hash = match candidate.public.algorithm().is_rsa() {
                true => self.rsa_hash(&mut rsa_hash).await,
                false => None,
            };
            self.remarks.push(format!("tried {}", candidate.label));
            let step = match (&candidate.holder, agent.as_mut()) {
                (Holder::Agent(identity), Some(agent)) => {
                    let mut signer = AgentSigner { agent, identity };
                    let result = self.present(&candidate, hash, &mut signer).await;
                    if let Err(signer::Unsigned::Silent(why)) = &result {
                        self.is_agent_silent = true;
                        // The server has seen the key, but this was no login attempt.
                        self.offered.pop();
                        self.give_up_agent(why);
                        return Ok(Step::Refused);
                    }
                    self.signed(result)?
                }
                (Holder::File(file), _) => {
                    let mut signer = FileSigner::new(file, self.prompter.clone(), self.answers.clone());
                    let result = self.present(&candidate, hash, &mut signer).await;
                    self.signed(result)?
                }
                (Holder::Agent(_), None) => Step::Refused,
            };
            if step == Step::In {
                last_key::keep(self.last_keys, &server, &candidate.public);
                return Ok(step);
            }
        }
        Ok(Step::Refused)
    }

    /// Stops using an agent that does not answer: its keys are skipped and key files are tried.
    fn give_up_agent(&mut self, why: &str) {
        self.remarks.push(why.to_owned());
        self.notes.push(format!("{}: {why}; trying key files without it", self.label));
    }

    /// Asks whether the server accepts a key. Only then is it used to sign, and its passphrase asked for.
    async fn present<S: russh::Signer>(
        &mut self,
        candidate: &Candidate,
        hash: Option<HashAlg>,
        signer: &mut S,
    ) -> Result<AuthResult, S::Error> {
        let user = self.resolved.user.clone();
        match &candidate.certificate {
            Some(c) => self.handle.authenticate_certificate_with(user, c.clone(), hash, signer).await,
            None => self.handle.authenticate_publickey_with(user, candidate.public.clone(), hash, signer).await,
        }
    }

    /// Like [`Self::judge`], for keys whose holder may have failed: then the next key is tried.
    fn signed(&mut self, result: Result<AuthResult, signer::Unsigned>) -> Result<Step, Failure> {
        match result {
            Ok(result) => self.judge(Ok(result)),
            Err(signer::Unsigned::Gone(_)) => Err(self.gone().into()),
            // Reported already.
            Err(signer::Unsigned::Silent(_)) => Ok(Step::Refused),
            Err(signer::Unsigned::Declined(reason)) => {
                self.remarks.push(reason);
                Ok(Step::Refused)
            }
        }
    }

    fn judge(&mut self, result: Result<AuthResult, russh::Error>) -> Result<Step, Failure> {
        match result {
            Ok(AuthResult::Success) => Ok(Step::In),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if remaining_methods.is_empty() && !partial_success {
                    // russh reports a closed connection as a refusal without methods.
                    return Err(self.gone().into());
                }
                self.methods = Some(remaining_methods);
                Ok(if partial_success { Step::Further } else { Step::Refused })
            }
            Err(error) => {
                self.remarks.push(lower(&error));
                Err(self.gone().into())
            }
        }
    }

    /// The connection ended during the login. If the server gave a reason, it refused; otherwise the connection was
    /// lost.
    fn gone(&self) -> TransportError {
        let host = self.label.to_owned();
        if self.disconnect.dismissed() || !self.handle.is_closed() {
            return TransportError::Auth {
                host,
                user: self.resolved.user.clone(),
                reason: self.story(&self.disconnect.cause()),
            };
        }
        TransportError::lost(&host, format!("during the login: {}", self.disconnect.cause()))
    }

    fn refused(&self, beyond: Option<String>) -> Failure {
        let methods: Vec<&str> = self.methods.iter().flat_map(|set| set.iter()).map(<&str>::from).collect();
        if let Some(beyond) = beyond {
            return Failure::Beyond(beyond);
        }
        if self.resolved.gssapi && self.methods.as_ref().is_some_and(|set| set.contains(&MethodKind::GssapiWithMic)) {
            return Failure::Beyond("GSSAPI, which the server takes".to_owned());
        }
        let reason = self.story(&format!("the server accepts {}", methods.join(", ")));
        TransportError::Auth { host: self.label.to_owned(), user: self.resolved.user.clone(), reason }.into()
    }

    fn story(&self, end: &str) -> String {
        let mut parts = self.remarks.clone();
        if parts.is_empty() {
            parts.push("no key to try".to_owned());
        }
        parts.push(end.to_owned());
        parts.join("; ")
    }

    /// The hash for signatures of RSA keys. Servers that do not announce any are assumed to accept SHA-512; SHA-1 is
    /// not used.
    async fn rsa_hash(&self, known: &mut Option<HashAlg>) -> Option<HashAlg> {
        if known.is_none() {
            let best = self.handle.best_supported_rsa_hash().await.ok().flatten().flatten();
            *known = Some(best.unwrap_or(HashAlg::Sha512));
        }
        *known
    }
}
