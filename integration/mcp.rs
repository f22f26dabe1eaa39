//! `handoff mcp` with a real client: the official Python SDK, which checks each result against the schema of its tool.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::skip;
use crate::support::pip;
use crate::support::site::{HOST, ID, Site, TASK};

#[test]
fn a_real_client_sends_a_task_out_and_takes_it_over() {
    let sdk = match pip::install(pip::MCP) {
        Ok(sdk) => sdk,
        Err(why) => return skip!("{why}"),
    };
    let site = Site::new();
    site.laptop.hosts_toml(&format!("[host.{HOST}]\nbackoff = \"1s\"\n"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/mcp_client.py");
    let built = env!("CARGO_BIN_EXE_handoff");
    let binary = std::env::var("HANDOFF_BIN").unwrap_or_else(|_| built.to_owned());
    let mut client = site.laptop.program("python3");
    client.env("PYTHONPATH", sdk).env("PYTHONDONTWRITEBYTECODE", "1").arg(script).args([&binary, HOST, TASK]);
    let out = client.stdin(Stdio::null()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{stdout}\n{stderr}");
    let said: BTreeMap<String, Value> = stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .map(|line| (line["step"].as_str().unwrap().to_owned(), line["value"].clone()))
        .collect();
    let is = |step: &str, pointer: &str, wanted: &str| {
        let value = said.get(step).and_then(|value| value.pointer(pointer)).unwrap_or(&Value::Null);
        assert_eq!(value, wanted, "{step}: {:#}", said.get(step).unwrap_or(&Value::Null));
    };
    is("server", "", "handoff");
    is("run", "/id", ID);
    is("status", "/status", "done");
    is("list", "/handoffs/0/id", ID);
    is("log", "/id", ID);
    is("takeover", "/status", "interactive");
    let text =
        |step: &str, pointer: &str| said[step].pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    assert!(text("diff", "/patch").contains("+++ b/"), "{}", said["diff"]);
    assert!(text("resume", "/error").contains("handoff give fix"), "{}", said["resume"]);
    is("give", "/id", ID);
    assert!(["stopped", "done"].contains(&text("stop", "/status").as_str()), "{}", said["stop"]);
    assert!(said["resources"].to_string().contains("handoff://fix/attempt-1.log"), "{}", said["resources"]);
    assert!(text("document", "").contains(TASK) && text("prompt", "").contains(TASK), "{stdout}");
    assert!(Path::new(&text("takeover", "/worktree")).is_dir(), "{}", said["takeover"]);
}
