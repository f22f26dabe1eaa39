//! Restores the terminal's settings on exit.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Settings that are restored when this is dropped; empty without a terminal.
pub struct Found(Option<Termios>);

impl Found {
    /// Stores the current settings.
    pub fn now() -> Self {
        Found(tcgetattr(std::io::stdin()).ok())
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        // Ctrl-C at a prompt for a passphrase must not leave the terminal without echo.
        if let Some(found) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, found);
        }
    }
}

/// Stops the terminal from printing `^C` into the progress line. [`Found`] undoes it.
pub fn hide_control_characters() {
    if let Ok(mut settings) = tcgetattr(std::io::stdin()) {
        settings.local_modes.remove(LocalModes::ECHOCTL);
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &settings);
    }
}
