//! The progress line of this process. It is hidden while something else is written to the terminal.

use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// From now on `bar` is the progress line.
pub(super) fn set(bar: &ProgressBar) {
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
}

/// Runs `ask` with the progress line hidden.
pub fn aside<T>(ask: impl FnOnce() -> T) -> T {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown.filter(|bar| !bar.is_hidden() && !bar.is_finished()) {
        Some(bar) => bar.suspend(ask),
        None => ask(),
    }
}
