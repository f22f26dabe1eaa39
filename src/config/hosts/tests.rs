use std::io::Write;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::host::{SecretSource, TransportKind};

fn parse(text: &str) -> Result<Hosts, Diagnostics> {
    Hosts::parse(Path::new("hosts.toml"), text, Path::new("/home/u"))
}

fn host(text: &str, name: &str) -> Host {
    parse(text).unwrap().resolve(name).unwrap()
}

/// The error message for an invalid file.
fn wrong(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn the_example_contains_every_key_and_has_the_documented_meaning() {
    let box_ = host(EXAMPLE, "buildbox");
    assert_eq!(box_.address, "10.20.0.4");
    assert_eq!(box_.identity.as_deref(), Some(Path::new("/home/u/.ssh/id_buildbox")));
    assert_eq!((box_.port, box_.memory, box_.slots), (Some(2222), Some(64 << 30), Some(4)));
    assert_eq!((box_.agent.as_deref(), box_.limits.timeout), (Some("claude"), Some(Duration::from_secs(14_400))));
    assert_eq!(box_.secrets["NPM_TOKEN"], SecretSource::Variable("WORK_NPM_TOKEN".to_owned()));
    assert_eq!(box_.secrets["GITHUB_TOKEN"], SecretSource::Command("pass show github/bot".to_owned()));
    let names: Vec<String> = parse(EXAMPLE).unwrap().hosts.into_iter().map(|h| h.name).collect();
    assert_eq!(names, ["buildbox", "bigbox", "local"]);
    for key in keys::KEYS {
        let shown = EXAMPLE
            .lines()
            .any(|l| l.starts_with(&format!("{} = ", key.name)) || l.ends_with(&format!(".{}]", key.name)));
        assert!(shown, "{} is not in the example", key.name);
    }
}

#[test]
fn defaults_are_used_for_missing_keys() {
    let text = r#"
        [defaults]
        user = "dev"
        labels = ["linux"]
        setup = "make deps"
        timeout = 600
        env = { A = "1", B = "1", T = "plain" }
        secrets = { S = "S" }
        [host.box]
        labels = []
        setup = ""
        grace = "5s"
        env = { B = "2", S = "plain" }
        secrets = { T = "T" }
    "#;
    let box_ = host(text, "box");
    assert_eq!((box_.address.as_str(), box_.user.as_deref()), ("box", Some("dev")));
    assert!(box_.labels.is_empty() && box_.setup.is_none());
    assert_eq!(box_.limits.timeout, Some(Duration::from_secs(600)));
    assert_eq!(box_.limits.grace, Some(Duration::from_secs(5)));
    let env: Vec<_> = box_.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(env, [("A", "1"), ("B", "2"), ("S", "plain")]);
    assert_eq!(box_.secrets.keys().collect::<Vec<_>>(), ["T"]);
}

#[test]
fn a_name_that_only_ssh_knows_is_a_host_with_the_defaults() {
    let hosts = parse("[defaults]\nagent = \"codex\"\n[host.box]\nport = 1\n").unwrap();
    let alias = hosts.resolve("me@elsewhere").unwrap();
    assert_eq!((alias.address.as_str(), alias.agent.as_deref(), alias.port), ("me@elsewhere", Some("codex"), None));
    assert_eq!(hosts.get("me@elsewhere"), None);
    assert_eq!(hosts.nearest("bx"), Some("box"));
    for bad in ["", "-oProxyCommand=x", "a b", "../x"] {
        assert_eq!(hosts.resolve(bad), Err(NotAHostName(bad.to_owned())));
    }
}

#[test]
fn local_always_exists_and_needs_no_connection() {
    assert_eq!(Hosts::none().resolve(LOCAL).unwrap(), Host::bare(LOCAL));
    let hosts = parse("[defaults]\nport = 2222\ntransport = \"openssh\"\nagent = \"codex\"\n").unwrap();
    let local = hosts.get(LOCAL).unwrap();
    assert_eq!((local.transport, local.port, local.agent.as_deref()), (TransportKind::Local, None, Some("codex")));
    assert_eq!(
        host("[host.twin]\ntransport = \"local\"\nroot = \"/srv/twin\"\n", "twin").transport,
        TransportKind::Local
    );
    assert_eq!(host("[host.box]\ntransport = \"openssh\"\n", "box").transport, TransportKind::Openssh);
}

#[test]
fn mistakes_are_shown_with_their_lines() {
    let cases = [
        (
            "[host.box]\nadress = \"10.0.0.4\"\n",
            "hosts.toml:2:1: unknown key `adress`\n  2 | adress = \"10.0.0.4\"\n    | ^^^^^^\n  did you mean `address`?",
        ),
        (
            "[host.box]\nfirst_output = 3\n",
            "hosts.toml:2:1: unknown key `first_output`\n  2 | first_output = 3\n    | ^^^^^^^^^^^^\n  did you mean `first-output`?",
        ),
        (
            "[host.box]\nport = \"22\"\n",
            "hosts.toml:2:8: `port` must be an integer, not a string\n  2 | port = \"22\"\n    |        ^^^^",
        ),
        (
            "[host.box]\nport = 65536\n",
            "hosts.toml:2:8: `port` must be between 1 and 65535, not 65536\n  2 | port = 65536\n    |        ^^^^^",
        ),
        (
            "[host.box]\nport = -1\n",
            "hosts.toml:2:8: `port` must be between 1 and 65535, not -1\n  2 | port = -1\n    |        ^^",
        ),
        (
            "[defaults]\nattempts = 0\n",
            "hosts.toml:2:12: `attempts` must be between 1 and 1000, not 0\n  2 | attempts = 0\n    |            ^",
        ),
        (
            "[defaults]\naddress = \"x\"\n",
            "hosts.toml:2:1: `address` belongs to one host, not to `[defaults]`\n  2 | address = \"x\"\n    | ^^^^^^^",
        ),
        (
            "[hosts.box]\nport = 22\n",
            "hosts.toml:1:2: unknown table `hosts`\n  1 | [hosts.box]\n    |  ^^^^^\n  did you mean `host`?",
        ),
        (
            "[buildbox]\nport = 22\n",
            "hosts.toml:1:2: unknown table `buildbox`\n  1 | [buildbox]\n    |  ^^^^^^^^\n  a host is written as `[host.buildbox]`",
        ),
        (
            "port = 22\n",
            "hosts.toml:1:1: unknown key `port`\n  1 | port = 22\n    | ^^^^\n  keys belong in `[defaults]` or in a `[host.NAME]`",
        ),
        (
            "[host]\nport = 22\n",
            "hosts.toml:2:1: `port` is outside of a host\n  2 | port = 22\n    | ^^^^\n  a host is written as `[host.NAME]`, with `port` below it",
        ),
        (
            "host.box = 1\n",
            "hosts.toml:1:12: `host.box` must be a table, not an integer\n  1 | host.box = 1\n    |            ^",
        ),
        (
            "[host.\"-x\"]\n",
            "hosts.toml:1:7: a host's name must be letters, digits, `.`, `_`, `@` and `-`, starting with a letter or a digit\n  1 | [host.\"-x\"]\n    |       ^^^^",
        ),
        (
            "[host.box]\nroot = \"work\"\n",
            "hosts.toml:2:8: `root` must be absolute or start with `~/`, and without `..`\n  2 | root = \"work\"\n    |        ^^^^^^",
        ),
        (
            "[host.box]\npath = [\"/opt/bin\", \"bin\"]\n",
            "hosts.toml:2:21: `path[1]` must be absolute or start with `~/`, without `..` and `:`\n  2 | path = [\"/opt/bin\", \"bin\"]\n    |                     ^^^^^",
        ),
        (
            "[host.box]\ntimeout = \"4 hours\"\n",
            "hosts.toml:2:11: `timeout`: \"4 hours\" is not a duration: write `90s`, `30m`, `4h`, `1h30m` or `2d`\n  2 | timeout = \"4 hours\"\n    |           ^^^^^^^^^",
        ),
        (
            "[host.box]\ngrace = 0\n",
            "hosts.toml:2:9: `grace` must be at least one second\n  2 | grace = 0\n    |         ^",
        ),
        (
            "[host.box]\nmemory = \"64G\"\n",
            "hosts.toml:2:10: `memory`: \"64G\" is not a size: write `512MiB`, `64GiB` or a number of bytes\n  2 | memory = \"64G\"\n    |          ^^^^^",
        ),
        (
            "[host.box]\ntransport = \"opensh\"\n",
            "hosts.toml:2:13: unknown transport \"opensh\"\n  2 | transport = \"opensh\"\n    |             ^^^^^^^^\n  did you mean `openssh`?",
        ),
        (
            "[host.box.env]\nPATH = \"/bin\"\n",
            "hosts.toml:2:1: `PATH` cannot be set here\n  2 | PATH = …\n    | ^^^^\n  directories for PATH belong in `path`",
        ),
        (
            "[host.box.env]\nDEBUG = 1\n",
            "hosts.toml:2:9: `env.DEBUG` must be a string, not an integer\n  2 | DEBUG = 1\n    |         ^",
        ),
        (
            "[host.box]\nenv = { T = \"x\" }\nsecrets = { T = \"T\" }\n",
            "hosts.toml:3:13: `T` is in `env` and in `secrets`\n  3 | secrets = { T = \"T\" }\n    |             ^",
        ),
        (
            "[host.local]\nport = 22\n",
            "hosts.toml:2:1: `port` has no meaning for this machine\n  2 | port = 22\n    | ^^^^",
        ),
        (
            "[host.local]\ntransport = \"ssh\"\n",
            "hosts.toml:2:13: `local` is this machine; it has no other transport\n  2 | transport = \"ssh\"\n    |             ^^^^^",
        ),
        (
            "[defaults]\ntransport = \"local\"\n",
            "hosts.toml:2:13: `transport` can be \"local\" for one host only, not in `[defaults]`\n  2 | transport = \"local\"\n    |             ^^^^^^^",
        ),
    ];
    for (text, shown) in cases {
        assert_eq!(wrong(text), shown, "{text}");
    }
}

#[test]
fn a_syntax_error_is_shown_at_its_place() {
    let shown = wrong("[host.box]\nport = \n");
    assert!(shown.starts_with("hosts.toml:2:8: "), "{shown}");
    // Errors that follow a syntax error in the same line are not shown.
    assert_eq!(wrong("[host.box]\nlabels = [\"a\"\nport = 1\n").matches("hosts.toml").count(), 1);
    let shown = wrong("[host.box]\nport = 1\nport = 2\n[host.box]\n");
    assert!(shown.contains("hosts.toml:3:1: duplicate key") && shown.contains("hosts.toml:4:"), "{shown}");
}

#[test]
fn all_mistakes_are_shown_in_their_order() {
    let shown = wrong("[host.b]\nport = 0\n[host.a]\nslots = \"2\"\n[default]\n");
    let lines: Vec<&str> = shown.lines().filter(|l| l.starts_with("hosts.toml")).collect();
    assert_eq!(
        lines,
        [
            "hosts.toml:2:8: `port` must be between 1 and 65535, not 0",
            "hosts.toml:4:9: `slots` must be an integer, not a string",
            "hosts.toml:5:2: unknown table `default`",
        ]
    );
}

#[test]
fn a_secret_in_place_of_a_name_is_not_printed() {
    let secret = "ghp_0123456789abcdefghij";
    for text in [
        format!("[host.box.secrets]\nTOKEN = \"{secret}\"\n"),
        format!("[host.box]\nsecrets = {{ TOKEN = \"{secret}\" }}\n"),
        format!("[host.box.secrets]\nTOKEN = {{ env = \"{secret}\" }}\n"),
        format!("[host.box.secrets]\nTOKEN = {{ value = \"{secret}\" }}\n"),
        format!("[host.box.secrets]\nTOKEN = [\"{secret}\"]\n"),
        format!("[host.box.secrets]\n\"TO KEN\" = \"{secret}\"\n"),
        format!("[host.box.secrets]\nTOKEN = {secret}\n"),
        format!("[host.box.secrets]\nTOKEN = \"{secret}\n"),
    ] {
        let shown = wrong(&text);
        assert!(!shown.contains(secret) && shown.contains("hosts.toml:2:"), "{shown}");
    }
    assert_eq!(
        wrong(&format!("[host.box.secrets]\nTOKEN = \"{secret}\"\n")),
        "hosts.toml:2:9: `secrets.TOKEN` looks like the secret itself\n  2 | TOKEN = …\n    | ^^^^^\n  \
         write the name of a variable of this machine; never put the value into this file"
    );
}

#[test]
fn only_a_file_that_was_named_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hosts.toml");
    let load = |named_by| Hosts::load(&HostsFile { path: path.clone(), named_by }, dir.path());
    assert_eq!(load(NamedBy::Default).unwrap(), Hosts::none());
    let message = load(NamedBy::Variable).unwrap_err().to_string();
    assert_eq!(message, format!("HANDOFF_HOSTS names a hosts file that does not exist: {}", path.display()));
    assert!(matches!(load(NamedBy::Flag), Err(HostsError::Missing { by: "--hosts", .. })));

    std::fs::File::create(&path).unwrap().write_all(b"[host.box]\n# \xff\n").unwrap();
    let message = load(NamedBy::Default).unwrap_err().to_string();
    assert!(message.contains(":2:3: this byte is not UTF-8"), "{message}");

    std::fs::write(&path, "[host.box]\n").unwrap();
    assert_eq!(load(NamedBy::Flag).unwrap().file.as_deref(), Some(path.as_path()));
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    assert!(matches!(load(NamedBy::Flag), Err(HostsError::Exposed { .. })));
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse(&text).map_err(|e| e.to_string());
    }

    #[test]
    fn no_mixture_of_keys_panics(
        words in proptest::collection::vec(
            prop_oneof![
                Just("[host.box]\n"), Just("[defaults]\n"), Just("host"), Just("secrets"), Just("env"), Just("path"),
                Just("port"), Just("memory"), Just(" = "), Just("{"), Just("}"), Just("["), Just("]"), Just(","),
                Just("\"x\""), Just("'''"), Just("\"4h\""), Just("-9223372036854775808"), Just("0xffffffffffffffff"),
                Just("."), Just("\n"), Just("\r\n"), Just("ä"), Just("1e9"), Just("timeout"), Just("#"),
            ],
            0..24,
        )
    ) {
        let text: String = words.concat();
        let _ = parse(&text).map_err(|e| e.to_string());
    }
}
