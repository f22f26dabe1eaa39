use super::*;
use crate::model::profile::{DEFAULT_AGENT, DialectName};

fn fails(text: &str) -> String {
    layered(text, "agents.toml").unwrap_err().to_string()
}

#[test]
fn the_built_in_profiles_are_valid_and_contain_the_default() {
    let profiles = built_in().unwrap();
    profiles.values().for_each(|profile| validate(profile).unwrap());
    assert_eq!(profiles.keys().collect::<Vec<_>>(), ["claude", "codex", "cursor"]);
    let cursor = &profiles[DEFAULT_AGENT];
    assert_eq!(cursor.binary, ["cursor-agent", "agent"]);
    assert_eq!(cursor.session, SessionMode::Create);
    assert_eq!(profiles["claude"].root_env["IS_SANDBOX"], "1");
    assert!(profiles["claude"].env.is_empty());
    assert!(profiles.values().all(|profile| profile.failure.len() >= 10));
}

#[test]
fn version_patterns_distinguish_clis_of_the_same_name() {
    let profiles = built_in().unwrap();
    for (name, line, known) in [
        ("cursor", "2026.10.01-e373342", true),
        ("cursor", "agent 1.4.2", false),
        ("claude", "2.1.329 (Claude Code)", true),
        ("codex", "codex-cli 0.169.0", true),
    ] {
        let pattern = compile(profiles[name].version_pattern.as_ref().unwrap()).unwrap();
        assert_eq!(pattern.is_match(line), known, "{name} {line}");
    }
}

#[test]
fn a_users_keys_replace_only_the_same_built_in_keys() {
    let text = "[agent.claude]\nmodel_args = ['--model', '{model}', '--max-budget-usd', '5']\nlogin_check = []\n";
    let (before, after) = (built_in().unwrap(), layered(text, "f").unwrap());
    assert_eq!(after["claude"].model_args.len(), 4);
    assert!(after["claude"].login_check.is_empty());
    assert_eq!(after["claude"].failure, before["claude"].failure);
    assert_eq!(after["cursor"], before["cursor"]);
}

/// The tables in the comments of the built-in file, without the comment signs.
#[test]
fn the_documented_examples_work() {
    let examples =
        BUILT_IN.lines().skip_while(|line| !line.contains("[agent.claude]")).take_while(|line| *line != "# Keys");
    let examples: Vec<_> = examples.map(|line| line.trim_start_matches('#').trim()).collect();
    let profiles = layered(&examples.join("\n"), "examples").unwrap();
    assert_eq!(profiles.keys().collect::<Vec<_>>(), ["claude", "codex", "cursor", "mine", "qwen"]);
    assert_eq!((profiles["mine"].dialect, &profiles["mine"].session), (DialectName::Plain, &SessionMode::None));
    assert_eq!((profiles["qwen"].dialect, profiles["qwen"].binary[0].as_str()), (DialectName::Claude, "qwen"));
}

#[test]
fn a_mistake_is_named_with_its_line_and_the_nearest_key() {
    for (text, expected) in [
        ("[agent.mine]\nbinary = ['x']\nstarts = []\n", "agents.toml:3: unknown key `starts` (did you mean start?)"),
        ("[agnt.mine]\nbinary = ['x']\n", "agents.toml:1: unknown key `agnt` (did you mean agent?)"),
        ("\n[agent.mine]\nbinary = ['x']\n", "agents.toml:2: agent mine: start is missing"),
        (
            "[agent.mine]\nlike = 'claud'\n",
            "agents.toml:1: agent mine: no agent is called \"claud\" (did you mean claude?)",
        ),
        (
            "[agent.mine]\nlike = 'claude'\ndialect = 'cladue'\n",
            "agents.toml:3: unknown variant `cladue` (did you mean claude?)",
        ),
        ("[agent.cursor]\nfailure = [{class = 'auth'}]\n", "agents.toml:2: missing field `pattern`"),
        (
            "[agent.cursor]\nfailure = [{class = 'done', pattern = 'x'}]\n",
            "agents.toml:1: agent cursor: failure: done is not something a line can prove",
        ),
        (
            "[agent.cursor]\nterminal = '\\d'\n",
            "agents.toml:1: agent cursor: terminal: \\d does not work in both grep -E and handoff",
        ),
        (
            "[agent.cursor]\nresume = []\n",
            "agents.toml:1: agent cursor: resume needs {session}, or session must be none",
        ),
        (
            "[agent.cursor]\nstart = ['{sesion}', '{session}']\n",
            "agents.toml:1: agent cursor: \"{sesion}\" is not a placeholder; use {session}, {workspace}, {model}, or the word {model_args}",
        ),
        (
            "[agent.codex]\nsession_pattern = 'x'\n",
            "agents.toml:1: agent codex: session_pattern needs one group, the id",
        ),
        ("[agent.cursor]\nunset = ['A B']\n", "agents.toml:1: agent cursor: \"A B\" is not the name of a variable"),
        (
            "[agent.'a b']\nbinary = ['x']\nstart = []\n",
            "agents.toml:1: agent a b: a name is made of letters, digits, '-' and '_'",
        ),
    ] {
        assert_eq!(fails(text), expected, "{text}");
    }
    assert!(fails("[agent.mine\n").starts_with("agents.toml:1: "));
    assert!(fails("[agent.cursor]\nbinary = 3\n").starts_with("agents.toml:2: invalid type: integer `3`"));
}

#[test]
fn an_unknown_agent_is_refused_with_the_most_similar_name() {
    let profiles = built_in().unwrap();
    let error = find(&profiles, "cursr").unwrap_err().to_string();
    assert_eq!(error, "no agent is called \"cursr\" (did you mean cursor?)");
    assert_eq!(find(&profiles, "zzz").unwrap_err().nearest, None);
}
