//! A client of `handoff mcp` that writes and reads the messages of JSON-RPC itself.

use std::io::Write;
use std::process::ChildStdin;

use serde_json::{Value, json};

use super::laptop::Laptop;
use super::program::{Program, Ran, Running};
use super::{DEADLINE, wait};

/// A session with a server.
pub struct Client {
    server: Running,
    input: ChildStdin,
    last: u64,
}

impl Client {
    /// Starts a server in the laptop's repository, and introduces itself.
    pub fn start(laptop: &Laptop) -> Client {
        Client::of(laptop.handoff(["mcp"]))
    }

    pub fn of(program: Program) -> Client {
        Client::called("test", program)
    }

    /// A client that gives itself this name.
    pub fn called(name: &str, program: Program) -> Client {
        let (server, input) = program.spawn_with_input();
        let mut client = Client { server, input, last: 0 };
        let info = json!({ "name": name, "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info });
        let answer = client.ask("initialize", hello);
        assert_eq!(answer["result"]["serverInfo"]["name"], "handoff", "{answer}");
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        client
    }

    /// Writes one line.
    pub fn send(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Sends a request and returns its id.
    pub fn begin(&mut self, method: &str, params: Value) -> u64 {
        self.last += 1;
        let id = self.last;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        id
    }

    /// Every message of the server so far. Anything else on its stdout fails the test.
    pub fn messages(&self) -> Vec<Value> {
        let text = self.server.stdout();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let message = |line: &str| match serde_json::from_str::<Value>(line) {
            Ok(message) if message["jsonrpc"] == "2.0" => message,
            _ => panic!("this is no message: {line}"),
        };
        whole.lines().map(message).collect()
    }

    /// Waits for the answer to a request.
    #[track_caller]
    pub fn answer(&self, id: u64) -> Value {
        let found = || self.messages().into_iter().find(|message| message["id"] == id);
        wait::until_or_show("the answer", DEADLINE, found, || self.server.stdout())
    }

    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.answer(id)
    }

    /// The result of a tool.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        answer.get("result").unwrap_or_else(|| panic!("{tool}: {answer}")).clone()
    }

    /// The structured result of a tool that succeeds.
    #[track_caller]
    pub fn tool(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], false, "{tool}: {result}");
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, result["structuredContent"], "the text is the same for clients that read only text");
        text
    }

    /// The text of a tool's error.
    #[track_caller]
    pub fn error(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{tool}: {result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Closes the server's input, and waits for its end.
    pub fn leave(self) -> Ran {
        let Client { server, input, .. } = self;
        drop(input);
        server.wait()
    }
}
