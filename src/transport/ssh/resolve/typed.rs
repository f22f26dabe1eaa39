//! The `ssh` command line that reaches a host as this program does, for the user to type.

use super::{Target, config_file};
use crate::model::host::{Host, LOCAL};
use crate::transport::Options;

/// `ssh` with `flags`, every option that the host's entry needs, and its address. A command may follow.
pub fn typed(host: &Host, options: &Options, flags: &[&str]) -> String {
    let mut words: Vec<String> = vec!["ssh".to_owned()];
    words.extend(flags.iter().map(|flag| (*flag).to_owned()));
    if let Some(file) = config_file(options) {
        words.extend(["-F".to_owned(), file.to_string_lossy().into_owned()]);
    }
    // The address does not start with `-`, so no `--` is needed before it.
    let arguments = Target::of(host).arguments();
    words.extend(arguments.iter().map(|word| word.to_string_lossy().into_owned()).filter(|word| word != "--"));
    let quoted = |word: &String| shlex::try_quote(word).map_or_else(|_| word.clone(), |word| word.into_owned());
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// A command of the host as the user types it here: through `ssh` with a terminal, or unchanged for this machine.
pub fn typed_command(host: &Host, options: &Options, command: &str) -> String {
    match host.name == LOCAL {
        true => command.to_owned(),
        false => format!("{} {command}", typed(host, options, &["-t"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_has_the_options_of_the_entry() {
        let config = Some("/home/Ann Lee/config".into());
        let options = Options { ssh_config: config, ..Options::default() };
        let mut host = Host::bare("box");
        assert_eq!(typed(&host, &options, &["-v"]), "ssh -v -F '/home/Ann Lee/config' box");
        (host.address, host.user, host.port) = ("10.0.0.5".into(), Some("ann".into()), Some(2222));
        host.jump = Some("gate:22".into());
        let line = typed_command(&host, &options, "claude auth login");
        assert_eq!(line, "ssh -t -F '/home/Ann Lee/config' -l ann -p 2222 -J gate:22 10.0.0.5 claude auth login");
        assert_eq!(typed_command(&Host::bare(LOCAL), &options, "claude auth login"), "claude auth login");
    }
}
