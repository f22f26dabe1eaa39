//! Command lines and repositories that are refused before anything is sent.

use crate::support::TASK;
use crate::support::laptop::Laptop;
use crate::support::screens::Screens;

#[test]
fn a_command_line_that_is_wrong() {
    let laptop = Laptop::new();
    let mut screens = Screens::new();
    for args in [
        &[][..],
        &["frobnicate"],
        &["rnu", "--host", "box", TASK],
        &["run", "--host", "box", "fix", "the", "tests"],
        &["list", "--frobnicate"],
        &["-C", "/nope", "list"],
        &["-C", "/nope", "run", "--host", "box", TASK],
        &["--hosts", "/nope.toml", "hosts", "list"],
        &["run", "--host", "box"],
        &["run", "--host", "box", " \n"],
        &["run", "--host", "box", "--attempts", "0", TASK],
        &["run", "--host", "box", "--timeout", "soon", TASK],
        &["run", "--host", "box", "--backoff", "-1s", TASK],
        &["run", "--host", "box", "--id", "../up", TASK],
        &["run", "--host", "box", "--include", "!x", TASK],
        &["run", "--host=-oProxyCommand=x", TASK],
        &["run", "--host", "box", "--agent", "curser", TASK],
        &["run", "--host", "box", "--agent", "nobody", TASK],
        &["run", "--host", "box", "--task-file", "no such file"],
        &["run", "--host", "box", "--task-file", "README.md", TASK],
        &["run", "--host", "box", "--json", "--raw", TASK],
        &["ship"],
        &["show", "20990101-nothing"],
        &["show", "--host", "box", "--offline"],
        &["takeover", "--editor", "emacs"],
        &["clean", "--all", "--discard-ignored"],
        &["clean", "--discard-ignored"],
        &["completions", "tcl"],
        &["man"],
        &["hosts"],
        &["agents", "explain", "--agent", "claud", "--exit", "0", "README.md"],
        &["agents", "explain", "--agent", "claude", "--exit", "0", "/nowhere"],
        &["agents", "explain", "--agent", "claude", "--exit", "0", "/"],
    ] {
        screens.see(&laptop, args);
    }
    let long = laptop.run(["--task-file", "-"]).stdin("x".repeat((1 << 20) + 1)).run();
    screens.add(&laptop, &long);
    laptop.append_hosts("[host.other]\n");
    screens.see(&laptop, &["run", TASK]);
    screens.match_file("wrong_command_line");
}

#[test]
fn a_configuration_that_is_wrong() {
    let laptop = Laptop::new();
    let mut screens = Screens::new();
    for text in [
        "[host.box]\naddres = \"x\"\n",
        "[host.box]\nport = \"ssh\"\n",
        "[host.box]\ntimeout = \"soon\"\n",
        "[host.\"a b\"]\n",
        "[host.box\n",
        "[hosts.box]\n",
    ] {
        std::fs::write(laptop.hosts_file(), text).unwrap();
        screens.note(&format!("hosts.toml: {text:?}"));
        screens.see(&laptop, &["hosts", "list"]);
    }
    std::fs::remove_file(laptop.hosts_file()).unwrap();
    screens.note("without a hosts.toml");
    screens.see(&laptop, &["hosts", "list"]);
    screens.see(&laptop, &["run", TASK]);
    laptop.write_hosts();
    for text in ["[agent.mine]\nlike = 1\n", "[agent.mine]\nlike = \"cursr\"\n", "[agent.mine]\nbinary = \"x\"\n"] {
        std::fs::write(laptop.home().join(".config/handoff/agents.toml"), text).unwrap();
        screens.note(&format!("agents.toml: {text:?}"));
        screens.see(&laptop, &["agents"]);
    }
    std::fs::remove_file(laptop.home().join(".config/handoff/agents.toml")).unwrap();
    let templates = laptop.home().join(".config/handoff/templates");
    std::fs::create_dir(&templates).unwrap();
    std::fs::write(templates.join("prompt.fresh.j2"), "{{ tusk }}\n").unwrap();
    screens.note("templates/prompt.fresh.j2: {{ tusk }}");
    screens.see(&laptop, &["run", TASK]);
    std::fs::remove_dir_all(&templates).unwrap();
    for (n, secret) in
        ["\"NOT_SET\"", "{ command = \"echo no >&2; exit 3\" }", "{ file = \"/nope\" }"].into_iter().enumerate()
    {
        laptop.write_hosts();
        laptop.append_hosts(&format!("[host.box.secrets]\nKEY = {secret}\n"));
        screens.note(&format!("a secret of hosts.toml: {secret}"));
        screens.see(&laptop, &["run", "--id", &format!("with-secret-{n}"), "--again", TASK]);
    }
    laptop.write_hosts();
    screens.see(&laptop, &["show", "with-secret"]);
    screens.see(&laptop, &["show", "with-secret-9"]);
    screens.see(&laptop, &["list"]);
    screens.match_file("wrong_configuration");
}

#[test]
fn a_repository_that_cannot_be_sent() {
    let laptop = Laptop::new();
    let mut screens = Screens::new();
    let run = ["run", "--host", "box", TASK];
    let at = |name: &str, args: &[&str]| {
        let directory = laptop.top().join("work").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        if !args.is_empty() {
            laptop.git_in(&directory, args);
        }
        directory
    };
    let plain = at("plain", &[]);
    for args in [&run[..], &["list"], &["show"]] {
        screens.note("outside a repository");
        screens.add(&laptop, &laptop.handoff(args).directory(&plain).run());
    }
    for (what, directory) in [
        ("a bare repository", at("bare.git", &["init", "--quiet", "--bare"])),
        ("inside .git", laptop.repository().join(".git")),
    ] {
        screens.note(what);
        screens.add(&laptop, &laptop.handoff(run).directory(&directory).run());
    }
    laptop.write("more.txt", "more\n");
    laptop.git(&["add", "more.txt"]);
    laptop.git(&["commit", "--quiet", "--message=More"]);
    let url = format!("file://{}", laptop.repository().display());
    laptop.git(&["config", "uploadpack.allowFilter", "true"]);
    laptop.git(&["clone", "--quiet", "--no-checkout", "--filter=blob:none", &url, "../partial"]);
    laptop.git_in(&at("partial", &[]), &["config", "remote.origin.url", "file:///nonexistent/till.git"]);
    screens.note("a partial clone whose remote is gone");
    screens.add(&laptop, &laptop.handoff(run).directory(&at("partial", &[])).run());
    for name in ["rebase-merge", "rebase-apply", "sequencer"] {
        std::fs::create_dir(laptop.repository().join(".git").join(name)).unwrap();
        screens.note(&format!("with an empty .git/{name}"));
        screens.see(&laptop, &run);
        std::fs::remove_dir(laptop.repository().join(".git").join(name)).unwrap();
    }
    let page = ".cursor/agent-handoffs/x/handoff.md";
    laptop.shell(&format!(
        "git checkout -q -b side && mkdir -p {page}.d && rmdir {page}.d && echo a >{page} && git add -f {page} &&
         git commit -q -m Record && git checkout -q --orphan other && echo b >{page} && git add -f {page} &&
         git commit -q -m Other && ! git merge -q --allow-unrelated-histories side"
    ));
    screens.note("the record is in conflict");
    screens.see(&laptop, &run);
    screens.match_file("unfit_repository");
}
