//! Refs of a capture that git refused on the laptop, because of an object that only they reach.

use serde::{Deserialize, Serialize};

use super::snapshot::Oid;

/// The ref of a capture that has the work itself.
pub const WORK: &str = "work";

/// One object that git's check refused, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fault {
    /// `commit`, `tree`, `blob` or `tag`; empty if git named no object.
    #[serde(default)]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Oid>,
    /// git's name of the reason (`hasDotgit`); empty if it gave none.
    #[serde(default)]
    pub reason: String,
    /// git's message.
    pub text: String,
    /// Whether no setting of git's accepts it.
    #[serde(default)]
    pub is_fatal: bool,
}

impl Fault {
    /// The command that makes git accept such objects from now on.
    pub fn accept(&self) -> Option<String> {
        let named = !self.reason.is_empty() && !self.is_fatal;
        named.then(|| format!("git config fetch.fsck.{} warn", self.reason))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(object) = &self.object {
            write!(f, "{} {object}: ", self.kind)?;
        }
        if !self.reason.is_empty() {
            write!(f, "{}: ", self.reason)?;
        }
        f.write_str(&self.text)
    }
}

/// A ref of a capture that was not taken into the repository. Its host keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RefusedRef {
    /// Its name relative to the attempt: `work`, `heads/side`.
    pub name: String,
    pub tip: Oid,
    /// One object for each reason.
    pub faults: Vec<Fault>,
}

impl std::fmt::Display for RefusedRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        write!(f, "{} ({})", self.name, faults.join("; "))
    }
}

/// The commands that accept all of them, each once.
pub fn accept(refused: &[RefusedRef]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for command in refused.iter().flat_map(|refused| &refused.faults).filter_map(Fault::accept) {
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(reason: &str) -> Fault {
        let object = Some("1".repeat(40).parse().unwrap());
        Fault { kind: "tree".into(), object, reason: reason.into(), text: "contains '.git'".into(), is_fatal: false }
    }

    #[test]
    fn each_reason_is_accepted_by_one_command() {
        let tip: Oid = "2".repeat(40).parse().unwrap();
        let refused = |name: &str, faults| RefusedRef { name: name.into(), tip: tip.clone(), faults };
        let all = [
            refused("heads/a", vec![fault("hasDotgit"), fault("treeNotSorted")]),
            refused("heads/b", vec![fault("hasDotgit"), Fault { is_fatal: true, ..fault("nulInHeader") }, fault("")]),
        ];
        assert_eq!(accept(&all), ["git config fetch.fsck.hasDotgit warn", "git config fetch.fsck.treeNotSorted warn"]);
        let text = all[0].to_string();
        assert!(
            text.starts_with("heads/a (tree 1111") && text.contains("1: hasDotgit: contains '.git'; tree"),
            "{text}"
        );
    }
}
