//! Screens one after the other, compared with a file.

use std::path::Path;

use super::laptop::Laptop;
use super::program::Ran;
use super::redact::redact;

/// Screens of one laptop.
#[derive(Default)]
#[must_use = "nothing is compared before `match_file`"]
pub struct Screens(String);

impl Screens {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the screen of a command that runs to its end.
    pub fn see<S: AsRef<std::ffi::OsStr>>(&mut self, laptop: &Laptop, args: &[S]) {
        self.add(laptop, &laptop.handoff(args).run());
    }

    /// Adds the screen of a command that has ended.
    pub fn add(&mut self, laptop: &Laptop, ran: &Ran) {
        self.text(laptop, &ran.screen());
    }

    /// Adds a text that a person reads outside the terminal.
    pub fn text(&mut self, laptop: &Laptop, text: &str) {
        if !self.0.is_empty() {
            self.0 += "\n";
        }
        self.0 += &redact(laptop, text);
    }

    /// Adds a line about an event between two screens.
    pub fn note(&mut self, text: &str) {
        self.0 += &format!("{}# {text}\n", if self.0.is_empty() { "" } else { "\n" });
    }

    /// Compares all of them with `tests/cli/snapshots/<name>.snap`.
    #[track_caller]
    pub fn match_file(self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/snapshots"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, self.0));
    }
}
