use proptest::prelude::*;

use super::*;

fn target(address: &str) -> Target {
    Target { address: address.to_owned(), user: None, port: None, identity: None, jump: None }
}

#[test]
fn the_output_of_ssh_g_is_parsed() {
    let text = "host build\nuser alice\nhostname build.internal\nport 2222\nidentitiesonly yes\n\
                identityfile ~/.ssh/%r@%h\nidentityfile /keys/b\ncertificatefile /keys/b-cert.pub\n\
                userknownhostsfile /a /b\nglobalknownhostsfile none\nhostkeyalias farm\nstricthostkeychecking true\n\
                hashknownhosts yes\nidentityagent none\nproxyjump bob@gate:2200,inner\nkbdinteractiveauthentication no\n";
    let resolved = parse(text, &target("build")).unwrap();
    let home = std::env::home_dir().unwrap();
    assert_eq!((resolved.hostname.as_str(), resolved.user.as_str(), resolved.port), ("build.internal", "alice", 2222));
    assert_eq!(resolved.identities, [home.join(".ssh/alice@build.internal"), "/keys/b".into()]);
    assert_eq!(resolved.certificates, [PathBuf::from("/keys/b-cert.pub")]);
    assert_eq!(resolved.user_known_hosts, [PathBuf::from("/a"), "/b".into()]);
    assert!(resolved.global_known_hosts.is_empty());
    assert_eq!(resolved.host_key_alias.as_deref(), Some("farm"));
    assert_eq!(resolved.unknown_keys, UnknownKeys::Refuse);
    assert!(resolved.identities_only && resolved.hash_known_hosts && !resolved.keyboard_interactive);
    assert_eq!(resolved.agent, Agent::None);
    let hop = Target { jump: Some("bob@gate:2200".to_owned()), ..target("inner") };
    assert_eq!(resolved.proxy, Proxy::Jump(Box::new(hop)));
    assert_eq!(resolved.beyond, None);
}

#[test]
fn options_that_only_ssh_supports_are_found() {
    for line in [
        "pkcs11provider /usr/lib/p11.so",
        "proxyusefdpass yes",
        "knownhostscommand /bin/x",
        "revokedhostkeys /etc/revoked",
        "bindaddress 10.0.0.2",
        "preferredauthentications gssapi-with-mic,hostbased",
    ] {
        assert!(parse(line, &target("h")).unwrap().beyond.is_some(), "{line}");
    }
    for line in ["pkcs11provider none", "proxyusefdpass no", "preferredauthentications publickey,password"] {
        assert!(parse(line, &target("h")).unwrap().beyond.is_none(), "{line}");
    }
}

#[test]
fn names_in_a_proxy_command_must_be_single_words() {
    let command = |hostname: &str| {
        let text = format!("hostname {hostname}\nport 24\nuser u\nproxycommand nc -x %n %h %p %r 100%%\n");
        parse(&text, &target("alias"))
    };
    let expected = Proxy::Command("nc -x alias h.example 24 u 100%".to_owned());
    assert_eq!(command("h.example").unwrap().proxy, expected);
    assert!(command("$(id)").is_err());
    assert!(command("a;id").is_err());
    assert!(parse("proxycommand nc %Z", &target("h")).is_err());
    assert_eq!(parse("proxycommand none", &target("h")).unwrap().proxy, Proxy::Direct);
}

#[test]
fn names_that_are_options_are_refused() {
    for bad in ["", "-oProxyCommand=id", "a b", "a\nb", "\u{1b}[31m"] {
        assert!(target(bad).check().is_err(), "{bad:?}");
    }
    assert!(Target { user: Some("-l".to_owned()), ..target("h") }.check().is_err());
    assert!(parse("hostname -oProxyCommand=id", &target("h")).is_err());
    assert!(Target::of_jump("-oProxyCommand=id").is_none());
    let arguments = target("h").arguments();
    assert_eq!(arguments, ["--", "h"]);
}

#[test]
fn jump_lists_are_split_from_the_end() {
    let hop = |text| Target::of_jump(text).map(|t| (t.user, t.address, t.port, t.jump));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(hop("gate"), Some((None, "gate".to_owned(), None, None)));
    assert_eq!(hop("a,b@c:7"), Some((some("b"), "c".to_owned(), Some(7), some("a"))));
    assert_eq!(hop("ssh://u@h:22/"), Some((some("u"), "h".to_owned(), Some(22), None)));
    assert_eq!(hop("[fe80::1]:2222"), Some((None, "fe80::1".to_owned(), Some(2222), None)));
    assert_eq!(hop("fe80::1"), Some((None, "fe80::1".to_owned(), None, None)));
    assert_eq!(hop("h:none"), None);
}

#[tokio::test]
async fn without_ssh_only_the_entry_is_used() {
    let options = Options { ssh_binary: Some("/nowhere/ssh".into()), ..Options::default() };
    let entry = Target {
        user: Some("u".to_owned()),
        port: Some(2222),
        identity: Some("/keys/k".into()),
        jump: Some("gate".to_owned()),
        ..target("h.example")
    };
    let resolved = resolve(&entry, &options).await.unwrap();
    assert_eq!((resolved.hostname.as_str(), resolved.user.as_str(), resolved.port), ("h.example", "u", 2222));
    assert_eq!(resolved.identities[0], PathBuf::from("/keys/k"));
    assert_eq!(resolved.proxy, Proxy::Jump(Box::new(target("gate"))));
    assert!(resolved.user_known_hosts[0].ends_with(".ssh/known_hosts"));
}

#[tokio::test]
async fn ssh_itself_resolves_match_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    let text = "Match originalhost build user nobody\n  HostName wrong.example\nHost build\n  HostName right.example\n  Port 2022\n";
    std::fs::write(&config, text).unwrap();
    let options = Options { ssh_config: Some(config.clone()), ..Options::default() };
    let resolved = resolve(&target("build"), &options).await.unwrap();
    if resolved.hostname == "build" {
        return skip!("no ssh here");
    }
    assert_eq!((resolved.hostname.as_str(), resolved.port), ("right.example", 2022));
    std::fs::write(&config, "NoSuchOption yes\n").unwrap();
    let error = resolve(&target("build"), &options).await.err().unwrap();
    assert!(matches!(&error, TransportError::Config { .. }), "{error:?}");
}

#[test]
fn strict_host_key_checking_is_read_as_ssh_prints_it() {
    for (value, meant) in [
        ("true", UnknownKeys::Refuse),
        ("yes", UnknownKeys::Refuse),
        ("ask", UnknownKeys::Ask),
        ("accept-new", UnknownKeys::Add),
        ("false", UnknownKeys::AddAndChange),
        ("off", UnknownKeys::AddAndChange),
        ("no", UnknownKeys::AddAndChange),
        ("of-a-later-release", UnknownKeys::Ask),
    ] {
        let resolved = parse(&format!("stricthostkeychecking {value}"), &target("h")).unwrap();
        assert_eq!(resolved.unknown_keys, meant, "{value}");
    }
    assert_eq!(parse("", &target("h")).unwrap().unknown_keys, UnknownKeys::Ask);
}

#[tokio::test]
async fn known_hosts_paths_are_read_as_ssh_reads_them() {
    let directory = tempfile::tempdir().unwrap();
    let (top, config) = (directory.path().to_str().unwrap(), directory.path().join("config"));
    std::fs::create_dir(directory.path().join("100%h")).unwrap();
    std::fs::write(directory.path().join("100%h/kh"), "").unwrap();
    let home = std::env::home_dir().unwrap();
    let options = Options { ssh_config: Some(config.clone()), ..Options::default() };
    for (written, read) in [
        (format!("\"{top}/my home/kh\""), vec![format!("{top}/my home/kh")]),
        (format!("{top}/my\\ home/kh {top}/two"), vec![format!("{top}/my home/kh"), format!("{top}/two")]),
        (format!("\"{top}/a  b/c d\" ~/kh"), vec![format!("{top}/a  b/c d"), home.join("kh").display().to_string()]),
        (format!("{top}/%h-%p_kh"), vec![format!("{top}/build.example-22_kh")]),
        (format!("\"{top}/100%%h/kh\""), vec![format!("{top}/100%h/kh")]),
        (format!("\"{top}/a\\\"b\" /dev/null"), vec![format!("{top}/a\"b"), "/dev/null".to_owned()]),
        ("none".to_owned(), vec![]),
    ] {
        let text = format!(
            "Host build\n  HostName build.example\n  UserKnownHostsFile {written}\n  GlobalKnownHostsFile {top}/100%h/kh\n"
        );
        std::fs::write(&config, text).unwrap();
        let resolved = resolve(&target("build"), &options).await.unwrap();
        if resolved.hostname == "build" {
            return skip!("no ssh here");
        }
        assert_eq!(resolved.user_known_hosts, read.iter().map(PathBuf::from).collect::<Vec<_>>(), "{written}");
        assert_eq!(resolved.global_known_hosts, [directory.path().join("100%h/kh")], "no tokens there");
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_but_never_yields_an_option(text in "([a-z]{1,12} [ -~]{0,30}\n){0,12}|.{0,200}") {
        if let Ok(resolved) = parse(&text, &target("h")) {
            prop_assert!(!resolved.hostname.is_empty() && !resolved.hostname.starts_with('-'));
        }
    }

    #[test]
    fn a_jump_list_never_yields_an_option(text in ".{0,40}") {
        if let Some(hop) = Target::of_jump(&text) {
            prop_assert!(!hop.address.starts_with('-') && !hop.address.is_empty());
        }
    }
}
