use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

const HOME: &str = "/home/u";

fn add(file: &Path, host: &Host) -> Result<(), EditError> {
    add_host(file, host, Path::new(HOME))
}

/// The text after the host was added to `before`.
fn added(before: &str, host: &Host) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hosts.toml");
    fs::write(&file, before).unwrap();
    add(&file, host).unwrap();
    fs::read_to_string(&file).unwrap()
}

fn full() -> Host {
    Host {
        address: "10.0.0.4".into(),
        user: Some("dev".into()),
        port: Some(2222),
        identity: Some("/home/u/.ssh/id".into()),
        jump: Some("me@gate:22".into()),
        transport: TransportKind::Openssh,
        labels: vec!["gpu".into(), "arch=arm64".into()],
        slots: Some(2),
        cores: Some(96),
        memory: Some(64 << 30),
        root: Some("/srv/hand off".into()),
        path: vec!["~/bin".into()],
        env: BTreeMap::from([("A".into(), "quote \" and\nline".into())]),
        secrets: BTreeMap::from([
            ("S".into(), SecretSource::Variable("V".into())),
            ("T".into(), SecretSource::Command("pass show 'x'".into())),
        ]),
        setup: Some("a\nb".into()),
        agent: Some("codex".into()),
        model: Some("m".into()),
        check: Some("make test".into()),
        limits: Limits {
            attempts: Some(5),
            timeout: Some(Duration::from_secs(5400)),
            first_output: Some(Duration::from_secs(61)),
            no_progress: Some(Duration::from_secs(60)),
            grace: Some(Duration::from_secs(1)),
            backoff: Some(Duration::from_secs(20)),
        },
        ..Host::bare("box")
    }
}

#[test]
fn an_added_host_is_read_back_unchanged() {
    for host in [full(), Host::bare("box"), Host { memory: Some(u64::MAX), ..Host::bare("box") }] {
        for before in [
            "",
            "# mine\n",
            "[host.a]\nport = 1\n",
            "host = { a = { port = 1 } }\n",
            "host.a.port = 1\n",
            "[host]\na.port = 1",
        ] {
            let after = added(before, &host);
            let hosts = Hosts::parse(Path::new("hosts.toml"), &after, Path::new(HOME)).unwrap();
            assert_eq!(hosts.get("box"), Some(&host), "{after}");
            assert_eq!(hosts.get("a").is_some(), before.contains('a') && before.contains("port"), "{after}");
        }
    }
}

#[test]
fn everything_else_is_kept_byte_for_byte() {
    let host = Host { slots: Some(2), memory: Some(3 << 30), ..Host::bare("box") };
    for before in [
        hosts::EXAMPLE,
        "# only a comment",
        "[host.a]   # one\r\nport=1\r\n  # last words, indented\r\n\r\n",
        "[ host . \"a\" ]\n\tport\t=\t0x16 # tabs\n",
        "[host.z]\n[defaults]\nagent = 'x'\n# end\n",
    ] {
        let after = added(before, &host);
        let gap = if before.ends_with('\n') { "\n" } else { "\n\n" };
        assert_eq!(after.strip_prefix(before), Some(&*format!("{gap}[host.box]\nslots = 2\nmemory = \"3GiB\"\n")));
    }
    assert_eq!(added("", &host), "[host.box]\nslots = 2\nmemory = \"3GiB\"\n");
    let inline = "# kept\nhost = { a = {} } # kept too\n[defaults] # and this\n";
    assert_eq!(
        added(inline, &Host { slots: Some(2), ..Host::bare("box") }),
        "# kept\nhost = { a = {} , box = { slots = 2 } } # kept too\n[defaults] # and this\n"
    );
}

#[test]
fn a_new_file_is_private_and_an_old_one_keeps_its_mode() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config/handoff/hosts.toml");
    add(&file, &Host::bare("a")).unwrap();
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));

    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let link = dir.path().join("linked.toml");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    add(&link, &Host::bare("b")).unwrap();
    assert_eq!(mode(&file), 0o640);
    assert!(link.is_symlink() && fs::read_to_string(&file).unwrap().contains("[host.b]"));
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_refused_host_leaves_the_file_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hosts.toml");
    let unchanged = |before: &str, host: &Host| {
        fs::write(&file, before).unwrap();
        let error = add(&file, host).unwrap_err();
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
        error
    };
    let error = unchanged("[host.box]\n", &Host::bare("box"));
    assert_eq!(error.to_string(), format!("{} already has a host box", file.display()));
    assert!(matches!(unchanged("[hots]\n", &Host::bare("box")), EditError::Broken(_)));
    let odd = Host { root: Some("work".into()), ..Host::bare("box") };
    assert!(matches!(unchanged("", &odd), EditError::Refused(_)));
    assert!(matches!(unchanged("", &Host::bare("-x")), EditError::NotAHostName(_)));
}

#[test]
fn no_addition_of_several_at_once_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hosts.toml");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let file = &file;
            scope.spawn(move || add(file, &Host::bare(&format!("box{n}"))).unwrap());
        }
    });
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("[host.").count(), 8, "{text}");
}
