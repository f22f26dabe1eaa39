//! `handoff agents`

pub mod explain;

use serde::Serialize;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::model::policy::decide;
use crate::model::profile::{DEFAULT_AGENT, Profile};
use crate::model::verdict::Class;
use crate::ui::screen;

/// List the agent CLIs that handoff can run
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Agents {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print what handoff does after each verdict
    #[arg(long)]
    verdicts: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Explain(explain::Explain),
}

/// An agent CLI that handoff can run.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ListedAgent<'a> {
    name: &'a str,
    profile: &'a Profile,
}

/// What handoff does after a verdict.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ListedVerdict {
    verdict: Class,
    /// What follows it, as text.
    next: &'static str,
    /// What follows it when the attempt before had the same verdict.
    again: &'static str,
}

impl Agents {
    pub fn run(self, _: &Global) -> Result<u8, Error> {
        if let Some(Action::Explain(explain)) = self.action {
            return explain.run();
        }
        if self.verdicts {
            verdicts(self.json);
            return Ok(exit::OK);
        }
        for (name, profile) in context::agents()? {
            if self.json {
                outln!("{}", screen::json(&ListedAgent { name: &name, profile: &profile }));
            } else {
                let default = if name == DEFAULT_AGENT { " (default)" } else { "" };
                outln!("{:<10} {}{default}", name, profile.description);
            }
        }
        Ok(exit::OK)
    }
}

fn verdicts(json: bool) {
    for class in Class::ALL {
        let (first, again) = (decide(class, &[]), decide(class, &[class]));
        if json {
            let row = ListedVerdict { verdict: class, next: first.describe(), again: again.describe() };
            outln!("{}", screen::json(&row));
        } else if first == again {
            outln!("{:<13} {}", class.word(), first.describe());
        } else {
            outln!("{:<13} {}; again: {}", class.word(), first.describe(), again.describe());
        }
    }
}
