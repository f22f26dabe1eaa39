//! A command on a terminal, made with util-linux's `script`.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::laptop::Laptop;
use super::wait;

const PATIENCE: Duration = Duration::from_secs(60);

pub fn can_be_had() -> bool {
    Path::new("/usr/bin/script").exists()
}

/// A command on a terminal of its own, ended by its pid.
pub struct OnTerminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl OnTerminal {
    pub fn start(laptop: &Laptop, args: &[&str]) -> OnTerminal {
        OnTerminal::start_with(laptop, args, &[])
    }

    /// With more variables in its environment.
    pub fn start_with(laptop: &Laptop, args: &[&str], variables: &[(&str, &str)]) -> OnTerminal {
        let quoted: Vec<_> = args.iter().map(|arg| shlex::try_quote(arg).unwrap().into_owned()).collect();
        let line = format!("stty cols 100 rows 30; exec {} {}", env!("CARGO_BIN_EXE_handoff"), quoted.join(" "));
        let mut command = laptop.program("script");
        command.args(["--quiet", "--return", "--echo", "never", "--command", &line, "/dev/null"]);
        command
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let (mut out, keyboard) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = screen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut buffer) {
                shown.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        OnTerminal { child, keyboard, screen }
    }

    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    #[track_caller]
    pub fn shows(&self, text: &str) {
        wait::until(text, PATIENCE, || self.screen().contains(text).then_some(()));
    }

    pub fn types(&mut self, line: &str) {
        writeln!(self.keyboard, "{line}").unwrap();
    }

    #[track_caller]
    pub fn end(&mut self) -> Option<i32> {
        let status = wait::until("the command to end", PATIENCE, || self.child.try_wait().unwrap());
        status.code()
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the terminal showed\n{}", self.screen());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
