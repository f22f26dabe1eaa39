//! Checks that no files use each other, directly or through others. A file and its own folder are one concept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{is_test_file, is_word, rust_files, starts_of, without_comments, without_test_module, word};

/// The modules that each module uses, by their paths below the crate root.
type Uses = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_files_use_each_other() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for file in rust_files(&src) {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        if !is_test_file(&path) {
            files.push((path, std::fs::read_to_string(&file).unwrap()));
        }
    }
    let circles = circles(&uses_of(&files));
    assert!(circles.is_empty(), "these files use each other:\n{}\n", circles.join("\n"));
}

fn uses_of(files: &[(String, String)]) -> Uses {
    let module = |path: &str| path.trim_end_matches(".rs").replace('/', "::");
    let modules: BTreeSet<String> = files.iter().map(|(path, _)| module(path)).collect();
    let mut uses = Uses::new();
    for (path, text) in files {
        let own = module(path);
        let code = without_comments(text);
        let used = paths_in(&own, without_test_module(&code));
        let used = used.iter().filter_map(|path| longest_module(path, &modules));
        let is_apart = |other: &String| *other != own && !is_below(other, &own) && !is_below(&own, other);
        uses.insert(own.clone(), used.filter(is_apart).collect());
    }
    uses
}

fn is_below(module: &str, other: &str) -> bool {
    module.strip_prefix(other).is_some_and(|rest| rest.starts_with("::"))
}

/// The module in which the item of a path is defined.
fn longest_module(path: &[String], modules: &BTreeSet<String>) -> Option<String> {
    (1..=path.len()).rev().map(|length| path[..length].join("::")).find(|module| modules.contains(module))
}

/// The paths that begin at the crate root or with `super::`, as paths below the crate root.
fn paths_in(own: &str, code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for at in starts_of("crate::", code) {
        paths.extend(expand(&[], &code[at + "crate::".len()..]));
    }
    for at in starts_of("super::", code).filter(|at| !code[..*at].ends_with("super::")) {
        let mut base: Vec<String> = own.split("::").map(str::to_owned).collect();
        let mut rest = &code[at..];
        while let Some(after) = rest.strip_prefix("super::") {
            base.pop();
            rest = after;
        }
        paths.extend(expand(&base, rest));
    }
    paths
}

/// The paths that `rest` continues `base` with: one, or one for each item of a `{group}`.
fn expand(base: &[String], rest: &str) -> Vec<Vec<String>> {
    if let Some(group) = rest.strip_prefix('{') {
        return items(group).into_iter().flat_map(|item| expand(base, item)).collect();
    }
    let Some(name) = word(rest) else { return Vec::new() };
    let path = [base, std::slice::from_ref(&name)].concat();
    match rest[name.len()..].strip_prefix("::") {
        Some(after) if after.starts_with(|c: char| is_word(c) || c == '{') => expand(&path, after),
        _ => vec![path],
    }
}

/// The items of a group, up to its closing brace.
fn items(group: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(group[start..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(group[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

/// Each module that is in a circle, with the modules of the circle that it uses.
fn circles(uses: &Uses) -> Vec<String> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = uses.keys().map(|from| (from.as_str(), reach(from, uses))).collect();
    let mut found = Vec::new();
    for (from, used) in uses {
        let back: Vec<&str> =
            used.iter().map(String::as_str).filter(|to| reached[to].contains(from.as_str())).collect();
        if !back.is_empty() {
            found.push(format!("{from} uses {}", back.join(", ")));
        }
    }
    found
}

fn reach<'a>(from: &str, uses: &'a Uses) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut todo: Vec<&str> = uses[from].iter().map(String::as_str).collect();
    while let Some(next) = todo.pop() {
        if reached.insert(next) {
            todo.extend(uses[next].iter().map(String::as_str));
        }
    }
    reached
}

#[test]
fn a_circle_is_found_through_other_files_and_groups() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let files = [
        file("git/pack.rs", "use super::transfer::run;"),
        file("git/transfer.rs", "use crate::{git::{refs, quarantine::Tip}, model::id};"),
        file("git/quarantine.rs", "fn f() { crate::git::pack::make() }"),
        file("git/refs.rs", "use super::Error;"),
        file("git.rs", "use pack::make;"),
        file("model/id.rs", ""),
    ];
    let found = circles(&uses_of(&files));
    let expected =
        ["git::pack uses git::transfer", "git::quarantine uses git::pack", "git::transfer uses git::quarantine"];
    assert_eq!(found, expected);
}

#[test]
fn a_file_and_its_folder_may_use_each_other() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let files = [
        file("dispatch.rs", "use crate::dispatch::ship::send;"),
        file("dispatch/ship.rs", "use crate::dispatch::Prepared;\n#[cfg(test)]\nmod tests { use crate::run::x; }"),
        file("run.rs", "use crate::dispatch::ship;"),
    ];
    assert_eq!(circles(&uses_of(&files)), Vec::<String>::new());
}
