//! Real agent CLIs from npm with a mock model, through a real sshd.

use std::path::Path;

use crate::skip;
use crate::support::mock::Mock;
use crate::support::npm::{self, Package};
use crate::support::site::{HOST, ID, Site, TASK};
use crate::support::sshd::Setup;

/// The key that the mock accepts. It must not appear in any output or file.
const KEY: &str = "sk-mock-0123456789abcdef";

/// A site with a real agent and a model in this mode, or the reason why there is none.
fn site(package: &Package, mode: &str) -> Result<(Site, Mock), String> {
    let binary = npm::install(package)?;
    let mock = Mock::start(mode).ok_or("python3 is not installed")?;
    let site = Site::with(Setup::default());
    // A copy, because the host's user may not have access to the test's own directories.
    site.host.user.install(&format!(".local/bin/{}", package.binary), [], 0o755);
    let place = site.host.user.home.join(".local/bin").join(package.binary);
    std::fs::copy(binary, &place).unwrap();
    Ok((site, mock))
}

fn claude(mode: &str) -> Result<(Site, Mock), String> {
    let (site, mock) = site(&npm::CLAUDE, mode)?;
    site.laptop.hosts_toml(&format!(
        "[host.{HOST}]\nagent = \"claude\"\n\
         [host.{HOST}.env]\nANTHROPIC_BASE_URL = \"http://127.0.0.1:{}\"\n\
         CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC = \"1\"\nCLAUDE_CODE_MAX_RETRIES = \"0\"\n\
         [host.{HOST}.secrets]\nANTHROPIC_API_KEY = \"MODEL_KEY\"\n",
        mock.port
    ));
    Ok((site, mock))
}

fn codex(mode: &str) -> Result<(Site, Mock), String> {
    let (site, mock) = site(&npm::CODEX, mode)?;
    let config = format!(
        "model = \"gpt-5.3-codex\"\nmodel_provider = \"mock\"\ncheck_for_update_on_startup = false\n\
         [analytics]\nenabled = false\n\
         [model_providers.mock]\nname = \"mock\"\nbase_url = \"http://127.0.0.1:{}/v1\"\nenv_key = \"MOCK_KEY\"\n\
         wire_api = \"responses\"\nrequest_max_retries = 0\nstream_max_retries = 0\n",
        mock.port
    );
    site.host.user.install(".codex/config.toml", config, 0o600);
    site.laptop
        .hosts_toml(&format!("[host.{HOST}]\nagent = \"codex\"\n[host.{HOST}.secrets]\nMOCK_KEY = \"MODEL_KEY\"\n"));
    Ok((site, mock))
}

/// The CLIs and the mock work together over plain ssh. Without this no other test here can pass.
#[test]
fn real_agents_work_with_the_mock() {
    let flags = "-p --output-format stream-json --verbose --dangerously-skip-permissions";
    let calls = [
        (claude("ok"), format!("ANTHROPIC_API_KEY={KEY} claude {flags}"), r#""is_error":false"#),
        (
            codex("ok"),
            format!("MOCK_KEY={KEY} codex exec --json --dangerously-bypass-approvals-and-sandbox -"),
            "turn.completed",
        ),
    ];
    for (site, command, end) in calls {
        let (site, mock) = match site {
            Ok(both) => both,
            Err(why) => {
                skip!("{why}");
                continue;
            }
        };
        let base =
            format!("ANTHROPIC_BASE_URL=http://127.0.0.1:{} CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", mock.port);
        let enter = "git init -q w && cd w && PATH=$HOME/.local/bin:$PATH && echo 'write hello.txt'";
        let ran = site.laptop.ssh(HOST, &format!("{enter} | env {base} {command}")).success();
        assert!(ran.stdout.contains(end), "{}\n{}", ran.stdout, ran.stderr);
        let written = std::fs::read_to_string(site.host.user.home.join("w/hello.txt")).unwrap();
        assert_eq!(written, "hello from the mock\n");
    }
}

/// Runs the task. The mock's turn writes hello.txt.
#[track_caller]
fn writes_the_file(site: &Site) {
    let args = ["run", "--host", HOST, "--id", ID, "--backoff", "1s", "--check", "test -s hello.txt", TASK];
    let ran = site.laptop.handoff(&args).env("MODEL_KEY", KEY).run().success();
    assert!(ran.stdout.contains("hello.txt"), "{}", ran.stdout);
    let refs = site.laptop.git(&["for-each-ref", "--format=%(refname)", "refs/handoff/"]);
    let written = refs.lines().any(|name| {
        let show = site.laptop.program("git").args(["show", &format!("{name}:hello.txt")]).output().unwrap();
        show.stdout.starts_with(b"hello from the mock")
    });
    assert!(written, "hello.txt is in none of these:\n{refs}\n{ran:#?}");
    site.logs_are_mirrored();
    assert_key_is_nowhere(&site.laptop.record(ID));
    assert_key_is_nowhere(&site.laptop.mirror(ID));
    assert_key_is_nowhere(&site.host.user.home.join(".handoff"));
}

#[track_caller]
fn assert_key_is_nowhere(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            assert_key_is_nowhere(&entry.path());
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            let found = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
            assert!(!found, "the key is in {}", entry.path().display());
        }
    }
}

#[test]
fn claude_code_does_the_task() {
    match claude("ok") {
        Err(why) => skip!("{why}"),
        Ok((site, _mock)) => {
            writes_the_file(&site);
            assert_eq!(site.attempts(), [1]);
        }
    }
}

#[test]
fn claude_code_is_resumed_after_a_rate_limit() {
    match claude("429once") {
        Err(why) => skip!("{why}"),
        Ok((site, mock)) => {
            writes_the_file(&site);
            assert_eq!(site.attempts(), [1, 2]);
            assert!(mock.requests().len() > 2);
        }
    }
}

#[test]
fn codex_does_the_task() {
    match codex("ok") {
        Err(why) => skip!("{why}"),
        Ok((site, _mock)) => {
            writes_the_file(&site);
            assert_eq!(site.attempts(), [1]);
        }
    }
}

#[test]
fn codex_is_resumed_after_a_rate_limit() {
    match codex("429once") {
        Err(why) => skip!("{why}"),
        Ok((site, _mock)) => {
            writes_the_file(&site);
            assert_eq!(site.attempts(), [1, 2]);
        }
    }
}

#[test]
fn a_refused_key_parks_the_handoff_and_says_how_to_mend_it() {
    match claude("401") {
        Err(why) => skip!("{why}"),
        Ok((site, _mock)) => {
            let args = ["run", "--host", HOST, "--id", ID, TASK];
            let ran = site.laptop.handoff(&args).env("MODEL_KEY", KEY).run().fails();
            assert_eq!(site.attempts(), [1], "an error that needs a person is not tried again");
            assert!(ran.stderr.contains("auth") || ran.stdout.contains("auth"), "{}{}", ran.stdout, ran.stderr);
        }
    }
}
