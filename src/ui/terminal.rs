//! The terminal's own settings: as we found them when we leave, whatever happened in between.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Settings to go back to when this is dropped; nothing where there is no terminal.
pub struct Found(Option<Termios>);

impl Found {
    /// Remembers how the terminal is set now.
    pub fn now() -> Self {
        Found(tcgetattr(std::io::stdin()).ok())
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        // A Ctrl-C at a passphrase's prompt must not leave the terminal without echo.
        if let Some(found) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, found);
        }
    }
}

/// Lets Ctrl-C write no `^C` into a line that is drawn again and again. [`Found`] undoes it.
pub fn hide_control_characters() {
    if let Ok(mut settings) = tcgetattr(std::io::stdin()) {
        settings.local_modes.remove(LocalModes::ECHOCTL);
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &settings);
    }
}
