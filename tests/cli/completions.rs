//! `handoff completions`

use crate::support::laptop::Laptop;

#[test]
fn every_shell_has_a_completion_script() {
    let laptop = Laptop::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        laptop.handoff(["completions", shell]).run().exits(0).says("takeover").says("handoff").done();
    }
    laptop.handoff(["completions", "tcl"]).run().exits(2).done();
}

#[test]
fn bash_can_read_its_completion_script() {
    let laptop = Laptop::new();
    let script = laptop.handoff(["completions", "bash"]).run().exits(0).stdout;
    let file = laptop.home().join("completions.bash");
    std::fs::write(&file, script).unwrap();
    // Some machines have no bash.
    if let Ok(status) = std::process::Command::new("bash").arg("-n").arg(file).status() {
        assert!(status.success());
    }
}
