//! Checks the architecture: which layer may use which, and which file may use each dangerous dependency.
//!
//! It reads the paths that begin at the crate root (`use crate::…`, `crate::…` in an expression, and enough `super::`
//! to get there). A new folder under `src/` fails until it is listed in [`RANKS`].

#[path = "layers/circles.rs"]
mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Layers from the top down. A layer uses the ranks below its own; layers of one rank are neighbours.
const RANKS: &[&[&str]] = &[
    &["cli"],
    &["ui"],
    &["supervise"],
    &["remote", "mirror"],
    &["transport", "git", "config", "state", "agent"],
    &["model"],
];

/// Parts of `supervise/` from the top down. A file uses its own part and those below it, so that no two parts use each
/// other. What is below the driver gets the record and the connection, and cannot name the driver.
const SUPERVISE: &[&[&str]] = &[
    &[
        "adopt",
        "check",
        "clean",
        "finish",
        "forget",
        "give",
        "pull",
        "resume",
        "run",
        "show",
        "stop",
        "summarize",
        "takeover",
        "undo",
        "watch_all",
    ],
    &["attempt_loop"],
    &["driver"],
    &["custody"],
    &["attempt"],
    &["dispatch"],
    &["artifacts"],
    &["capture"],
    &["contact"],
    &["checkout"],
    &["worktrees"],
    &["companions"],
    &["record"],
    &["logs"],
    &["ledger"],
    &["masking"],
    &["services"],
    &["connection", "summaries"],
    &["error"],
    &["progress"],
];

/// Text that is allowed only in files whose path under `src/` begins with one of the prefixes. Tests are exempt.
const OWNED: &[(&str, &[&str])] = &[
    ("clap::", &["cli.rs", "cli/"]),
    ("clap_complete::", &["cli.rs", "cli/"]),
    ("clap_mangen::", &["cli.rs", "cli/"]),
    ("rmcp::", &["cli/mcp.rs", "cli/mcp/"]),
    ("russh::", &["transport/ssh.rs", "transport/ssh/"]),
    ("indicatif::", &["ui/live.rs", "ui/live/"]),
    ("Command::new(\"git\")", &["git.rs", "git/"]),
];

/// Roots that only list the layers, or call the topmost one.
const ROOTS: &[&str] = &["lib.rs", "main.rs"];

#[test]
fn every_file_keeps_to_its_layer() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&src) {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        wrong.extend(violations(&path, &std::fs::read_to_string(&file).unwrap()));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_room_of_the_engine_uses_only_rooms_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&src.join("supervise")) {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        wrong.extend(room_violations(&path, &std::fs::read_to_string(&file).unwrap()));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A method is called without its file's name, so the paths of a file do not show that it uses another room.
#[test]
fn every_room_of_the_engine_calls_only_methods_of_rooms_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for file in rust_files(&src.join("supervise")) {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        if !is_test_file(&path) {
            files.push((path, std::fs::read_to_string(&file).unwrap()));
        }
    }
    let wrong = call_violations(&files);
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Calls of a method of `Driver` that is defined in a room above the caller's or next to it, one per line. The files are
/// paths relative to `src/` and their texts.
fn call_violations(files: &[(String, String)]) -> Vec<String> {
    let mut homes: BTreeMap<String, &str> = BTreeMap::new();
    for (path, text) in files {
        homes.extend(methods_of_driver(text).into_iter().map(|name| (name, room_of(path))));
    }
    let mut wrong = BTreeSet::new();
    for (path, text) in files {
        let code = without_comments(text);
        let code = without_test_module(&code);
        let room = room_of(path);
        for caller in ["self.", "driver.", "Driver::"] {
            for at in starts_of(caller, code) {
                let Some(name) = word(&code[at + caller.len()..]) else { continue };
                let is_call = code[at + caller.len() + name.len()..].starts_with('(');
                // A method of this name in a file that has no block of `Driver` is another one.
                let is_of_driver = caller != "self." || code.contains("impl Driver {");
                let Some(home) = homes.get(&name).filter(|_| is_call && is_of_driver) else { continue };
                if *home != room && rank_of_room(home) <= rank_of_room(room) {
                    wrong.insert(format!("src/{path}: `{room}` calls `{name}` of `{home}`"));
                }
            }
        }
    }
    wrong.into_iter().collect()
}

/// The names of the methods in a file's `impl Driver` blocks.
fn methods_of_driver(text: &str) -> Vec<String> {
    let blocks = text.split("\nimpl Driver {\n").skip(1).map(|block| block.split("\n}\n").next().unwrap());
    let lines = blocks.flat_map(str::lines).filter(|line| line.starts_with("    ") && !line.starts_with("     "));
    lines.filter_map(|line| line.split_once("fn ")).filter_map(|(_, rest)| word(rest)).collect()
}

fn room_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap().trim_end_matches(".rs")
}

fn rank_of_room(room: &str) -> Option<usize> {
    SUPERVISE.iter().position(|rank| rank.contains(&room))
}

/// Uses of a part above or next to a file's own in `supervise/`, one per line. `path` is relative to `src/`.
fn room_violations(path: &str, text: &str) -> Vec<String> {
    let room = room_of(path);
    let Some(rank) = rank_of_room(room) else {
        return vec![format!("src/{path}: `{room}` has no place in SUPERVISE of tests/layers.rs")];
    };
    let code = without_comments(text);
    let starts = starts_of("crate::supervise::", &code);
    let used: BTreeSet<String> = starts.flat_map(|at| names_after(&code[at + "crate::supervise::".len()..])).collect();
    let is_wrong = |other: &&String| *other != room && rank_of_room(other).is_none_or(|other| other <= rank);
    used.iter().filter(is_wrong).map(|other| format!("src/{path}: `{room}` uses `{other}`")).collect()
}

/// The violations in one file, one per line. `path` is relative to `src/`.
fn violations(path: &str, text: &str) -> Vec<String> {
    if ROOTS.contains(&path) {
        return Vec::new();
    }
    let layer = path.split('/').next().unwrap().trim_end_matches(".rs");
    let Some(rank) = rank_of(layer) else {
        return vec![format!("src/{path}: `{layer}` has no place in RANKS of tests/layers.rs")];
    };
    let code = without_comments(text);
    let mut wrong = Vec::new();
    for used in roots_used(path, &code) {
        match rank_of(&used) {
            _ if used == layer => {}
            Some(other) if other > rank => {}
            Some(other) if other == rank => {
                wrong.push(format!("src/{path}: `{layer}` uses its neighbour `{used}`"));
            }
            Some(_) => wrong.push(format!("src/{path}: `{layer}` uses `{used}`, which is above it")),
            None => wrong.push(format!("src/{path}: uses `crate::{used}`, which is no layer")),
        }
    }
    if !is_test_file(path) {
        let product = without_test_module(&code);
        for (text, owners) in OWNED {
            if contains_path(product, text) && !owners.iter().any(|owner| path.starts_with(owner)) {
                wrong.push(format!("src/{path}: `{text}` belongs in {} only", owners.join(", ")));
            }
        }
    }
    wrong
}

fn rank_of(layer: &str) -> Option<usize> {
    RANKS.iter().position(|rank| rank.contains(&layer))
}

/// The names directly below the crate root that a file mentions.
fn roots_used(path: &str, code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for start in starts_of("crate::", code) {
        if !code[..start].ends_with('$') {
            found.extend(names_after(&code[start + "crate::".len()..]));
        }
    }
    let to_root = "super::".repeat(module_depth(path));
    for start in starts_of(&to_root, code) {
        let rest = &code[start + to_root.len()..];
        let chained = code[..start].ends_with("super::") || rest.starts_with("super::");
        // `super::x` inside a test module stays in the file's own layer, so only the names of layers count.
        let layers = names_after(rest).into_iter().filter(|name| !chained && rank_of(name).is_some());
        found.extend(layers);
    }
    found
}

/// The number of `super::` that lead from a file's module to the crate root.
fn module_depth(path: &str) -> usize {
    path.split('/').count()
}

/// Positions at which a path begins, outside a longer word.
fn starts_of<'a>(needle: &'a str, code: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(needle).map(|(at, _)| at).filter(|at| !code[..*at].ends_with(is_word))
}

/// The first name after `crate::`, or each first name of a `{group}`.
fn names_after(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return word(rest).into_iter().collect();
    };
    let (mut names, mut depth, mut fresh) = (Vec::new(), 1, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if depth == 1 && fresh && is_word(c) => {
                names.extend(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn word(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| is_word(*c)).collect();
    (!name.is_empty()).then_some(name)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn contains_path(code: &str, needle: &str) -> bool {
    starts_of(needle, code).next().is_some()
}

/// Removes line comments. `//` inside a URL stays.
fn without_comments(text: &str) -> String {
    let cut = |line: &str| {
        let end = line.match_indices("//").find(|(at, _)| line[..*at].trim_end().len() < *at || *at == 0);
        end.map_or(line, |(at, _)| &line[..at]).to_owned() + "\n"
    };
    text.lines().map(cut).collect()
}

/// A file's code before its `#[cfg(test)] mod …`, which comes last by convention.
fn without_test_module(code: &str) -> &str {
    code.match_indices("#[cfg(test)]")
        .find(|(at, mark)| code[at + mark.len()..].trim_start().starts_with("mod "))
        .map_or(code, |(at, _)| &code[..at])
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn a_use_of_a_layer_above_or_next_to_it_is_found() {
    let wrong = |path, text| violations(path, text).len();
    assert_eq!(wrong("git/takeover_worktree.rs", "use crate::supervise::run;"), 1, "above");
    assert_eq!(wrong("git/takeover_worktree.rs", "use crate::transport::Exec;"), 1, "neighbour");
    assert_eq!(wrong("mirror.rs", "use crate::remote::poll;"), 1, "neighbour");
    assert_eq!(
        wrong("git/takeover_worktree.rs", "use crate::{\n    model::id::HandoffId,\n    state::{self, cli},\n};"),
        1,
        "group"
    );
    assert_eq!(wrong("git/takeover_worktree.rs", "fn f() { crate::ui::print() }"), 1, "in an expression");
    assert_eq!(wrong("git/takeover_worktree.rs", "use super::super::config::Hosts;"), 1, "by super");
    assert_eq!(wrong("model.rs", "use super::git::Repo;"), 1, "by super, one deep");
    assert_eq!(wrong("helpers.rs", ""), 1, "a file without a place");
    assert_eq!(wrong("cli/run.rs", "use crate::util::x;"), 1, "a root without a place");
}

#[test]
fn a_use_of_a_room_above_or_next_to_it_is_found() {
    let wrong = |path, text| room_violations(path, text).len();
    assert_eq!(wrong("supervise/attempt/step.rs", "use crate::supervise::custody::fencing::SHORT;"), 1, "above");
    assert_eq!(wrong("supervise/run.rs", "use crate::supervise::resume::x;"), 1, "another verb");
    assert_eq!(wrong("supervise/custody/fencing.rs", "use crate::supervise::driver::Driver;"), 1, "the coordinator");
    assert_eq!(wrong("supervise/error.rs", "use crate::supervise::{connection::retry, progress};"), 1, "group");
    assert_eq!(wrong("supervise/helpers.rs", ""), 1, "a file without a place");
    assert_eq!(wrong("supervise/custody/fencing.rs", "use crate::supervise::{attempt::step, custody};"), 0);
}

#[test]
fn a_call_of_a_method_of_a_room_above_is_found() {
    let file = |path: &str, text: &str| (format!("supervise/{path}"), text.to_owned());
    let block =
        |name: &str, body: &str| format!("//! x\n\nimpl Driver {{\n    pub fn {name}(&self) {{ {body} }}\n}}\n");
    let stop = file("stop.rs", &block("stop", "self.follow()"));
    let follow = file("attempt_loop.rs", &block("follow", "self.stop()"));
    let wrong = call_violations(&[stop, follow.clone()]);
    assert_eq!(wrong, ["src/supervise/attempt_loop.rs: `attempt_loop` calls `stop` of `stop`"]);
    let other = file("logs.rs", "impl AttemptLogs { fn f(&self) { self.follow() } }");
    assert_eq!(call_violations(&[other, follow]), Vec::<String>::new());
}

#[test]
fn a_dangerous_dependency_outside_its_place_is_found() {
    let wrong = |path, text| violations(path, text).len();
    assert_eq!(wrong("supervise/run.rs", "use clap::Parser;"), 1);
    assert_eq!(wrong("remote/ship.rs", "let k: russh::keys::PublicKey = k;"), 1);
    assert_eq!(wrong("ui/plain.rs", "use indicatif::ProgressBar;"), 1);
    assert_eq!(wrong("state/store.rs", "let mut c = std::process::Command::new(\"git\");"), 1);
    assert_eq!(wrong("state/store.rs", "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { Command::new(\"git\"); } }"), 0);
    assert_eq!(wrong("state/store.rs", "#[cfg(test)]\nfn one() {}\nfn f() { Command::new(\"git\"); }"), 1);
}

#[test]
fn what_is_allowed_is_not_reported() {
    let right = |path, text| assert_eq!(violations(path, text), Vec::<String>::new(), "{path}: {text}");
    right(
        "cli/run.rs",
        "use crate::cli::errors::CliError;\nuse crate::{config, supervise::run as engine};\nuse clap::Args;",
    );
    right("git/takeover_worktree.rs", "use super::command;\nuse crate::model::snapshot::Oid; // unlike crate::state");
    right("git.rs", "/// See [`crate::supervise`].\nmod tests { use super::*; }");
    right("transport/ssh/connect.rs", "let s = \"https://russh.example/\"; use russh::client;");
    right("main.rs", "fn main() -> std::process::ExitCode { handoff::cli::main() }");
}

/// The fuzz targets are built with `--locked`, which fails if their lock file lacks a dependency.
#[test]
fn the_lock_file_of_the_fuzz_targets_has_every_dependency() {
    let read = |name: &str| -> toml::Table {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let lock = read("fuzz/Cargo.lock");
    let packages = lock["package"].as_array().unwrap();
    let handoff = packages.iter().find(|package| package["name"].as_str() == Some("handoff")).unwrap();
    let locked: Vec<&str> =
        handoff["dependencies"].as_array().unwrap().iter().filter_map(toml::Value::as_str).collect();
    for name in read("Cargo.toml")["dependencies"].as_table().unwrap().keys() {
        let is_locked = locked.iter().any(|entry| entry.split(' ').next() == Some(name));
        assert!(
            is_locked,
            "fuzz/Cargo.lock lacks {name}: run `cargo update --workspace --manifest-path fuzz/Cargo.toml`"
        );
    }
}
