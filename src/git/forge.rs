//! Opens pull requests with the tools of the forges: `gh` and `glab`. The text of a pull request may quote an agent, so
//! it is never part of a command line.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::command::inherit;
use super::push::Destination;
use super::{Error, Result};
use crate::model::snapshot::Oid;

/// Maximum bytes of a tool's message in an error.
const MESSAGE: usize = 2000;

/// A tool on the search path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Gh,
    Glab,
}

/// A pull request to open.
#[derive(Clone, Copy, Debug)]
pub struct PullRequest<'a> {
    pub branch: &'a str,
    /// The branch that gets the work; `None`: the tool decides.
    pub target: Option<&'a str>,
    /// The user's words.
    pub title: &'a str,
    /// A file with the text.
    pub body: &'a Path,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Tool::Gh => "gh",
            Tool::Glab => "glab",
        }
    }

    /// The tools that fit a forge by its name; both if the name does not tell.
    fn candidates(destination: &Destination) -> &'static [Tool] {
        let machine = destination.machine.as_deref().unwrap_or_default();
        match (machine.contains("github"), machine.contains("gitlab")) {
            (true, false) => &[Tool::Gh],
            (false, true) => &[Tool::Glab],
            _ => &[Tool::Gh, Tool::Glab],
        }
    }

    /// The installed tool for a forge. If the forge's name does not tell, it is the one that is logged in there.
    pub fn find(directory: &Path, destination: &Destination) -> Option<Tool> {
        let machine = destination.machine.as_deref()?;
        match Tool::candidates(destination) {
            [only] => only.run(directory, &["--version"], None).is_ok().then_some(*only),
            several => several
                .iter()
                .copied()
                .find(|tool| tool.run(directory, &["auth", "status", &format!("--hostname={machine}")], None).is_ok()),
        }
    }

    /// The address of the open pull request of a branch at a commit; `None` if there is none. A fork may have a branch
    /// with the same name.
    ///
    /// # Errors
    /// The tool fails.
    pub fn existing(self, directory: &Path, branch: &str, commit: &Oid) -> Result<Option<String>> {
        let head = format!("--head={branch}");
        let printed = match self {
            Tool::Gh => self.run(directory, &["pr", "list", &head, "--state=open", "--json=url,headRefOid"], None)?,
            Tool::Glab => {
                let query = format!(
                    "projects/:fullpath/merge_requests?state=opened&source_branch={}",
                    utf8_percent_encode(branch, NON_ALPHANUMERIC)
                );
                self.run(directory, &["api", &query], None)?
            }
        };
        let all: Vec<Value> = serde_json::from_str(&printed).map_err(|_| self.unreadable(&printed))?;
        let tip = match self {
            Tool::Gh => "headRefOid",
            Tool::Glab => "sha",
        };
        let ours = all.iter().find(|request| request.get(tip).and_then(Value::as_str) == Some(commit.as_str()));
        Ok(ours.and_then(|request| self.address(request)))
    }

    /// Opens a pull request and returns its address.
    ///
    /// # Errors
    /// The tool fails, or the text cannot be read.
    pub fn open(self, directory: &Path, request: &PullRequest) -> Result<String> {
        let PullRequest { branch, target, title, body } = *request;
        match self {
            Tool::Gh => {
                let mut words = vec!["pr".to_owned(), "create".to_owned()];
                words.extend([format!("--head={branch}"), format!("--title={title}"), "--body-file=-".to_owned()]);
                words.extend(target.map(|target| format!("--base={target}")));
                let text = std::fs::read(body).map_err(Error::io("read", body))?;
                let printed = self.run(directory, &words, Some(&text))?;
                let address = printed.lines().rev().map(str::trim).find(|line| line.contains("://"));
                address.map(str::to_owned).ok_or_else(|| self.unreadable(&printed))
            }
            // `glab mr create` takes the text only as an argument.
            Tool::Glab => {
                let text = std::fs::read_to_string(body).map_err(Error::io("read", body))?;
                let fields = json!({
                    "source_branch": branch, "target_branch": target, "title": title, "description": text,
                });
                let words = ["api", "projects/:fullpath/merge_requests", "--method=POST"];
                let words = [&words[..], &["--header=Content-Type: application/json", "--input=-"]].concat();
                let printed = self.run(directory, &words, Some(fields.to_string().as_bytes()))?;
                let made: Value = serde_json::from_str(&printed).map_err(|_| self.unreadable(&printed))?;
                self.address(&made).ok_or_else(|| self.unreadable(&printed))
            }
        }
    }

    fn address(self, object: &Value) -> Option<String> {
        let key = match self {
            Tool::Gh => "url",
            Tool::Glab => "web_url",
        };
        object.get(key)?.as_str().map(str::to_owned)
    }

    fn run<S: AsRef<std::ffi::OsStr>>(self, directory: &Path, words: &[S], input: Option<&[u8]>) -> Result<String> {
        let mut command = Command::new(self.name());
        inherit(&mut command);
        command.current_dir(directory).args(words);
        // No question can be answered here.
        command.env("GH_PROMPT_DISABLED", "1").env("NO_PROMPT", "1").env("NO_COLOR", "1");
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| match source.kind() {
            ErrorKind::NotFound => Error::unfit(format!("{} is not on PATH", self.name()), "install it"),
            _ => Error::Io { what: format!("could not start {}", self.name()), source },
        })?;
        let stdin = child.stdin.take();
        let output = std::thread::scope(|scope| {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A tool that fails early does not read its input.
                scope.spawn(move || stdin.write_all(input));
            }
            child.wait_with_output()
        });
        let output =
            output.map_err(|source| Error::Io { what: format!("could not read from {}", self.name()), source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(self.failed(&output))
    }

    fn failed(self, output: &Output) -> Error {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(MESSAGE).collect();
        Error::Tool { tool: self.name(), status: output.status.to_string(), said }
    }

    fn unreadable(self, printed: &str) -> Error {
        let said = format!("it printed {:?}", printed.chars().take(200).collect::<String>());
        Error::Tool { tool: self.name(), status: "exit status: 0".to_owned(), said }
    }
}

/// Commands with which a person opens the pull request.
pub fn commands(destination: &Destination, request: &PullRequest) -> Vec<String> {
    let quoted = |text: &str| shlex::try_quote(text).map_or_else(|_| text.to_owned(), |quoted| quoted.into_owned());
    let (branch, title) = (quoted(request.branch), quoted(request.title));
    let body = quoted(&request.body.display().to_string());
    let target = |option: &str| request.target.map_or(String::new(), |target| format!(" {option} {}", quoted(target)));
    let command = |tool: &Tool| match tool {
        Tool::Gh => format!("gh pr create --head {branch}{} --title {title} --body-file {body}", target("--base")),
        Tool::Glab => format!(
            "glab mr create --source-branch {branch}{} --title {title} --description \"$(cat {body})\"",
            target("--target-branch")
        ),
    };
    Tool::candidates(destination).iter().map(command).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_for_a_person_are_quoted() {
        let request = PullRequest {
            branch: "fix/till",
            target: Some("main"),
            title: "Don't $(fail)",
            body: Path::new("/a b/pull-request.md"),
        };
        let on = |machine: Option<&str>| {
            let machine = machine.map(str::to_owned);
            commands(&Destination { remote: "origin".into(), machine, target: None }, &request)
        };
        let words = shlex::split(&on(Some("github.com"))[0]).unwrap();
        let expected = ["--base", "main", "--title", "Don't $(fail)", "--body-file", "/a b/pull-request.md"];
        assert_eq!(words[5..], expected);
        assert!(on(Some("gitlab.com"))[0].starts_with("glab mr create --source-branch fix/till --target-branch main"));
        assert_eq!(on(Some("git.example.org")).len(), 2);
        assert_eq!(on(None).len(), 2);
    }
}
