//! `handoff agents`

mod explain;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::model::policy::decide;
use crate::model::profile::DEFAULT_AGENT;
use crate::model::verdict::Class;

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
                outln!("{}", crate::ui::screen::json(&serde_json::json!({ "name": name, "profile": profile })));
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
            let value = serde_json::json!({ "verdict": class, "next": first.describe(), "again": again.describe() });
            outln!("{}", crate::ui::screen::json(&value));
        } else if first == again {
            outln!("{:<13} {}", class.word(), first.describe());
        } else {
            outln!("{:<13} {}; again: {}", class.word(), first.describe(), again.describe());
        }
    }
}
