//! Logging in: keys of the agent and of files, then what a person types.

mod answers;
mod interactive;
mod keys;
mod signer;
#[cfg(test)]
mod tests;

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

/// Keys offered to one server; OpenSSH's closes the connection after 6 (MaxAuthTries), and may ban who does it often.
const KEYS: usize = 5;

/// Who answers what keys and servers ask.
pub struct Person<'a> {
    pub prompter: &'a Arc<dyn Prompter>,
    pub answers: &'a Answers,
}

/// Logs in on a fresh handle. A handle on which this failed is of no further use. Gives what the user should be told.
///
/// # Errors
/// [`TransportError::Auth`] says what was tried and what the server takes; [`Failure::Beyond`] when only the system's
/// `ssh` can go on from there.
pub async fn login(
    handle: &mut Handle<Verifier>,
    label: &str,
    resolved: &Resolved,
    disconnect: &DisconnectCause,
    Person { prompter, answers }: Person<'_>,
) -> Result<Vec<String>, Failure> {
    let (remarks, notes, offered) = (Vec::new(), Vec::new(), Vec::new());
    let mut login = Login {
        handle,
        label,
        resolved,
        disconnect,
        prompter,
        answers,
        methods: None,
        remarks,
        notes,
        offered,
        is_agent_silent: false,
    };
    login.run().await?;
    Ok(login.notes)
}

/// Why the agent of a host's configuration is of no use. `None`: it answers, or there is none.
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
    /// What the server takes, once it has said so.
    methods: Option<MethodSet>,
    /// What was tried or left out, for the error.
    remarks: Vec<String>,
    /// What the user should be told although the login succeeds.
    notes: Vec<String>,
    /// Labels of the keys that the server was asked about.
    offered: Vec<String>,
    /// The agent stopped to answer.
    is_agent_silent: bool,
}

/// What a try led to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    In,
    /// The server wants another method on top of the one that it has just accepted.
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
            // The agent that was given up may have held the keys of files.
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

    /// Whether a method is worth a try.
    fn takes(&self, method: MethodKind) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(&method))
    }

    async fn offer(&mut self, candidates: Vec<Candidate>, agent: Option<keys::Agent>) -> Result<Step, Failure> {
        let mut agent = agent;
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
                        // The server has seen the key, and no try.
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
                return Ok(step);
            }
        }
        Ok(Step::Refused)
    }

    /// An agent that does not answer is not asked again: its keys are passed over, and key files are tried.
    fn give_up_agent(&mut self, why: &str) {
        self.remarks.push(why.to_owned());
        self.notes.push(format!("{}: {why}; key files are tried without it", self.label));
    }

    /// Asks whether the server takes a key; only if so is it signed with, and a passphrase asked for.
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

    /// Like [`Self::judge`], where the holder of the key may have failed: the next key is tried then.
    fn signed(&mut self, result: Result<AuthResult, signer::Unsigned>) -> Result<Step, Failure> {
        match result {
            Ok(result) => self.judge(Ok(result)),
            Err(signer::Unsigned::Gone(_)) => Err(self.gone().into()),
            // Said already.
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
                    // russh reports a connection that ended as a refusal without methods.
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

    /// The connection ended during the login: the server's word makes it a refusal, silence an accident.
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
        let reason = self.story(&format!("it takes {}", methods.join(", ")));
        TransportError::Auth { host: self.label.to_owned(), user: self.resolved.user.clone(), reason }.into()
    }

    fn story(&self, end: &str) -> String {
        let mut parts = self.remarks.clone();
        if parts.is_empty() {
            parts.push("there is no key to try".to_owned());
        }
        parts.push(end.to_owned());
        parts.join("; ")
    }

    /// The hash to sign with as an RSA key. Servers that do not say are taken to know SHA-512; SHA-1 is not used.
    async fn rsa_hash(&self, known: &mut Option<HashAlg>) -> Option<HashAlg> {
        if known.is_none() {
            let best = self.handle.best_supported_rsa_hash().await.ok().flatten().flatten();
            *known = Some(best.unwrap_or(HashAlg::Sha512));
        }
        *known
    }
}
