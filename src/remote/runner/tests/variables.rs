//! The rules about the runner's variables, which are written at the top of lib.sh.

use std::collections::{BTreeMap, BTreeSet};

use super::shell_words::{File, Function, Use};

type Names<'a> = BTreeSet<&'a str>;

/// The name after each `$` of a text.
fn dollars(text: &str) -> impl Iterator<Item = &str> {
    let end = |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    text.split('$').skip(1).map(move |rest| &rest[..end(rest)]).filter(|name| !name.is_empty())
}

/// The variables that a header calls shared: all names after `Shared:`.
fn shared_by(header: &str) -> impl Iterator<Item = &str> {
    dollars(header.split_once("Shared:").map_or("", |(_, rest)| rest))
}

/// The variables that a header names: the shared ones, and those after "set" or "sets" in a sentence.
fn named_by(header: &str) -> impl Iterator<Item = &str> {
    let own = header.split_once("Shared:").map_or(header, |(own, _)| own);
    let rest = |sentence: &str| ["Sets ", " sets ", " set "].iter().filter_map(|word| sentence.find(word)).min();
    own.split(". ").filter_map(move |it| Some(&it[rest(it)?..])).flat_map(dollars).chain(shared_by(header))
}

fn sets(function: &Function) -> impl Iterator<Item = &str> {
    function.uses.iter().filter_map(|it| if let Use::Set(name) = it { Some(name.as_str()) } else { None })
}

/// What the rules need to know about the whole script.
struct Script<'a> {
    shared: Names<'a>,
    /// For each variable, the files with a header that names it.
    owners: BTreeMap<&'a str, Names<'a>>,
    /// For each variable, the files that read it and do not assign to it.
    readers: BTreeMap<&'a str, Names<'a>>,
    /// What each function assigns, itself or in the functions that it calls.
    assigned: BTreeMap<&'a str, Names<'a>>,
    /// What the header of each function names.
    named: BTreeMap<&'a str, Names<'a>>,
}

impl<'a> Script<'a> {
    fn new(files: &'a [File]) -> Self {
        let mut script = Script {
            shared: Names::new(),
            owners: BTreeMap::new(),
            readers: BTreeMap::new(),
            assigned: BTreeMap::new(),
            named: BTreeMap::new(),
        };
        for file in files {
            let own: Names = file.functions.iter().flat_map(sets).collect();
            let headers = || file.functions.iter().map(|it| &it.header).chain([&file.header]);
            script.shared.extend(headers().flat_map(|it| shared_by(it)));
            for name in headers().flat_map(|it| named_by(it)) {
                script.owners.entry(name).or_default().insert(&file.name);
            }
            for function in &file.functions {
                script.named.entry(&function.name).or_default().extend(named_by(&function.header));
                script.assigned.entry(&function.name).or_default().extend(sets(function));
                for it in &function.uses {
                    match it {
                        Use::Get(name) if !own.contains(name.as_str()) => {
                            script.readers.entry(name).or_default().insert(&file.name);
                        }
                        _ => {}
                    }
                }
            }
        }
        while files.iter().flat_map(|file| &file.functions).filter(|it| script.add_callees(it)).count() > 0 {}
        script
    }

    /// Adds to what a function assigns what its callees assign. Whether that was more than before.
    fn add_callees(&mut self, function: &'a Function) -> bool {
        let callee = |it: &'a Use| if let Use::Call(name) = it { self.assigned.get(name.as_str()) } else { None };
        let all: Names = function.uses.iter().filter_map(callee).flatten().copied().collect();
        let own = self.assigned.entry(&function.name).or_default();
        let before = own.len();
        own.extend(all);
        own.len() > before
    }

    /// What is wrong with an assignment, if anything. A verb has no callers, so its header need not name what it sets.
    fn wrong_assignment(&self, file: &File, function: &Function, name: &str) -> Option<String> {
        let is_named = named_by(&function.header).chain(named_by(&file.header)).any(|it| it == name);
        let verb = function.name.starts_with("run_");
        if !self.shared.contains(name) {
            if let Some(owner) = self.owners.get(name).and_then(|all| all.iter().find(|it| **it != file.name)) {
                return Some(format!("sets ${name}, which belongs to {owner}"));
            }
            if let Some(readers) = self.readers.get(name).filter(|_| !is_named) {
                return Some(format!("sets ${name}, which {readers:?} read, and no header says so"));
            }
        }
        let is_output = self.shared.contains(name) || self.owners.contains_key(name);
        (is_output && !is_named && !verb).then(|| format!("sets ${name}, and its header does not say so"))
    }

    /// The variables that a function assigns and still reads after it called a function that assigns them, too. If the
    /// header of that function names the variable, the function is called for it.
    fn lost(&self, function: &'a Function) -> impl Iterator<Item = String> {
        let mut overwritten: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        let mut complaints = Vec::new();
        for it in &function.uses {
            match it {
                Use::Set(name) => {
                    overwritten.insert(name, None);
                }
                Use::Call(callee) => {
                    let Some(assigned) = self.assigned.get(callee.as_str()) else { continue };
                    for name in assigned.iter().filter(|name| !self.owners.contains_key(*name)) {
                        if let Some(by) = overwritten.get_mut(name) {
                            *by = Some(callee);
                        }
                    }
                }
                Use::Get(name) => {
                    if let Some(Some(by)) = overwritten.get(name.as_str()) {
                        complaints.push(format!("reads ${name} after {by} overwrote it"));
                    }
                }
            }
        }
        complaints.into_iter()
    }
}

/// What the rules say against a script, as lines `<file> <function>: <complaint>`.
fn complaints(files: &[File]) -> Vec<String> {
    let script = Script::new(files);
    let mut all = BTreeSet::new();
    for file in files {
        for function in &file.functions {
            let wrong = sets(function).filter_map(|name| script.wrong_assignment(file, function, name));
            let unset = script.named[function.name.as_str()].difference(&script.assigned[function.name.as_str()]);
            let stale = unset.map(|name| format!("its header names ${name}, which it does not set"));
            for complaint in wrong.chain(stale).chain(script.lost(function)) {
                all.insert(format!("{} {}: {complaint}", file.name, function.name));
            }
        }
    }
    all.into_iter().collect()
}

#[test]
fn headers_name_the_variables_that_functions_set_for_others() {
    let found = complaints(&super::script_files());
    assert!(found.is_empty(), "the rules are at the top of lib.sh:\n{}", found.join("\n"));
}

/// The functions of a script that no word of it names, as lines `<file> <function>`. `run_` is put before a verb.
fn unused(files: &[File]) -> Vec<String> {
    let functions = || files.iter().flat_map(|file| file.functions.iter().map(move |it| (file, it)));
    let words: Names = functions().flat_map(|(_, it)| &it.words).map(String::as_str).collect();
    let is_used =
        |name: &str| words.contains(name) || name.strip_prefix("run_").is_some_and(|verb| words.contains(verb));
    let unused = functions().filter(|(_, it)| !it.name.is_empty() && !is_used(&it.name));
    unused.map(|(file, it)| format!("{} {}", file.name, it.name)).collect()
}

#[test]
fn every_function_is_used() {
    assert_eq!(unused(&super::script_files()), [""; 0]);
    let file = File::read("a.sh", "# A file.\n\nused() { :; }\n# Calls unused.\nunused() {\n  used\n}\n");
    assert_eq!(unused(&[file]), ["a.sh unused"]);
}

/// What the rules say against two files: the first has a function that measures, the second one that uses it.
fn said(caller: &str) -> Vec<String> {
    let owner = "# One file.\n\n# Sets $size to the size of a file.\nmeasure() { size=$(wc -c <\"$1\"); }\n";
    complaints(&[File::read("a.sh", owner), File::read("b.sh", caller)])
}

#[test]
fn the_rules_find_what_they_forbid() {
    let fine =
        "# Another.\n\n# Prints twice the size of a file.\ntwice() {\n  measure \"$1\"\n  say \"$((size * 2))\"\n}\n";
    assert_eq!(said(fine), [""; 0]);

    let foreign = "# Another.\n\nlist() { for size in 1 2; do say \"$size\"; done; }\n";
    assert_eq!(said(foreign), ["b.sh list: sets $size, which belongs to a.sh"]);
    for own in ["( size=1 )", "{ size=1 command; }", "{\n  say \"$(size=1 && say)\" 'size=1' # size=1\n}"] {
        assert_eq!(said(&format!("# Another.\n\nlist() {own}\n")), [""; 0], "{own}");
    }

    let hidden = "# Another.\n\nfind() { read -r color; }\n";
    let reader = File::read("c.sh", "# A third.\n\nshow() { say \"${color:-red}\"; }\n");
    let found = complaints(&[File::read("b.sh", hidden), reader]);
    assert_eq!(found, ["b.sh find: sets $color, which {\"c.sh\"} read, and no header says so"]);

    let lost = "# Another.\n\nouter() {\n  left=3\n  inner\n  say \"$left\"\n}\ninner() { left=0; }\n";
    assert_eq!(said(lost), ["b.sh outer: reads $left after inner overwrote it"]);

    let stale = "# Another.\n\n# Sets $width.\nfind() { height=1; }\n";
    assert_eq!(said(stale), ["b.sh find: its header names $width, which it does not set"]);
}
