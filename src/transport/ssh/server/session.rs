//! One connection of the server.

mod command;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Sig};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;

use super::Shared;

/// russh's handler, which decides who may log in and what a channel does.
pub struct Session {
    shared: Arc<Shared>,
    /// Open channels without a command.
    waiting: HashMap<ChannelId, Channel<Msg>>,
    /// Process groups of running commands.
    running: HashMap<ChannelId, Pid>,
    /// Number of commands that were not started so far.
    unheard: usize,
    /// Session channels that are open.
    open: Arc<AtomicUsize>,
}

impl Session {
    /// A session for one connection of a server.
    pub fn new(shared: Arc<Shared>) -> Self {
        let open = Arc::new(AtomicUsize::new(0));
        Session { shared, waiting: HashMap::new(), running: HashMap::new(), unheard: 0, open }
    }

    fn knows(&self, key: &KeyData) -> bool {
        let known = self.shared.setup.authorized.iter().filter_map(|line| PublicKey::from_openssh(line).ok());
        known.into_iter().any(|known| known.key_data() == key)
    }

    fn answer(&self, welcome: bool) -> Auth {
        if welcome {
            return Auth::Accept;
        }
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        Auth::reject()
    }
}

impl Handler for Session {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.answer(self.knows(offer.public_key.key_data())))
    }

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.answer(self.knows(key.public_key.key_data())))
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.answer(self.shared.setup.password.as_deref() == Some(password)))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(code) = self.shared.setup.code.clone() else { return Ok(self.answer(false)) };
        let Some(mut response) = response else {
            let prompts = vec![("One-time code: ".into(), false)].into();
            return Ok(Auth::Partial { name: "".into(), instructions: "".into(), prompts });
        };
        let welcome = response.next().is_some_and(|typed| typed == code.as_bytes());
        Ok(self.answer(welcome))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        if self.shared.setup.sessions.is_some_and(|most| open >= most) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        }
        self.waiting.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut russh::server::Session) -> Result<(), Self::Error> {
        if self.waiting.remove(&id).is_some() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        self.running.remove(&id);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        line: &[u8],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let Some(channel) = self.waiting.remove(&id) else { return session.channel_failure(id) };
        let open = self.open.clone();
        if self.unheard < self.shared.setup.unheard {
            self.unheard += 1;
            open.fetch_sub(1, Ordering::Relaxed);
            session.eof(id)?;
            return session.close(id);
        }
        match command::start(&self.shared.setup, line) {
            Ok(child) => {
                self.shared.execs.fetch_add(1, Ordering::Relaxed);
                if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
                    self.running.insert(id, pid);
                }
                session.channel_success(id)?;
                let handle = session.handle();
                tokio::spawn(async move {
                    command::serve(channel, handle, child).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                });
                Ok(())
            }
            Err(_) => {
                open.fetch_sub(1, Ordering::Relaxed);
                session.channel_failure(id)
            }
        }
    }

    async fn signal(&mut self, id: ChannelId, signal: Sig, _: &mut russh::server::Session) -> Result<(), Self::Error> {
        let signal = match signal {
            Sig::HUP => Signal::HUP,
            Sig::INT => Signal::INT,
            Sig::KILL => Signal::KILL,
            _ => Signal::TERM,
        };
        if let Some(group) = self.running.get(&id) {
            // The command may have ended, so an error is ignored.
            let _ = kill_process_group(*group, signal);
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let place = (host.to_owned(), u16::try_from(port).unwrap_or_default());
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let Ok(mut socket) = TcpStream::connect(place).await else {
                reply.reject(ChannelOpenFailure::ConnectFailed).await;
                return;
            };
            // Small packets of the inner connection must not be delayed.
            let _ = socket.set_nodelay(true);
            shared.tunnels.fetch_add(1, Ordering::Relaxed);
            reply.accept().await;
            // Either end may close at any time.
            let _ = tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut socket).await;
        });
        Ok(())
    }
}
