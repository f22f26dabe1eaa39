//! Interactive logins: sshd with PAM, and a terminal.

use std::path::Path;

use crate::skip;
use crate::support::site::{CHECK, HOST, ID, Site, TASK};
use crate::support::sshd::Setup;
use crate::support::terminal::{self, OnTerminal};
use crate::support::user;

const PASSWORD: &str = "correct horse battery staple";

/// A host that accepts only a password, by keyboard-interactive. `None` if this machine cannot provide one.
fn asking() -> Option<Site> {
    if !user::can_be_made() || !Path::new("/etc/pam.d/sshd").exists() || !terminal::can_be_had() {
        return None;
    }
    let setup = Setup::default().setting("UsePAM yes").setting("KbdInteractiveAuthentication yes");
    let site = Site::with(setup.setting("AuthenticationMethods keyboard-interactive"));
    site.host.user.set_password(PASSWORD);
    Some(site)
}

const NEEDED: &str = "root to make a user with a password, PAM's service sshd, and script of util-linux";

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

#[test]
fn the_passphrase_of_a_key_is_asked_for_on_the_terminal() {
    if !terminal::can_be_had() {
        return skip!("script of util-linux");
    }
    let site = Site::with(Setup::default().passphrase(PASSWORD));
    let mut terminal = OnTerminal::start(
        &site.laptop,
        &["run", "--host", HOST, "--id", ID, "--backoff", "1s", "--check", CHECK, TASK],
    );
    terminal.shows("assphrase");
    terminal.types(PASSWORD);
    assert_eq!(terminal.end(), Some(0), "{}", terminal.screen());
    assert!(!terminal.screen().contains(PASSWORD), "it is on the screen:\n{}", terminal.screen());
    site.work_is_back();
}

#[test]
fn an_unknown_host_key_is_asked_about_on_the_terminal_and_then_known() {
    if !terminal::can_be_had() {
        return skip!("script of util-linux");
    }
    let site = Site::unknown(Setup::default());
    let route = site.host.route(HOST);
    std::fs::write(&route.known_hosts, "").unwrap();
    site.laptop.knows(&route);
    let run = ["run", "--host", HOST, "--id", ID, "--backoff", "1s", "--check", CHECK, TASK];
    let mut refused = OnTerminal::start(&site.laptop, &run);
    refused.shows("SHA256:");
    refused.types("no");
    assert_eq!(refused.end(), Some(8), "{}", refused.screen());
    assert_eq!(std::fs::read_to_string(&route.known_hosts).unwrap(), "");
    let mut taken = OnTerminal::start(&site.laptop, &run);
    taken.shows("SHA256:");
    taken.types("yes");
    assert_eq!(taken.end(), Some(0), "{}", taken.screen());
    assert!(!std::fs::read_to_string(&route.known_hosts).unwrap().is_empty());
    site.work_is_back();
}
