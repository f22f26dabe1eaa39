//! How often and after how long something is tried again that failed on the way to a host.
//!
//! Before a handoff is recorded, everything may be tried again, but the user waits: tries end soon, and sooner if the
//! failure looks like a mistake of the user's. After it is recorded, only `ensure` and questions are sent. They may be
//! sent at any time, so the link loop never gives up. A refused login or a changed key is never tried again: it does
//! not help, and servers count such tries.

use std::time::Duration;

use tokio::time::Instant;

use crate::remote::error::RemoteError;
use crate::supervise::connection::backoff::{first_contact_delays, link_delays};
use crate::supervise::error::{Error, Remedy, remedy};
use crate::transport::{TransportError, UnreachableKind};

/// How long the user waits for a first contact, if more than one try may help.
const PATIENCE: Duration = Duration::from_secs(15);
/// A connection that lasted this long was good, so the next try comes at once.
const HELD: Duration = Duration::from_secs(10);
/// After this many hang-ups before the banner, tries keep [`DISTANCE`], so that OpenSSH's bans expire.
const TURNED_AWAY: u32 = 3;
const DISTANCE: Duration = Duration::from_secs(5);

/// How far a handoff has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing is recorded, and the user waits.
    FirstContact,
    /// The handoff is recorded, and the host may have it.
    Recorded,
}

/// Maximum number of further tries of a first contact. `None`: as many as fit into [`PATIENCE`].
fn tries(kind: UnreachableKind) -> Option<u32> {
    match kind {
        // A resolver may fail once on a network that has just come up.
        UnreachableKind::Nameless => Some(1),
        // A server that restarts is back in a moment.
        UnreachableKind::Refused => Some(2),
        UnreachableKind::TurnedAway | UnreachableKind::Lost => None,
    }
}

/// Counts the failures of one call or loop, and says when to try again.
pub struct Retries {
    stage: Stage,
    since: Instant,
    failures: u32,
    turned_away: u32,
    delays: Box<dyn Iterator<Item = Duration> + Send>,
}

impl Retries {
    pub fn new(stage: Stage) -> Self {
        let delays: Box<dyn Iterator<Item = Duration> + Send> = match stage {
            Stage::FirstContact => Box::new(first_contact_delays()),
            Stage::Recorded => Box::new(link_delays()),
        };
        Retries { stage, since: Instant::now(), failures: 0, turned_away: 0, delays }
    }

    /// After a success or a wake-up: the next failure counts as the first.
    pub fn reset(&mut self) {
        *self = Retries::new(self.stage);
    }

    /// The delay before the next try. `None`: give up. `stood` is how long the connection lasted.
    pub fn after(&mut self, error: &Error, stood: Option<Duration>) -> Option<Duration> {
        if remedy(error) == Remedy::Stop {
            return None;
        }
        // If the connection itself is fine, its age says nothing about the failure.
        if remedy(error) == Remedy::Reconnect && stood.is_some_and(|stood| stood >= HELD) {
            self.reset();
        }
        self.failures += 1;
        let kind = kind(error);
        if self.stage == Stage::FirstContact {
            let enough = kind.and_then(tries).is_some_and(|tries| self.failures > tries);
            if enough || self.since.elapsed() >= PATIENCE {
                return None;
            }
        }
        let delay = self.delays.next()?;
        self.turned_away = if kind == Some(UnreachableKind::TurnedAway) { self.turned_away + 1 } else { 0 };
        Some(if self.turned_away > TURNED_AWAY { delay.max(DISTANCE) } else { delay })
    }

    /// How long it has been failing, or working.
    pub fn since(&self) -> Instant {
        self.since
    }
}

fn kind(error: &Error) -> Option<UnreachableKind> {
    match error {
        Error::Transport(TransportError::Unreachable { kind, .. })
        | Error::Remote(RemoteError::Transport(TransportError::Unreachable { kind, .. })) => Some(*kind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> String {
        "buildbox".to_owned()
    }

    fn gone(kind: UnreachableKind) -> TransportError {
        TransportError::Unreachable { host: host(), reason: "r".into(), kind }
    }

    fn unanswered() -> Vec<(TransportError, Remedy)> {
        let (user, reason, fingerprint) = ("ada".to_owned(), "r".to_owned(), "SHA256:x".to_owned());
        vec![
            (gone(UnreachableKind::Nameless), Remedy::Reconnect),
            (gone(UnreachableKind::Refused), Remedy::Reconnect),
            (gone(UnreachableKind::TurnedAway), Remedy::Reconnect),
            (gone(UnreachableKind::Lost), Remedy::Reconnect),
            (TransportError::Busy { host: host(), reason: reason.clone() }, Remedy::AskAgain),
            (TransportError::Closed { host: host() }, Remedy::AskAgain),
            (TransportError::Auth { host: host(), user, reason: reason.clone() }, Remedy::Stop),
            (
                TransportError::UnknownHostKey {
                    host: host(),
                    algorithm: "a".into(),
                    fingerprint,
                    why: crate::transport::WhyUnknown::Unanswered,
                },
                Remedy::Stop,
            ),
            (TransportError::ChangedHostKey { host: host(), reason: reason.clone(), listed: None }, Remedy::Stop),
            (TransportError::Config { host: host(), reason }, Remedy::Stop),
        ]
    }

    fn answered() -> Vec<(RemoteError, Remedy)> {
        let verb = "ensure";
        vec![
            (RemoteError::Cut { host: host(), verb, noise: String::new() }, Remedy::AskAgain),
            (RemoteError::Rootless { host: host(), root: "/r".into(), left: vec![] }, Remedy::AskAgain),
            (RemoteError::Garbled { host: host(), verb, what: "w".into() }, Remedy::Stop),
            (RemoteError::Refused { host: host(), class: "epoch".into(), text: "t".into() }, Remedy::Stop),
            (RemoteError::PackRefused { host: host(), text: "t".into(), tips: vec![] }, Remedy::Stop),
            (RemoteError::NotInstalled { host: host(), reason: "r".into() }, Remedy::Stop),
            (RemoteError::Pack(std::io::ErrorKind::Other.into()), Remedy::Stop),
        ]
    }

    #[test]
    fn every_failure_has_its_remedy() {
        for (error, wanted) in unanswered() {
            assert_eq!(remedy(&Error::Transport(error.clone())), wanted, "{error:?}");
            assert_eq!(remedy(&Error::Remote(error.clone().into())), wanted, "behind a verb: {error:?}");
        }
        for (error, wanted) in answered() {
            assert_eq!(remedy(&Error::Remote(error)), wanted);
        }
        let inner = Error::Inner("a bug".into());
        assert_eq!(remedy(&inner), Remedy::Stop);
    }

    /// How many tries a stage makes of an error that persists, and how long they take.
    async fn tried(stage: Stage, error: &Error, most: u32) -> (u32, Duration) {
        let (mut retries, began) = (Retries::new(stage), Instant::now());
        let mut count = 0;
        while let Some(delay) = retries.after(error, None).filter(|_| count < most) {
            count += 1;
            tokio::time::advance(delay).await;
        }
        (count, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_waits_for_a_first_contact_as_long_as_it_may_help() {
        for (kind, least, most, longest) in [
            (UnreachableKind::Nameless, 1, 1, 2),
            (UnreachableKind::Refused, 2, 2, 4),
            (UnreachableKind::TurnedAway, 3, 7, 40),
            (UnreachableKind::Lost, 3, 7, 40),
        ] {
            let (count, took) = tried(Stage::FirstContact, &gone(kind).into(), 1000).await;
            assert!((least..=most).contains(&count), "{kind:?}: {count} tries");
            assert!(took <= Duration::from_secs(longest), "{kind:?}: {took:?}");
        }
        for (error, _) in unanswered().into_iter().filter(|(_, remedy)| *remedy == Remedy::Stop) {
            assert_eq!(tried(Stage::FirstContact, &error.into(), 1000).await.0, 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_recorded_is_never_given_up_and_no_host_is_hammered() {
        for kind in
            [UnreachableKind::Nameless, UnreachableKind::Refused, UnreachableKind::TurnedAway, UnreachableKind::Lost]
        {
            let (count, took) = tried(Stage::Recorded, &gone(kind).into(), 500).await;
            assert_eq!(count, 500, "{kind:?}");
            assert!(took > Duration::from_secs(490 * 15), "{kind:?}: 500 tries in {took:?}");
        }
        for (error, _) in unanswered().into_iter().filter(|(_, remedy)| *remedy == Remedy::Stop) {
            assert_eq!(tried(Stage::Recorded, &error.into(), 1000).await.0, 0, "a second try");
        }
    }

    #[test]
    fn a_connection_that_stood_is_made_again_at_once() {
        let (error, mut retries) = (gone(UnreachableKind::Lost).into(), Retries::new(Stage::Recorded));
        assert_eq!(retries.after(&error, Some(Duration::from_millis(5))), Some(Duration::ZERO));
        assert!(retries.after(&error, Some(Duration::from_millis(5))) > Some(Duration::ZERO), "flapping is no reason");
        assert_eq!(retries.after(&error, Some(HELD)), Some(Duration::ZERO));
    }

    #[test]
    fn a_host_that_has_lost_its_directory_is_not_hammered_over_a_connection_that_stands() {
        let error = Error::Remote(RemoteError::Rootless { host: host(), root: "/r".into(), left: vec![] });
        let mut retries = Retries::new(Stage::Recorded);
        let delays: Vec<_> = (0..50).map_while(|_| retries.after(&error, Some(HELD * 2))).collect();
        assert_eq!(delays.len(), 50, "it is asked for ever");
        assert!(delays[20..].iter().all(|delay| *delay >= Duration::from_secs(15)), "{delays:?}");
    }

    #[test]
    fn a_server_that_turns_us_away_is_left_alone_for_a_while() {
        let (error, mut retries) = (gone(UnreachableKind::TurnedAway).into(), Retries::new(Stage::Recorded));
        let delays: Vec<_> = (0..12).map_while(|_| retries.after(&error, None)).collect();
        assert!(delays[TURNED_AWAY as usize..].iter().all(|delay| *delay >= DISTANCE), "{delays:?}");
    }
}
