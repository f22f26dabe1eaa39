//! A terminal: readable lines, and under them one line with elapsed time, attempt and host.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::line::lines;
use crate::supervise::progress::{Progress, Reporter};

/// Draws on stderr; lines go above the bar.
pub struct Live {
    bar: ProgressBar,
    place: Mutex<String>,
}

impl Live {
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(250));
        Live { bar, place: Mutex::new(String::new()) }
    }

    fn say(&self, message: String) {
        if let Ok(mut place) = self.place.lock()
            && *place != message
        {
            self.bar.set_message(message.clone());
            *place = message;
        }
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Reporter for Live {
    fn tell(&self, progress: &Progress) {
        for line in lines(progress) {
            self.bar.println(line);
        }
        match progress {
            Progress::Connecting { host } => self.say(format!("connecting to {host}")),
            Progress::Shipping { host } => self.say(format!("shipping the repository to {host}")),
            Progress::Dispatched { attempt, host, .. } => {
                self.bar.reset_elapsed();
                self.say(format!("attempt {attempt} on {host}: starting"));
            }
            Progress::Started { attempt, host } => {
                self.say(format!("attempt {attempt} on {host} · Ctrl-C leaves it running"));
            }
            Progress::Ended { attempt, verdict, .. } => self.say(format!("attempt {attempt}: {}", verdict.class)),
            Progress::BackingOff { attempt, delay } => {
                let until = Instant::now() + *delay;
                self.say(format!("waiting {} s for attempt {attempt}", until.duration_since(Instant::now()).as_secs()));
            }
            Progress::WaitingUntil { attempt, .. } => self.say(format!("attempt {attempt} waits for the usage window")),
            Progress::Unreachable { host, .. } => self.say(format!("{host} is out of reach, trying again")),
            Progress::Reachable { host } => self.say(format!("following {host} again")),
            Progress::Rest { .. } | Progress::Parked { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
