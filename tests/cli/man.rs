//! `handoff man`: the manual pages, and `docs/cli.md`, which has the help of every command.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory;

use crate::support::laptop::Laptop;

/// The words of every command that the help shows, each after the command that it belongs to.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, words: &[String], all: &mut Vec<Vec<String>>) {
        all.push(words.to_vec());
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            walk(sub, &[words, &[sub.get_name().to_owned()]].concat(), all);
        }
    }
    let mut all = vec![];
    walk(&handoff::cli::Args::command(), &[], &mut all);
    all
}

#[test]
fn every_command_has_a_page() {
    let laptop = Laptop::new();
    let directory = laptop.home().join("share/man/man1");
    let ran = laptop.handoff(["man"]).args([&directory]).run().exits(0);
    assert_eq!((ran.text().as_str(), ran.stderr.as_str()), ("", ""));
    let pages = std::fs::read_dir(&directory).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap());
    let wanted = commands().into_iter().map(|words| [&["handoff".to_owned()], &words[..]].concat().join("-") + ".1");
    assert_eq!(pages.collect::<BTreeSet<_>>(), wanted.collect());
    let page = std::fs::read_to_string(directory.join("handoff-run.1")).unwrap();
    assert!(page.contains(".SH SYNOPSIS") && page.contains(r"\-\-detach"), "{page}");
    // Some machines have no man.
    let man = std::process::Command::new("man").args(["-l".as_ref(), directory.join("handoff.1").as_os_str()]).output();
    if let Ok(man) = man.map(|man| String::from_utf8_lossy(&man.stderr).into_owned()) {
        assert!(!man.contains("warning"), "{man}");
    }
    std::fs::write(laptop.home().join("file"), "").unwrap();
    laptop.handoff(["man"]).args([laptop.home().join("file")]).run().exits(1).complains("could not write").done();
}

#[test]
fn the_command_line_reference_has_the_help_of_every_command() {
    let laptop = Laptop::new();
    let mut text = "<!-- Written by a test: INSTA_UPDATE=always cargo test --features integration --test cli man -->\n\
                    # Command line\n"
        .to_owned();
    for words in commands() {
        let help = laptop.handoff(&words).args(["--help"]).run().exits(0).text();
        let level = "#".repeat(words.len().max(1) + 1);
        text +=
            &format!("\n{level} {}\n\n```text\n{help}```\n", [&["handoff".to_owned()], &words[..]].concat().join(" "));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&file, &text).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = "docs/cli.md differs from --help; the command in its first line writes it";
    assert!(written == text, "{differs}\n{}", first_difference(&written, &text));
}

/// The first line that differs.
fn first_difference(written: &str, wanted: &str) -> String {
    let pair = written.lines().chain([""]).zip(wanted.lines().chain([""])).find(|(one, other)| one != other);
    pair.map_or(String::new(), |(written, wanted)| format!("- {written}\n+ {wanted}"))
}
