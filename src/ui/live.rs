//! Terminal output: readable lines, and below them one line with elapsed time, attempt and host.

pub mod shown_line;

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::line::lines;
use super::screen;
use super::text::clock;
use crate::model::attempt::AttemptNo;
use crate::supervise::progress::{Progress, Reporter};

/// How often the line is drawn if nothing happens.
const TICK: Duration = Duration::from_millis(250);
/// Text while the end of a wait is not known; the attempt has then not started.
const RUNNING: &str = "Ctrl-C detaches; the task keeps running";

/// Draws on stderr. Lines are printed above the progress line, which appears with its first text.
pub struct Live {
    bar: ProgressBar,
    now: Arc<Mutex<Now>>,
}

/// The contents of the progress line.
#[derive(Default)]
struct Now {
    /// `attempt 2 on buildbox`, once there is an attempt.
    place: Option<String>,
    doing: String,
    /// When this attempt starts, while it waits.
    begins: Option<(AttemptNo, Instant)>,
    /// The host that cannot be reached.
    away: Option<String>,
}

impl Now {
    fn line(&self, elapsed: Duration, at: Instant) -> String {
        let doing = match (&self.away, self.begins) {
            (Some(host), _) => format!("lost contact with {host}, reconnecting"),
            (None, Some((_, begins))) => match begins.saturating_duration_since(at).as_secs() {
                0 => "starts now".to_owned(),
                left => format!("starts in {}", clock(Duration::from_secs(left))),
            },
            (None, None) => self.doing.clone(),
        };
        let place = self.place.iter().map(|place| format!("{place} · ")).collect::<String>();
        screen::shown(&format!("{} · {place}{doing}", clock(elapsed)))
    }
}

impl Live {
    /// Starts the progress line; it stays hidden until it has a text.
    pub fn new() -> Self {
        let now = Arc::new(Mutex::new(Now::default()));
        let shown = now.clone();
        let line = move |state: &ProgressState, out: &mut dyn Write| {
            // A failed write is repeated at the next tick.
            let _ = out.write_str(&lock(&shown).line(state.elapsed(), Instant::now()));
        };
        let style = ProgressStyle::with_template("{spinner} {line}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner()).with_key("line", line);
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style);
        super::terminal::hide_control_characters();
        shown_line::set(&bar);
        Live { bar, now }
    }

    fn say(&self, change: impl FnOnce(&mut Now)) {
        change(&mut lock(&self.now));
        if self.bar.is_hidden() && !self.bar.is_finished() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            self.bar.enable_steady_tick(TICK);
        }
        self.bar.tick();
    }

    fn attempt(&self, attempt: AttemptNo, host: &str, doing: &str) {
        self.say(|now| {
            now.place = Some(format!("attempt {attempt} on {host}"));
            doing.clone_into(&mut now.doing);
            // An attempt that the host starts by itself is announced while it waits.
            now.begins = now.begins.filter(|(waiting, _)| *waiting == attempt && doing != RUNNING);
        });
    }

    fn doing(&self, doing: String) {
        self.say(|now| {
            now.doing = doing;
            now.begins = None;
        });
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

/// A panic in another thread must not stop the output.
fn lock(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reporter for Live {
    fn tell(&self, progress: &Progress) {
        for line in lines(progress) {
            if self.bar.is_hidden() { screen::err(&line) } else { self.bar.println(screen::shown(&line)) }
        }
        match progress {
            // A reconnection is not a step of the work.
            Progress::Connecting { host } if lock(&self.now).place.is_none() => {
                self.doing(format!("connecting to {host}"));
            }
            Progress::Hashing => self.doing("reading the files of this repository".to_owned()),
            Progress::Shipping { host } => self.doing(format!("sending the repository to {host}")),
            Progress::Sending { host, sent, length } => {
                let (sent, length) = (sent >> 20, length >> 20);
                self.doing(format!("sending the repository to {host}: {sent} of {length} MiB"));
            }
            Progress::Receiving { attempt, received, length } => {
                let (received, length) = (received >> 20, length >> 20);
                self.doing(format!("fetching attempt {attempt}'s work: {received} of {length} MiB"));
            }
            Progress::Dispatched { attempt, host, .. } => self.attempt(*attempt, host, "starting"),
            Progress::Started { attempt, host } => {
                self.bar.reset_elapsed();
                self.attempt(*attempt, host, RUNNING);
            }
            Progress::Joined { attempt, host, since } => {
                self.bar.set_elapsed(*since);
                self.attempt(*attempt, host, RUNNING);
            }
            Progress::Ended { verdict, .. } => self.doing(format!("{}, fetching its work", verdict.class)),
            Progress::BackingOff { attempt, delay } => {
                let begins = Instant::now() + *delay;
                self.bar.reset_elapsed();
                self.say(|now| now.begins = Some((*attempt, begins)));
            }
            Progress::WaitingUntil { attempt, .. } => {
                self.doing(format!("attempt {attempt} waits until the usage limit resets"));
            }
            Progress::Unreachable { host, .. } => self.say(|now| now.away = Some(host.clone())),
            Progress::Reachable { .. } => self.say(|now| now.away = None),
            Progress::Rest { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_time_attempt_host_and_the_reason_for_waiting() {
        let at = Instant::now();
        let mut now = Now { place: Some("attempt 2 on buildbox".into()), doing: RUNNING.into(), ..Now::default() };
        let elapsed = Duration::from_secs(75);
        assert_eq!(now.line(elapsed, at), "1:15 · attempt 2 on buildbox · Ctrl-C detaches; the task keeps running");
        now.begins = Some((2, at + Duration::from_secs(14)));
        assert_eq!(now.line(elapsed, at), "1:15 · attempt 2 on buildbox · starts in 0:14");
        now.away = Some("buildbox".into());
        assert_eq!(now.line(elapsed, at), "1:15 · attempt 2 on buildbox · lost contact with buildbox, reconnecting");
        assert_eq!(
            Now { doing: "connecting to b".into(), ..Now::default() }.line(elapsed, at),
            "1:15 · connecting to b"
        );
    }

    #[test]
    fn while_git_still_reads_the_files_the_line_says_so_and_not_that_it_connects() {
        let live = Live::new();
        live.tell(&Progress::Connecting { host: "box".into() });
        assert_eq!(lock(&live.now).doing, "connecting to box");
        live.tell(&Progress::Hashing);
        assert_eq!(lock(&live.now).doing, "reading the files of this repository");
    }

    #[test]
    fn an_attempt_that_waits_is_announced_and_its_start_ends_the_wait() {
        let live = Live::new();
        live.say(|now| now.begins = Some((2, Instant::now() + Duration::from_secs(60))));
        live.attempt(2, "b", "starting");
        assert!(lock(&live.now).begins.is_some());
        live.attempt(2, "b", RUNNING);
        assert!(lock(&live.now).begins.is_none());
    }
}
