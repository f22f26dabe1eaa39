//! The main job under each shell that a host may have, as the login shell and as `/bin/sh`.

use std::path::Path;

use crate::skip;
use crate::support::site::Site;
use crate::support::sshd::{self, Setup};

/// Runs the job on a host where `shell` is `/bin/sh` for every process, the runner included.
fn on_a_host_with(shell: &str) {
    let found = ["/bin", "/usr/bin"].map(|dir| Path::new(dir).join(shell)).into_iter().find(|path| path.exists());
    let Some(path) = found else { return skip!("{shell} is not installed") };
    if !sshd::can_choose_shell() {
        return skip!("only root can give a user another shell");
    }
    if !sshd::can_replace_sh() {
        return skip!("no mount namespace can be made, so /bin/sh stays what it is");
    }
    does_the_job(Setup::default().login_shell("/bin/sh").sh(&path));
}

fn does_the_job(setup: Setup) {
    let site = Site::with(setup);
    site.run(&[]).run().success();
    site.logs_are_mirrored();
    site.work_is_back();
}

#[test]
fn dash() {
    on_a_host_with("dash");
}

#[test]
fn bash() {
    on_a_host_with("bash");
}

#[test]
fn busybox_ash() {
    on_a_host_with("busybox");
}

#[test]
fn a_login_shell_that_prints_noise() {
    if !sshd::can_choose_shell() {
        return skip!("only root can give a user another shell");
    }
    let site = Site::with(Setup::default().login_shell("/bin/bash"));
    // bash reads this file for every command that sshd runs.
    let noise = "echo Welcome to the build farm.; echo '@handoff 0000000000000000 begin'; echo oops >&2\n";
    site.host.user.install(".bashrc", noise, 0o644);
    site.run(&[]).run().success();
    site.logs_are_mirrored();
    site.work_is_back();
}
