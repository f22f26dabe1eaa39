//! Limits the number of commands that run at once on a connection to what the server has shown that it allows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::MAX_CHANNELS;

/// Permits for the sessions of one connection. There are [`MAX_CHANNELS`] at first, and fewer after the server has
/// refused a session.
#[derive(Debug)]
pub(super) struct SessionLimit {
    free: Arc<Semaphore>,
    limit: Mutex<usize>,
}

/// What to do after the server refused a session.
#[derive(Debug)]
pub(super) enum Refused {
    /// Other sessions are open: wait for a permit again. There is one fewer now.
    Wait,
    /// We have no other session open on this connection; the permit is returned.
    Alone(OwnedSemaphorePermit),
}

impl SessionLimit {
    pub(super) fn new() -> Self {
        SessionLimit { free: Arc::new(Semaphore::new(MAX_CHANNELS)), limit: Mutex::new(MAX_CHANNELS) }
    }

    /// Waits for a permit. `None` never happens, because the semaphore is not closed.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }

    /// The current maximum of open sessions.
    pub(super) fn at_once(&self) -> usize {
        *self.limit()
    }

    /// The server refused the session of this permit. The limit becomes the number of the other open sessions.
    pub(super) fn refused(&self, permit: OwnedSemaphorePermit) -> Refused {
        let mut limit = self.limit();
        let unused = self.free.forget_permits(MAX_CHANNELS);
        *limit = limit.saturating_sub(unused).max(1);
        if *limit == 1 {
            return Refused::Alone(permit);
        }
        *limit -= 1;
        permit.forget();
        Refused::Wait
    }

    fn limit(&self) -> MutexGuard<'_, usize> {
        // A panic cannot leave a number half-written, so a poisoned lock is usable.
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_refusal_the_limit_is_the_number_of_other_sessions() {
        let sessions = SessionLimit::new();
        let (first, second) = (sessions.permit().await.unwrap(), sessions.permit().await.unwrap());
        let third = sessions.permit().await.unwrap();
        assert!(matches!(sessions.refused(third), Refused::Wait));
        assert_eq!(sessions.at_once(), 2);
        assert!(matches!(sessions.refused(second), Refused::Wait));
        assert_eq!((sessions.at_once(), sessions.free.available_permits()), (1, 0));
        drop(first);
        let again = sessions.permit().await.unwrap();
        assert_eq!(sessions.free.available_permits(), 0);
        drop(again);
        assert_eq!(sessions.free.available_permits(), 1);
    }

    #[tokio::test]
    async fn the_last_permit_is_never_lost() {
        let sessions = SessionLimit::new();
        let only = sessions.permit().await.unwrap();
        let Refused::Alone(only) = sessions.refused(only) else { panic!("nothing else is open") };
        let Refused::Alone(only) = sessions.refused(only) else { panic!("nothing else is open") };
        drop(only);
        assert_eq!((sessions.at_once(), sessions.free.available_permits()), (1, 1));
    }
}
