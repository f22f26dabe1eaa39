use std::process::Command;

use proptest::prelude::*;

use super::entry::{glob, hashed};
use super::*;
use crate::transport::ssh::server::key;

fn fresh() -> (KeyData, String) {
    let key = key::random().unwrap();
    (key.public_key().key_data().clone(), key.public_key().to_openssh().unwrap().trim().to_owned())
}

fn known(text: &str) -> KnownHosts {
    let mut known = KnownHosts::default();
    known.add("file", text.as_bytes());
    known
}

fn short(verdict: &KeyStatus) -> &'static str {
    match verdict {
        KeyStatus::Known => "known",
        KeyStatus::Unknown => "unknown",
        KeyStatus::Changed(_) => "changed",
        KeyStatus::Revoked(_) => "revoked",
        KeyStatus::Invalid(_) => "invalid",
    }
}

/// Lines with `{K}` for our key and `{O}` for another one, host, port, and the expected status of our key.
const CASES: [(&str, &str, u16, &str); 22] = [
    ("a.example {K}", "a.example", 22, "known"),
    ("A.Example {K}", "a.EXAMPLE", 22, "known"),
    ("b.example {K}", "a.example", 22, "unknown"),
    ("a.example {O}", "a.example", 22, "changed"),
    ("a.example {O}\na.example {K}", "a.example", 22, "known"),
    ("a.example,b.example {K} some comment", "b.example", 22, "known"),
    ("  \ta.example\t{K}", "a.example", 22, "known"),
    ("# a.example {K}", "a.example", 22, "unknown"),
    ("*.example {K}", "a.example", 22, "known"),
    ("?.example {K}", "ab.example", 22, "unknown"),
    ("*.example,!a.example {K}", "a.example", 22, "unknown"),
    ("!a.example,*.example {K}", "b.example", 22, "known"),
    ("!a.example {K}", "b.example", 22, "unknown"),
    ("[a.example]:2222 {K}", "a.example", 2222, "known"),
    ("[a.example]:2222 {K}", "a.example", 22, "unknown"),
    ("a.example {K}", "a.example", 2222, "known"),
    ("a.example {O}", "a.example", 2222, "unknown"),
    ("@revoked a.example {K}\na.example {K}", "a.example", 22, "revoked"),
    ("a.example {K}\n@revoked * {K}", "a.example", 22, "revoked"),
    ("@revoked b.example {K}\na.example {K}", "a.example", 22, "known"),
    ("@cert-authority a.example {K}", "a.example", 22, "unknown"),
    ("@other a.example {K}\na.example broken\na.example ssh-ed25519 AAAA\na.example {K}", "a.example", 22, "known"),
];

#[test]
fn each_line_gives_the_status_that_the_format_defines() {
    let ((ours, our_line), (_, other_line)) = (fresh(), fresh());
    for (text, host, port, expected) in CASES {
        let known = known(&text.replace("{K}", &our_line).replace("{O}", &other_line));
        assert_eq!(short(&known.check(&Name::new(host, port, None), &ours)), expected, "{text:?} {host}:{port}");
    }
}

#[test]
fn an_alias_replaces_host_and_port() {
    let (ours, line) = fresh();
    let known = known(&format!("farm {line}"));
    assert_eq!(known.check(&Name::new("10.0.0.1", 2222, Some("Farm")), &ours), KeyStatus::Known);
    assert_eq!(known.check(&Name::new("10.0.0.1", 2222, None), &ours), KeyStatus::Unknown);
}

#[test]
fn places_are_given_as_file_and_line() {
    let ((ours, _), (_, other)) = (fresh(), fresh());
    let verdict = known(&format!("# one\n\nhost {other}\n")).check(&Name::new("host", 22, None), &ours);
    assert_eq!(verdict, KeyStatus::Changed("another key is listed at file:3".to_owned()));
}

#[test]
fn algorithms_with_a_listed_key_come_first() {
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDa3GllbNyNoPFuGpe/HcUmfMHfwGPHyKDgSUMG7Jh5x/viFa1+3+Ji0iDa8PKo\
               qqYd6MwL10XgsWTEprMGiXLWEJ0AeUIb1LnRItTy26FVYO3mMrpmXu/NDm4YXIZkYYIKDF2Uu1PTTInj2jAxFe3UIWLnm9WNwFd5\
               Ui2/uO7Jcw==";
    let (_, line) = fresh();
    let name = Name::new("host", 22, None);
    assert_eq!(known(&format!("host {line}")).algorithms(&name)[0], Algorithm::Ed25519);
    assert_eq!(known(&format!("other {line}")).algorithms(&name), all_algorithms());
    let with_rsa = known(&format!("host {rsa}"));
    assert!(
        with_rsa.algorithms(&name)[..2].iter().all(|algorithm| matches!(algorithm, Algorithm::Rsa { hash: Some(_) }))
    );
    assert!(!known(&format!("host {line}")).has_authority(&name));
    assert!(known(&format!("@cert-authority *,[*]:* {line}")).has_authority(&name));
}

#[test]
fn an_unreadable_file_is_an_error_and_a_missing_one_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    assert!(KnownHosts::load(&[directory.path().join("none")]).is_ok());
    assert!(KnownHosts::load(&[directory.path().to_owned()]).is_err());
}

#[test]
fn an_appended_key_is_known_and_earlier_lines_stay() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("deep/er/known_hosts");
    let ((first, _), (second, _)) = (fresh(), fresh());
    append::append(&file, "one", &first, false).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.trim_end()).unwrap();
    append::append(&file, "[two]:2222", &second, true).unwrap();
    let known = KnownHosts::load(std::slice::from_ref(&file)).unwrap();
    assert_eq!(known.check(&Name::new("one", 22, None), &first), KeyStatus::Known);
    assert_eq!(known.check(&Name::new("two", 2222, None), &second), KeyStatus::Known);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("two"));
}

/// `ssh-keygen -F` finds the lines of a host, hashed or not. It must find a host exactly if we do.
#[test]
fn ssh_keygen_finds_the_same_lines() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        return skip!("no ssh-keygen here");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("known_hosts");
    let ((_, our_line), (_, other_line)) = (fresh(), fresh());
    // It also prints lines whose key it cannot read.
    for (text, host, port, _) in CASES.into_iter().filter(|(text, ..)| !text.contains("broken")) {
        let hash = |name: &str| {
            let salt = [7u8; 20];
            use russh::keys::ssh_encoding::base64::{Base64, Encoding};
            format!("|1|{}|{}", Base64::encode_string(&salt), Base64::encode_string(&hashed(&salt, name).unwrap()))
        };
        let first = text.split([' ', '\t']).next().unwrap_or_default();
        let plain =
            !first.contains(['*', '?', '!', ',', '@', '#']) && first.to_lowercase() == first && !first.is_empty();
        let variants = [Some(text.to_owned()), plain.then(|| text.replacen(first, &hash(first), 1))];
        for text in variants.into_iter().flatten() {
            let text = text.replace("{K}", &our_line).replace("{O}", &other_line);
            std::fs::write(&file, &text).unwrap();
            let name = Name::new(host, port, None);
            let mut keygen = Command::new("ssh-keygen");
            let output = keygen.args(["-F", &name.full, "-f"]).arg(&file).output().unwrap();
            let theirs = String::from_utf8_lossy(&output.stdout).lines().filter(|l| !l.starts_with('#')).count();
            assert_eq!(known(&text).of(&name.full).count(), theirs, "{text:?} {}", name.full);
        }
    }
}

/// `ssh` connects to a server under each name and must give the same verdict. It looks up an alias only under its own
/// name, so our second look-up without a port is not tested here.
#[tokio::test(flavor = "multi_thread")]
async fn ssh_gives_the_same_verdicts() {
    let fixture = crate::transport::fixture::Fixture::new().await;
    let server = fixture.server.host_key_openssh_line();
    let ours = russh::keys::PublicKey::from_openssh(&server).unwrap().key_data().clone();
    let (_, other_line) = fresh();
    for (text, host, port, _) in CASES {
        let text = text.replace("{K}", server.trim()).replace("{O}", &other_line);
        std::fs::write(fixture.known_hosts(), &text).unwrap();
        let name = Name { bare: None, ..Name::new(host, port, None) };
        let mut ssh = tokio::process::Command::new("ssh");
        ssh.arg("-F").arg(fixture.options.ssh_config.as_ref().unwrap());
        ssh.args(["-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oGlobalKnownHostsFile=none"]);
        ssh.arg(format!("-oUserKnownHostsFile={}", fixture.known_hosts().display()));
        ssh.arg(format!("-oHostKeyAlias={}", name.full)).arg("-i").arg(fixture.host.identity.as_ref().unwrap());
        ssh.args(["-p", &fixture.server.port().to_string(), "tester@127.0.0.1", "true"]);
        let Ok(output) = ssh.stdin(std::process::Stdio::null()).output().await else {
            return skip!("no ssh here");
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let theirs = match () {
            () if output.status.success() => "known",
            () if said.contains("REVOKED HOST KEY") => "revoked",
            () if said.contains("HAS CHANGED") => "changed",
            () if said.contains("host key is known for") => "unknown",
            () => panic!("{said}"),
        };
        assert_eq!(short(&known(&text).check(&name, &ours)), theirs, "{text:?} {}\n{said}", name.full);
    }
}

/// The glob by its definition, without attention to speed.
fn slow_glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => slow_glob(rest, name) || (!name.is_empty() && slow_glob(pattern, &name[1..])),
        (Some((p, rest)), Some((n, tail))) => (*p == b'?' || p == n) && slow_glob(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(text in proptest::collection::vec(any::<u8>(), 0..400), host in ".{0,20}") {
        let mut known = KnownHosts::default();
        known.add("file", &text);
        let name = Name::new(&host, 22, None);
        prop_assert!(known.entries.is_empty());
        prop_assert_eq!(known.algorithms(&name).len(), all_algorithms().len());
    }

    #[test]
    fn a_listed_key_is_found_among_noise(noise in proptest::collection::vec("[ -~]{0,60}", 0..8), at in 0usize..8) {
        let (ours, line) = fresh();
        let mut lines: Vec<String> = noise.into_iter().map(|line| format!("#{line}")).collect();
        lines.insert(at.min(lines.len()), format!("host\t {line}"));
        prop_assert_eq!(known(&lines.join("\n")).check(&Name::new("host", 22, None), &ours), KeyStatus::Known);
    }

    #[test]
    fn globs_match_as_defined(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
        prop_assert_eq!(glob(&pattern, &name), slow_glob(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn a_glob_of_many_stars_is_fast(stars in 1usize..40) {
        prop_assert!(!glob(&"*a".repeat(stars), &"a".repeat(stars - 1)));
        prop_assert!(!glob(&("*a".repeat(30) + "b"), &"a".repeat(400)));
    }

    #[test]
    fn a_hashed_name_matches_only_itself(host in "[a-z]{1,12}", other in "[a-z]{1,12}", salt in any::<[u8; 20]>()) {
        use russh::keys::ssh_encoding::base64::{Base64, Encoding};
        let (ours, line) = fresh();
        let hash = Base64::encode_string(&hashed(&salt, &host).unwrap());
        let known = known(&format!("|1|{}|{hash} {line}", Base64::encode_string(&salt)));
        prop_assert_eq!(known.check(&Name::new(&host, 22, None), &ours), KeyStatus::Known);
        if other != host {
            prop_assert_eq!(known.check(&Name::new(&other, 22, None), &ours), KeyStatus::Unknown);
        }
    }
}
