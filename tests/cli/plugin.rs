//! `handoff plugin`: the skill for agents, and `takeover --print-prompt`, which it uses.

use crate::support::laptop::Laptop;
use crate::support::{ID, QUICK, TASK};

const SKILL: &str = "skills/background-agent-handoff/SKILL.md";

#[test]
fn it_is_installed_where_agents_look_and_only_its_own_directories_are_removed() {
    let laptop = Laptop::new();
    let home = laptop.home();
    laptop.handoff(["plugin", "install"]).run().exits(0).says("installed:").done();
    assert!(home.join(".agents").join(SKILL).exists(), "without any agent, the common directory is used");
    laptop.handoff(["plugin", "remove", "--agents"]).run().exits(0).done();
    // The path of this home contains the program's name.
    assert!(home.display().to_string().contains("handoff") && home.join(".agents/skills").is_dir());
    std::fs::remove_dir_all(home.join(".agents")).unwrap();

    std::fs::create_dir_all(home.join(".cursor")).unwrap();
    std::fs::create_dir_all(home.join(".claude/skills/mine")).unwrap();
    laptop.handoff(["plugin", "install"]).run().exits(0).done();
    let plugin = home.join(".cursor/plugins/local/handoff");
    let manifest = std::fs::read_to_string(plugin.join(".cursor-plugin/plugin.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&manifest).unwrap()["name"], "handoff");
    let servers = std::fs::read_to_string(plugin.join("mcp.json")).unwrap();
    let server = serde_json::from_str::<serde_json::Value>(&servers).unwrap()["mcpServers"]["handoff"].clone();
    assert_eq!((server["command"].as_str(), &server["args"][0]), (Some(env!("CARGO_BIN_EXE_handoff")), &"mcp".into()));
    let printed = laptop.handoff(["plugin", "print"]).run().exits(0);
    for skill in [plugin.join(SKILL), home.join(".claude").join(SKILL)] {
        assert!(std::fs::read_to_string(&skill).unwrap().starts_with(&printed.text()), "{}", skill.display());
    }
    assert!(!home.join(".agents").join(SKILL).exists());
    laptop.handoff(["plugin", "install"]).run().exits(0).says("unchanged:").done();

    laptop.handoff(["plugin", "remove"]).run().exits(0).says("removed:").done();
    assert!(!plugin.exists() && !home.join(".claude/skills/background-agent-handoff").exists());
    assert!(home.join(".claude/skills/mine").exists() && home.join(".cursor").exists(), "the agent's own stay");
}

#[test]
fn the_command_that_adds_the_tools_is_printed_and_the_files_of_others_are_not_touched() {
    let laptop = Laptop::new();
    let config = laptop.home().join(".cursor/mcp.json");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    std::fs::write(&config, "{\"mcpServers\": {}}").unwrap();
    let ran = laptop.handoff(["plugin", "install", "--cursor", "--claude", "--codex"]).run().exits(0);
    let program = env!("CARGO_BIN_EXE_handoff");
    let ran = ran.says(&format!("for the MCP server: claude mcp add --scope user handoff -- {program} mcp\n"));
    ran.says(&format!("for the MCP server: codex mcp add handoff -- {program} mcp\n")).done();
    let mine = laptop.home().join(".cursor/plugins/local/handoff/mcp.json");
    std::fs::write(&mine, "{\"mcpServers\": {\"mine\": {}}}").unwrap();
    laptop.handoff(["plugin", "remove", "--cursor"]).run().exits(1).complains("mcp.json is not the file").done();
    laptop.handoff(["plugin", "remove", "--cursor", "--force"]).run().exits(0).done();
    laptop
        .handoff(["plugin", "remove", "--claude"])
        .run()
        .exits(0)
        .says("claude mcp remove --scope user handoff\n")
        .done();
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "{\"mcpServers\": {}}");
}

#[test]
fn a_skill_that_someone_changed_is_kept() {
    let laptop = Laptop::new();
    laptop.handoff(["plugin", "install", "--claude", "--codex"]).run().exits(0).done();
    let changed = laptop.home().join(".codex").join(SKILL);
    std::fs::write(&changed, "my own words\n").unwrap();
    for verb in ["install", "remove"] {
        let refused = laptop.handoff(["plugin", verb, "--claude", "--codex"]).run().exits(1);
        refused.complains(".codex").complains("is not the file that handoff installs").done();
        assert_eq!(std::fs::read_to_string(&changed).unwrap(), "my own words\n");
        assert!(laptop.home().join(".claude").join(SKILL).exists(), "nothing was done before the refusal");
    }
    laptop.handoff(["plugin", "install", "--codex", "--force"]).run().exits(0).says("updated:").done();
    assert!(std::fs::read_to_string(&changed).unwrap().contains("handoff run --detach"));
}

#[test]
fn a_repository_can_have_it() {
    let laptop = Laptop::new();
    let project = laptop.handoff(["plugin", "install", "--cursor", "--claude", "--project"]).run().exits(0);
    assert!(!project.text().contains("mcp add"), "the user's own configuration is not the repository's");
    assert_eq!(laptop.git(&["status", "--porcelain"]), "?? .claude/\n?? .cursor/\n");
    assert!(laptop.repository().join(".cursor").join(SKILL).exists());
}

#[test]
fn an_agent_gets_the_prompt_and_the_worktree_and_no_editor() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let ran = laptop.handoff(["takeover", ID, "--print-prompt"]).run().exits(0);
    let prompt = ran.text();
    assert!(
        prompt.starts_with("Continue this task in the current interactive Cursor session.") && prompt.contains(TASK)
    );
    let last = format!("Work in this worktree: {}\n", laptop.worktree().display());
    assert!(prompt.contains("All done.") && prompt.ends_with(&last), "{prompt}");
    assert!(laptop.worktree().join("notes.txt").exists());
}

/// A package manager links the program from a directory that an upgrade removes.
#[test]
fn the_tools_are_started_by_the_path_that_an_upgrade_keeps() {
    let laptop = Laptop::new();
    let (bin, package) = (laptop.home().join("bin"), laptop.home().join("package-0.1.0"));
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&package).unwrap();
    std::fs::hard_link(env!("CARGO_BIN_EXE_handoff"), package.join("handoff"))
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_handoff"), package.join("handoff")).map(drop))
        .unwrap();
    std::os::unix::fs::symlink(package.join("handoff"), bin.join("handoff")).unwrap();
    let path = std::env::join_paths(
        std::iter::once(bin.clone()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let program = laptop.program(&bin.join("handoff")).env("PATH", path.unwrap());
    program.args(["plugin", "install", "--cursor"]).run().exits(0).done();
    let servers = std::fs::read_to_string(laptop.home().join(".cursor/plugins/local/handoff/mcp.json")).unwrap();
    let servers: serde_json::Value = serde_json::from_str(&servers).unwrap();
    assert_eq!(servers["mcpServers"]["handoff"]["command"], bin.join("handoff").to_str().unwrap());
}
