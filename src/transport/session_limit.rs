//! How many commands a connection runs at once: as many as the server has shown that it allows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::MAX_CHANNELS;

/// Permits for the sessions of one connection. Begins with [`MAX_CHANNELS`], and has fewer once the server has refused
/// one.
#[derive(Debug)]
pub(super) struct SessionLimit {
    free: Arc<Semaphore>,
    limit: Mutex<usize>,
}

/// What follows a refusal.
#[derive(Debug)]
pub(super) enum Refused {
    /// Others are open: wait for a permit again, of which there is one fewer now.
    Wait,
    /// No other is open on this connection by our account; the permit is back.
    Alone(OwnedSemaphorePermit),
}

impl SessionLimit {
    pub(super) fn new() -> Self {
        SessionLimit { free: Arc::new(Semaphore::new(MAX_CHANNELS)), limit: Mutex::new(MAX_CHANNELS) }
    }

    /// Waits for a free one. `None` never happens: the semaphore is not closed.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }

    /// Most that are open at once from now on.
    pub(super) fn at_once(&self) -> usize {
        *self.limit()
    }

    /// The server refused the session of this permit: the limit becomes what is open beside it.
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
        // A number cannot be left half-written by a panic.
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_leaves_as_many_as_are_open_beside_it() {
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
