//! Ctrl-C, also between two waits.

use std::sync::OnceLock;

use tokio::sync::watch;

static PRESSED: OnceLock<watch::Receiver<bool>> = OnceLock::new();

/// Completes when Ctrl-C is pressed, and at once if it was pressed since the first call. Before that call, Ctrl-C ends
/// the process. After it, a press between two waits must not be forgotten.
pub async fn interrupted() {
    let pressed = PRESSED.get_or_init(|| {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            // Without a handler there is nothing to wait for: Ctrl-C ends the process.
            match tokio::signal::ctrl_c().await {
                Ok(()) => drop(sender.send(true)),
                Err(_) => std::future::pending().await,
            }
        });
        receiver
    });
    let _ = pressed.clone().wait_for(|pressed| *pressed).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_press_between_two_waits_is_not_forgotten() {
        assert!(timeout(Duration::from_millis(50), interrupted()).await.is_err(), "nothing was pressed");
        kill_process(getpid(), Signal::INT).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        timeout(Duration::from_secs(60), interrupted()).await.expect("the press is remembered");
    }
}
