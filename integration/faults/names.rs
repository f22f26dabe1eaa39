//! Names and texts that a shell would run as commands if handoff did not quote them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::row::Row;
use crate::support::agent;
use crate::support::site::{HOST, ID, Site};

const EVIL: &str = "'; touch ~/pwned #\"$(touch ~/pwned)`touch ~/pwned`\\\n-rf *\t\u{1b}]0;pwned\u{7}";

#[test]
fn r54_hostile_names() {
    let _row = Row::begin(54);
    let site = Site::new();
    let repo = &site.laptop.repo;
    site.laptop.git(&["checkout", "-qb", "$(touch${IFS}pwned)`x`;'\"&|"]);
    site.laptop.git(&["remote", "add", "o$(x)'", "https://user:secret@example.invalid/$(touch pwned)'.git"]);
    let names: [&[u8]; 6] =
        [b"$(touch pwned)", b"`touch pwned`", b"-rf", b"a\nb\t\"'\\", b"not \xff\xfe utf-8", b"\x1b]0;pwned\x07"];
    for name in names {
        std::fs::write(repo.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let stand = repo.join("here; touch pwned '$(x)`y`");
    std::fs::create_dir(&stand).unwrap();
    std::fs::write(stand.join("file"), "x").unwrap();
    let quoted = EVIL.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    let quoted = quoted.replace('\u{1b}', "\\u001b").replace('\u{7}', "\\u0007");
    site.laptop.hosts_toml(&format!("[host.{HOST}.env]\nEVIL = \"{quoted}\"\n"));
    site.plan(
        "turn 1\nrun printf %s \"$EVIL\" >evil.txt; pwd >where.txt\nraw \\033]0;pwned\\007\\n\nsay \u{1b}]0;pwned\u{7}\nfinish Done.\n",
    );

    let args = ["run", "--host", HOST, "--id", ID, "--check", "true", EVIL];
    let ran = site.laptop.handoff(&args).in_dir(&stand).run().success();
    for said in [&ran.stdout, &ran.stderr, &site.handoff(&["show"]).run().success().stdout] {
        assert!(!said.contains('\u{1b}') && !said.contains('\u{7}'), "a terminal would obey: {said:?}");
    }
    let [(_, prompts)] = &agent::prompts(&site.host.user)[..] else { panic!("not one session") };
    assert!(prompts[0].contains(EVIL), "{:?}", prompts[0]);

    let work = format!("refs/handoff/{ID}/1/work");
    let show = |path: &[u8]| {
        let spec = [work.as_bytes(), b":", path].concat();
        site.laptop.program("git").arg("cat-file").arg("-p").arg(OsStr::from_bytes(&spec)).output().unwrap().stdout
    };
    for name in names {
        assert_eq!(show(name), name, "{}", String::from_utf8_lossy(name));
    }
    let stood = stand.file_name().unwrap().as_bytes();
    assert_eq!(String::from_utf8(show(&[stood, b"/evil.txt"].concat())).unwrap(), EVIL);
    for root in [&site.host.user.home, repo] {
        let found = std::process::Command::new("find").arg(root).args(["-name", "pwned"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "something was executed");
    }
    site.logs_are_mirrored();
}
