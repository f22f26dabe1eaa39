//! Signs the login, with the agent or a key file, after the server has accepted the public key.

use std::sync::Arc;

use russh::Signer;
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::{Error, Signature};
use russh::keys::{HashAlg, PrivateKey};
use secrecy::SecretString;

use super::answers::Answers;
use super::keys::{Agent, KeyFile, PATIENCE};
use crate::transport::Prompter;

/// Maximum times that a wrong passphrase may be typed.
const PASSPHRASES: usize = 3;

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum Unsigned {
    #[error(transparent)]
    Gone(#[from] russh::SendError),
    /// The connection can still be used with another key; the fragment says why this one cannot be used.
    #[error("{0}")]
    Declined(String),
    /// The agent stopped answering, so none of its keys can be used.
    #[error("{0}")]
    Silent(String),
}

/// Signs with the agent. The agent may know the plain key while the server is offered its certificate.
pub struct AgentSigner<'a> {
    pub agent: &'a mut Agent,
    pub identity: &'a AgentIdentity,
}

impl Signer for AgentSigner<'_> {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        let sign = tokio::time::timeout(PATIENCE, self.agent.sign_request(self.identity, hash, data));
        match sign.await {
            Ok(Ok(signed)) => Ok(signed),
            // The agent closed its end of the socket.
            Ok(Err(russh::keys::Error::IO(e))) => Err(Unsigned::Silent(format!("the ssh-agent went away ({e})"))),
            Ok(Err(e)) => Err(Unsigned::Declined(format!("the agent did not sign ({e})"))),
            Err(_) => Err(Unsigned::Silent(format!("the ssh-agent did not sign within {} s", PATIENCE.as_secs()))),
        }
    }
}

/// Signs with a key file, and asks for its passphrase if it has one.
pub struct FileSigner<'a> {
    file: &'a KeyFile,
    prompter: Arc<dyn Prompter>,
    answers: Answers,
}

impl<'a> FileSigner<'a> {
    /// Signs with `file`; `answers` stores its passphrase.
    pub fn new(file: &'a KeyFile, prompter: Arc<dyn Prompter>, answers: Answers) -> Self {
        FileSigner { file, prompter, answers }
    }

    /// Unlocks the key on a thread that may block, because a user types and the key derivation is slow.
    async fn unlock(&self) -> Result<PrivateKey, Unsigned> {
        let (file, prompter, answers) = (self.file.clone(), self.prompter.clone(), self.answers.clone());
        let work = tokio::task::spawn_blocking(move || unlock(&file, prompter.as_ref(), &answers));
        work.await.map_err(|e| e.to_string()).and_then(|key| key).map_err(Unsigned::Declined)
    }
}

impl Signer for FileSigner<'_> {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        let key = self.unlock().await?;
        let declined = |e: Error| Unsigned::Declined(format!("{} did not sign ({e})", self.file.path.display()));
        let signature = sign(&key, hash, &data).map_err(declined)?;
        signature.encode_prefixed(&mut data).map_err(|e| declined(e.into()))?;
        Ok(data)
    }
}

fn sign(key: &PrivateKey, hash: Option<HashAlg>, data: &[u8]) -> Result<Signature, Error> {
    match key.key_data() {
        KeypairData::Rsa(rsa) => Ok((rsa, hash).try_sign(data)?),
        other => Ok(other.try_sign(data)?),
    }
}

fn unlock(file: &KeyFile, prompter: &dyn Prompter, answers: &Answers) -> Result<PrivateKey, String> {
    if !file.encrypted() {
        return file.unlock(None);
    }
    let path = file.path.display();
    let question = format!("passphrase {path}");
    if let Some(key) = answers.get(&question).and_then(|answer: SecretString| file.unlock(Some(&answer)).ok()) {
        return Ok(key);
    }
    for n in 0..PASSPHRASES {
        let again = if n == 0 { "" } else { "That was not it. " };
        let Some(answer) = prompter.secret(&format!("{again}Passphrase of {path}: "), false) else {
            return Err(format!(
                "{path} has a passphrase, and there is no terminal to ask for it (`ssh-add {}` unlocks it)",
                shlex::try_quote(&path.to_string()).unwrap_or_default()
            ));
        };
        if let Ok(key) = file.unlock(Some(&answer)) {
            answers.keep(&question, answer);
            return Ok(key);
        }
    }
    Err(format!("the passphrase of {path} was wrong"))
}
