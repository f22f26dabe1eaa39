//! How the user's git shows a patch on a terminal: its colours and its pager.

use super::{Repository, Result};

/// The pager if the user has chosen none: git's own, where it is installed.
const PAGER: &str = "if command -v less >/dev/null; then exec less; fi; exec cat";

/// The escape sequences for the parts of a patch, as `git config --get-color` prints them. Empty: no colour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    /// The lines that name the files.
    pub meta: String,
    /// The line of a hunk.
    pub frag: String,
    pub old: String,
    pub new: String,
    pub context: String,
    /// The end of a colour.
    pub reset: String,
}

impl Repository {
    /// The user's colours for a patch on a terminal. `None`: the user wants none (`color.diff`, `color.ui`).
    ///
    /// # Errors
    /// git fails, for example on an unknown colour.
    pub fn palette(&self) -> Result<Option<Palette>> {
        if self.git("config").args(["--get-colorbool", "color.diff", "true"]).line()? != "true" {
            return Ok(None);
        }
        let color = |slot: &str, default| self.git("config").args(["--get-color", slot, default]).line();
        Ok(Some(Palette {
            meta: color("color.diff.meta", "bold")?,
            frag: color("color.diff.frag", "cyan")?,
            old: color("color.diff.old", "red")?,
            new: color("color.diff.new", "green")?,
            context: color("color.diff.context", "normal")?,
            reset: color("", "reset")?,
        }))
    }

    /// The command of the user's pager for `git diff`, for `sh -c`. `None`: no pager is wanted. The order is git's own, see
    /// `core.pager` in git-config(1); `variable` reads a variable of the environment.
    ///
    /// # Errors
    /// git fails.
    pub fn pager(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<String>> {
        let config = self.config()?;
        let of_diff = config.get("pager.diff");
        let command = match (variable("GIT_PAGER"), of_diff) {
            (Some(command), _) => command,
            (None, Some(word)) if is_boolean(word, false) => return Ok(None),
            (None, Some(command)) if !is_boolean(command, true) => command.to_owned(),
            _ => config.get("core.pager").map(str::to_owned).or_else(|| variable("PAGER")).unwrap_or(PAGER.to_owned()),
        };
        Ok(Some(command).filter(|command| !command.is_empty() && command != "cat"))
    }
}

/// Whether a value is one of git's words for this boolean.
fn is_boolean(value: &str, which: bool) -> bool {
    let words = if which { ["true", "yes", "on", "1"] } else { ["false", "no", "off", "0"] };
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use crate::git::testing::Repo;

    #[test]
    fn colours_are_gits_unless_the_user_chose_others() {
        let repo = Repo::with_commit();
        let git = repo.open();
        assert_eq!(git.palette().unwrap(), None, "git finds no TERM here");
        repo.git(["config", "color.ui", "always"]);
        let palette = git.palette().unwrap().unwrap();
        assert_eq!(
            (palette.meta.as_str(), palette.old.as_str(), palette.new.as_str()),
            ("\x1b[1m", "\x1b[31m", "\x1b[32m")
        );
        assert_eq!(
            (palette.frag.as_str(), palette.context.as_str(), palette.reset.as_str()),
            ("\x1b[36m", "", "\x1b[m")
        );
        repo.git(["config", "color.diff.new", "bold #ff8000"]);
        assert_eq!(git.palette().unwrap().unwrap().new, "\x1b[1;38;2;255;128;0m");
        repo.git(["config", "color.ui", "never"]);
        assert_eq!(git.palette().unwrap(), None);
        repo.git(["config", "color.diff", "always"]);
        assert!(git.palette().unwrap().is_some());
        repo.git(["config", "color.diff.old", "no such colour"]);
        assert!(git.palette().is_err());
    }

    #[test]
    fn the_pager_is_the_one_that_git_diff_would_use() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let chosen = |variables: &[(&str, &str)]| {
            git.pager(|name| variables.iter().find(|it| it.0 == name).map(|it| it.1.to_owned())).unwrap()
        };
        assert_eq!(chosen(&[]).as_deref(), Some(super::PAGER));
        assert_eq!(chosen(&[("PAGER", "most")]).as_deref(), Some("most"));
        repo.git(["config", "core.pager", "less -S"]);
        assert_eq!(chosen(&[("PAGER", "most")]).as_deref(), Some("less -S"));
        repo.git(["config", "pager.diff", "delta --dark"]);
        assert_eq!(chosen(&[]).as_deref(), Some("delta --dark"));
        assert_eq!(chosen(&[("GIT_PAGER", "more")]).as_deref(), Some("more"));
        for none in ["", "cat"] {
            assert_eq!(chosen(&[("GIT_PAGER", none), ("PAGER", "most")]), None);
        }
        repo.git(["config", "pager.diff", "on"]);
        assert_eq!(chosen(&[]).as_deref(), Some("less -S"));
        for none in ["false", "cat"] {
            repo.git(["config", "pager.diff", none]);
            assert_eq!(chosen(&[]), None, "{none}");
        }
    }
}
