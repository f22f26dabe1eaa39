//! Calls the runner through its loaders as SSH would, in every shell of this machine.

mod artifacts;
mod attempt;
mod capture;
mod custody;
mod environment;
mod epoch;
mod frozen;
mod handover;
mod host;
mod judge;
mod lfs;
mod nested;
mod no_proc;
#[path = "../../../tests/cli/support/processes.rs"]
mod processes;
mod receive_pack;
mod release;
mod root;
mod send_pack;
mod shell_words;
mod stall;
mod stream;
mod variables;
mod verdict;
#[path = "../../../integration/support/wait.rs"]
mod wait;
mod whole;

use super::*;
use host::{TestHost, shells};
use shell_words::File;

#[test]
fn loaders_pass_every_login_shell() {
    for line in Verb::ALL.map(loader).into_iter().chain([install_loader(false), install_loader(true)]) {
        let inner = line.strip_prefix("exec /bin/sh -c '").unwrap().strip_suffix('\'').unwrap();
        assert!(!inner.contains(['\'', '!', '\\', '\n']), "{inner}");
        assert!(line.len() < 1000);
    }
}

/// The files of the script, in alphabetical order.
fn script_files() -> Vec<File> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/remote/runner");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "sh")).collect();
    paths.sort();
    let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| File::read(&name(path), &std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_file_of_the_script_is_small_and_begins_with_its_purpose() {
    let mut lines = 0;
    for file in script_files() {
        assert!(text().contains(&file.text), "{} is not part of the script", file.name);
        assert!(file.text.starts_with("# "), "{}", file.name);
        assert!(file.text.lines().count() < 200, "{}", file.name);
        lines += file.text.lines().count();
    }
    assert_eq!(lines, text().lines().count());
}

/// The design wants about 1,000 resident lines of 2,200 in all. The limits are what was reached so far.
#[test]
fn the_script_and_its_resident_part_do_not_grow() {
    let (resident, _) = text().split_once("\n  watch | task)\n").unwrap();
    let lines = (resident.lines().count(), text().lines().count());
    assert!(lines.0 <= 4217 && lines.1 <= 5668, "{lines:?}");
}

/// A redirection that fails, as on a full disk, ends the shell if it belongs to a special builtin.
#[test]
fn no_redirection_ends_the_shell() {
    for line in text().lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        let special = line.contains(": >") && !line.contains("(: >");
        assert!(!special, "`true >` here, for its failure is only a status: {line}");
    }
}

/// Options and patterns that only GNU's tools have.
#[test]
fn only_portable_options_of_tools_are_used() {
    let options = "readlink -f, stat -, xargs -r, sort -z, sed -i, sed -z, sed -r, grep -P, cp -a, date -d, tail -z, head -z, \
                   head -c -, head -n -, mktemp -, cut -z, realpath, -printf, -regextype, -quit, tac, shuf, seq ";
    for line in text().lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        for option in options.split(", ") {
            let at = line
                .match_indices(option)
                .find(|(at, _)| !line[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            assert!(at.is_none(), "{option}: {line}");
        }
        let alternative = ["grep '", "sed '", "sed -n '"].iter().any(|basic| {
            line.split(basic)
                .skip(1)
                .any(|rest| rest.split('\'').next().is_some_and(|p| p.contains("\\|") && !p.starts_with("\\|")))
        });
        assert!(!alternative, "a basic expression has no alternatives; `-E` has: {line}");
    }
    // Some implementations of `head` reject a count of 0.
    assert!(!text().contains("head -c \"$((") && !text().contains("head -n 0"));
}

/// A shell may write the text of a here-document to a temporary file: bash before 5.1 always does, newer ones above 64
/// KiB.
#[test]
fn no_here_document_contains_a_secret() {
    let lines: Vec<&str> = text().lines().map(str::trim).collect();
    let mut seen = 0;
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        assert!(!line.contains("<<<"), "a here-string: {line}");
        let Some((_, mark)) = line.split_once("<<") else { continue };
        let end = mark.trim_matches('\'');
        let body = lines[at + 1..].iter().take_while(|line| **line != end);
        for line in body {
            seen += 1;
            assert!(!line.contains("secret") && !line.contains("$value") && !line.contains("$line"), "{line}");
        }
    }
    assert!(seen > 0);
}

/// Returns where bash 3.2 (the sh of macOS) sees the end of a bracket or quote. It counts brackets and does not know
/// `case`.
fn end_for_bash_3_2(text: &[u8], mut at: usize, close: u8) -> usize {
    let mut depth = 1;
    loop {
        let c = text[at];
        at += 1;
        match c {
            b'\\' if close != b'\'' => at += 1,
            b'#' if close == b')' && text[at - 2].is_ascii_whitespace() => {
                at += text[at..].iter().position(|&c| c == b'\n').unwrap();
            }
            _ if c == close => depth -= 1,
            b'(' if close == b')' => depth += 1,
            b'(' if close == b'"' && text[at - 2] == b'$' => at = end_for_bash_3_2(text, at, b')'),
            b'\'' | b'"' if close == b')' => at = end_for_bash_3_2(text, at, c),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
}

#[test]
fn bash_3_2_finds_the_end_of_every_command_substitution() {
    let script = text().as_bytes();
    for (at, _) in text().match_indices("$(").filter(|(at, _)| !text()[at + 2..].starts_with('(')) {
        let inner = &text()[at + 2..end_for_bash_3_2(script, at + 2, b')') - 1];
        let said = std::process::Command::new("sh").args(["-n", "-c", inner]).output().unwrap();
        assert!(said.status.success(), "{inner}\n{}", String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn shellcheck_finds_nothing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text()).unwrap();
    match std::process::Command::new("shellcheck").args(["-s", "sh"]).arg(file.path()).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(_) => eprintln!("shellcheck is not installed"),
    }
}

#[test]
fn the_runner_is_installed_whole_or_not_at_all() {
    for shell in shells() {
        let host = TestHost::without_runner(shell);
        assert_eq!(host.call(Verb::Probe, b"\n").trim(), "@handoff 00000000000000aa need-runner");

        let cut = host.exec(&install_loader(false), &text().as_bytes()[..text().len() / 2]);
        assert!(cut.contains("error install") && cut.contains("end 1"), "{cut}");
        assert_eq!(std::fs::read_dir(host.root().join("lib")).unwrap().count(), 0);

        let whole = host.exec(&install_loader(false), text().as_bytes());
        assert_eq!(whole, "@handoff 00000000000000aa begin\n@handoff 00000000000000aa end 0\n");
        assert!(host.call(Verb::Probe, b"\n").contains("\nhost "));
    }
}

#[test]
fn probe_reports_what_the_host_has() {
    for shell in shells() {
        let host = TestHost::new(shell);
        host.agent("[ \"$1\" = --version ] && echo 'fake 1.2'; [ \"$1\" != status ]");
        let reply = host.call(
            Verb::Probe,
            b"agent fakeagent\nversion fakeagent ^fake [0-9]\nlogin fakeagent status\nagent no-such-agent\n\n",
        );
        let bin = host.home().join("bin/fakeagent");
        assert!(reply.contains(&format!("\nagent fakeagent {} fake 1.2\n", bin.display())), "{reply}");
        assert!(reply.contains("\nlogin fakeagent 1\n") && reply.contains("\nagent no-such-agent - \n"), "{reply}");
        for key in
            ["host", "home", "git", "cores", "memory", "disk", "inodes", "detach", "wait", "boot", "node", "time"]
        {
            assert!(reply.lines().any(|l| l.split_once(' ').is_some_and(|(k, v)| k == key && !v.is_empty())), "{key}");
        }

        let asks = b"agent fakeagent\nversion fakeagent ^claude\n\n";
        let other = host.call(Verb::Probe, asks);
        assert!(other.contains("\nagent fakeagent - fake 1.2\n"), "{other}");
        // An agent that is killed looks like one that timed out. Neither answers, so neither is called another tool.
        host.agent("kill -KILL $$");
        let silent = host.call(Verb::Probe, asks);
        let expected = format!("\nagent fakeagent {} did not answer --version within 20 s\n", bin.display());
        assert!(silent.contains(&expected), "{silent}");
    }
}

#[test]
fn a_login_is_checked_in_the_environment_of_an_attempt() {
    for shell in shells() {
        let host = TestHost::new(shell);
        let body = r#"case $1 in --version) echo v1 ;; *) [ "$A|$B|${C-unset}" = "a'a|b b|unset" ] ;; esac"#;
        host.agent(body);
        let (env, unset) = ("export A='a'\\''a'\n", "C\n");
        let ask = |env: &str, secret: &str| {
            let (e, u) = (env.len(), unset.len());
            let blob = e + u;
            host.call(
                Verb::Probe,
                format!(
                    "agent fakeagent\nlogin fakeagent status\n{secret}part spec/env {e}\npart spec/unset {u}\nblob {blob}\n\n{env}{unset}"
                )
                .as_bytes(),
            )
        };
        assert!(ask(env, "secret B b\\0040b\n").contains("login fakeagent 0\n"));
        assert!(ask(env, "").contains("login fakeagent 1\n"));
        let left = std::fs::read_dir(host.root()).unwrap().filter_map(|e| e.ok()?.file_name().into_string().ok());
        let left: Vec<_> = left.filter(|name| name.contains("probe") || name.contains("request")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn free_inodes_are_found_where_df_prints_blocks_first() {
    for shell in shells() {
        let host = TestHost::new(shell);
        let header = "Filesystem 512-blocks Used Available Capacity iused ifree %iused  Mounted on";
        host.shadow("df", &format!("echo '{header}'; echo '/dev/disk3s5 9000 8000 1000 89% 400 77 84% /'"));
        assert!(host.call(Verb::Probe, b"\n").contains("\ninodes 77\n"));
    }
}
