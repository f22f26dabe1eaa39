//! Logins that ask a person: sshd with PAM behind it, and a terminal in front.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::skip;
use crate::support::laptop::Laptop;
use crate::support::site::{CHECK, HOST, ID, Site, TASK};
use crate::support::sshd::Setup;
use crate::support::{user, wait};

const PASSWORD: &str = "correct horse battery staple";
const PATIENCE: Duration = Duration::from_secs(60);

/// A host that takes a password alone, and asks for it by keyboard-interactive. `None` where there can be none.
fn asking() -> Option<Site> {
    if !user::can_be_made() || !Path::new("/etc/pam.d/sshd").exists() || !Path::new("/usr/bin/script").exists() {
        return None;
    }
    let setup = Setup::default().setting("UsePAM yes").setting("KbdInteractiveAuthentication yes");
    let site = Site::with(setup.setting("AuthenticationMethods keyboard-interactive"));
    site.host.user.set_password(PASSWORD);
    Some(site)
}

const NEEDED: &str = "root to make a user with a password, PAM's service sshd, and script of util-linux";

/// A command on a terminal of its own, ended by its pid.
struct OnTerminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl OnTerminal {
    fn start(laptop: &Laptop, args: &[&str]) -> OnTerminal {
        let quoted: Vec<_> = args.iter().map(|arg| shlex::try_quote(arg).unwrap().into_owned()).collect();
        let line = format!("exec {} {}", env!("CARGO_BIN_EXE_handoff"), quoted.join(" "));
        let mut command = laptop.program("script");
        command.args(["--quiet", "--return", "--echo", "never", "--command", &line, "/dev/null"]);
        command.env("SHELL", "/bin/sh").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
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

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        wait::until(text, PATIENCE, || self.screen().contains(text).then_some(()));
    }

    fn types(&mut self, line: &str) {
        writeln!(self.keyboard, "{line}").unwrap();
    }

    #[track_caller]
    fn end(&mut self) -> Option<i32> {
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

#[test]
fn a_question_of_the_server_is_asked_on_the_terminal_and_never_echoed() {
    let Some(site) = asking() else { return skip!("{NEEDED}") };
    let args = ["run", "--host", HOST, "--id", ID, "--backoff", "1s", "--check", CHECK, TASK];
    let mut terminal = OnTerminal::start(&site.laptop, &args);
    terminal.shows("assword:");
    terminal.types(PASSWORD);
    let code = terminal.end();
    assert_eq!(code, Some(0), "{}", terminal.screen());
    assert!(!terminal.screen().contains(PASSWORD), "the password is on the screen:\n{}", terminal.screen());
    site.logs_are_mirrored();
    site.work_is_back();
    let asked = terminal.screen().matches("assword:").count();
    assert_eq!(asked, 1, "asked more than once:\n{}", terminal.screen());
    let accepted = site.host.log().matches("Accepted keyboard-interactive").count();
    assert_eq!(accepted, 1, "one login:\n{}", site.host.log());
}

#[test]
fn without_a_terminal_the_host_and_the_way_are_named_and_nothing_is_tried() {
    let Some(site) = asking() else { return skip!("{NEEDED}") };
    let ran = site.run(&[]).run().fails();
    assert!(ran.stderr.contains(HOST) && ran.stderr.contains("ssh"), "{}", ran.stderr);
    assert_eq!(site.host.log().matches("Failed").count(), 0, "{}", site.host.log());
    assert!(!site.host.user.home.join(".handoff").exists());
}
