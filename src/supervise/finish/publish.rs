//! The push and the pull request of a finished handoff.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{markdown, secrets};
use crate::git::forge::{self, PullRequest, Tool};
use crate::git::push::Destination;
use crate::git::repository::Repository;
use crate::model::event::{Finish, Kind};
use crate::model::id::HandoffId;
use crate::model::snapshot::Oid;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::finish::default_message;
use crate::supervise::services::blocking;

/// The text of the pull request, in the handoff's directory.
const BODY: &str = "pull-request.md";

/// Maximum characters of foreign text in one part of a pull request.
const MOST_QUOTED: usize = 4000;

/// What became of the push and the pull request.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Published {
    pub remote: String,
    /// Whether the remote has the branch.
    pub pushed: bool,
    /// The address of the pull request, if it is open.
    pub address: Option<String>,
    /// Why the push or the tool failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What helps, if repeating the command does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Commands that open the pull request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

impl Published {
    fn not_pushed(remote: String, why: Option<String>, help: Option<String>) -> Published {
        Published { remote, pushed: false, address: None, why, help, commands: vec![] }
    }
}

/// What is pushed, and opened.
struct Publication {
    id: HandoffId,
    repository: Repository,
    destination: Destination,
    branch: String,
    commit: Oid,
    title: String,
    body: PathBuf,
}

impl Driver {
    /// Pushes the branch and opens the pull request, if that was asked for. A failure is part of the result, because the
    /// steps that follow do not depend on it.
    pub async fn publish(&mut self) -> Result<Option<Published>, Error> {
        let Some((_, finish)) = self.handoff().finished() else { return Ok(None) };
        let finish = finish.clone();
        let Finish { branch: Some(branch), commit: Some(commit), remote: Some(remote), .. } = finish.clone() else {
            return Ok(None);
        };
        if finish.pull_request.is_some() {
            let address = finish.pull_request;
            return Ok(Some(Published { remote, pushed: true, address, why: None, help: None, commands: vec![] }));
        }
        // Hooks of the repository run in the user's own work tree, never in one of an agent's.
        let top = self.record.created_in();
        let began_on = self.handoff().request().base.branch.clone();
        let title = default_message(finish.message.as_deref().unwrap_or(&self.handoff().request().task));
        let body = self.write_body(&finish).await?;
        // The values of secrets were read for the body.
        let title = secrets::mask().text(title.lines().next().unwrap_or_default()).into_owned();
        let id = self.id().clone();
        let published = blocking(move || {
            let repository = Repository::discover(&top)?;
            Ok::<_, crate::git::Error>(match repository.destination(&remote, began_on.as_deref()) {
                Ok(destination) => publish(&Publication { id, repository, destination, branch, commit, title, body }),
                Err(error) => Published::not_pushed(remote, Some(error.to_string()), error.hint().map(str::to_owned)),
            })
        });
        let published = published.await??;
        if published.address.is_some() {
            let finish = Finish { pull_request: published.address.clone(), ..finish };
            self.record.append(Kind::Finished(Box::new(finish)))?;
            self.record.update()?;
        }
        Ok(Some(published))
    }

    /// Writes the text of the pull request to a file, without secrets.
    async fn write_body(&mut self, finish: &Finish) -> Result<PathBuf, Error> {
        self.record.ledger.read_secrets().await;
        let handoff = self.handoff();
        let task = markdown::harmless(handoff.request().task.trim(), markdown::Place::Lines);
        let mut parts = vec![format!("{task}\n")];
        // Without a secret's value, it is unknown which of the agent's words contain it.
        let is_covered = self.record.services.unread_secrets(handoff).is_empty();
        if let Some(state) = self.record.story()?.state.filter(|_| is_covered) {
            parts.push(code_section("## How it ended\n\n", &state));
        }
        if let Some(check) = &handoff.request().check {
            parts.push(code_section("## Check\n\n", check));
        }
        if let Some(by_hand) = &finish.by_hand {
            let count = if by_hand.count.is_empty() { "no file changed" } else { by_hand.count.as_str() };
            let lines: Vec<&str> = [count].into_iter().chain(by_hand.commits.iter().map(String::as_str)).collect();
            parts.push(code_section("## Changed by hand after the agent\n\n", &lines.join("\n")));
        }
        let path = self.record.services.store.directory(self.id()).join(BODY);
        let text = secrets::mask().text(&parts.join("\n")).into_owned();
        std::fs::write(&path, text).map_err(crate::git::Error::io("write", &path))?;
        Ok(path)
    }
}

/// Foreign text as a code block, so that the forge renders no mention, issue reference, image or link.
fn code_section(heading: &str, text: &str) -> String {
    let kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let text: String = text.trim().chars().filter(kept).take(MOST_QUOTED).collect();
    format!("{heading}{}\n", markdown::fenced(&text).trim_end())
}

fn publish(publication: &Publication) -> Published {
    let Publication { id, repository, destination, branch, commit, title, body } = publication;
    let remote = destination.remote.clone();
    if let Err(error) = repository.push_branch(&remote, branch, commit) {
        // Only a name that is taken there has a hint: the same command would be rejected again.
        let help = error.hint().map(|_| format!("handoff finish {id} --branch NAME --pr"));
        return Published::not_pushed(remote, Some(error.to_string()), help);
    }
    let mut published = Published { pushed: true, ..Published::not_pushed(remote, None, None) };
    let target = destination.target.as_deref();
    let request = PullRequest { branch, target, title, body };
    match open(repository.top(), destination, &request, commit) {
        Ok(Some(address)) => published.address = Some(address),
        Ok(None) => published.commands = forge::commands(destination, &request),
        Err(error) => {
            published.why = Some(error.to_string());
            published.commands = forge::commands(destination, &request);
        }
    }
    published
}

/// The address of the pull request, which may be open from an earlier call. `None`: there is no tool for it.
fn open(
    directory: &Path,
    destination: &Destination,
    request: &PullRequest,
    commit: &Oid,
) -> crate::git::Result<Option<String>> {
    let Some(tool) = Tool::find(directory, destination) else { return Ok(None) };
    match tool.existing(directory, request.branch, commit)? {
        Some(address) => Ok(Some(address)),
        None => tool.open(directory, request).map(Some),
    }
}
