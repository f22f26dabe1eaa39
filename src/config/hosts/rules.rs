//! Rules for the strings of the file. An accepted string is neither an option nor shell text where it is used.

/// A condition on a string, and its words for the error "`key` must be …".
pub(super) struct Rule {
    pub(super) holds: fn(&str) -> bool,
    pub(super) wants: &'static str,
}

/// The names that [`is_name`] accepts.
pub(super) const NAME: Rule =
    Rule { holds: is_name, wants: "letters, digits, `.`, `_`, `@` and `-`, starting with a letter or a digit" };
pub(super) const ADDRESS: Rule =
    Rule { holds: |s| is_address(s, ""), wants: "a host name, an IP address or an SSH alias" };
pub(super) const JUMP: Rule =
    Rule { holds: |s| is_address(s, ","), wants: "`[user@]host[:port]`, several separated by commas, or `none`" };
pub(super) const USER: Rule = Rule { holds: |s| consists_of(s, "_", "_.@+\\-"), wants: "a user name" };
pub(super) const LABEL: Rule =
    Rule { holds: |s| consists_of(s, "", "._:/=+-"), wants: "a word such as `gpu` or `arch=arm64`" };
pub(super) const AGENT: Rule = Rule { holds: |s| consists_of(s, "", "._-"), wants: "the name of an agent" };
pub(super) const MODEL: Rule =
    Rule { holds: |s| is_line(s) && !s.starts_with('-'), wants: "a model's name as the agent takes it" };
pub(super) const IDENTITY: Rule =
    Rule { holds: |s| is_line(s) && (s.starts_with('/') || s.starts_with("~/")), wants: "absolute or start with `~/`" };
pub(super) const ROOT: Rule = Rule { holds: is_directory, wants: "absolute or start with `~/`, and without `..`" };
pub(super) const DIRECTORY: Rule =
    Rule { holds: |s| is_directory(s) && !s.contains(':'), wants: "absolute or start with `~/`, without `..` and `:`" };
/// A pattern of gitignore(5), without negations and comments.
pub(super) const PATTERN: Rule =
    Rule { holds: is_pattern, wants: "a .gitignore pattern such as `target/`, without `!` or `#` in front" };
/// Script text, may be empty.
pub(super) const SCRIPT: Rule = Rule { holds: |s| !s.contains('\0'), wants: "without a zero byte" };
pub(super) const COMMAND: Rule =
    Rule { holds: |s| !s.trim().is_empty() && !s.contains('\0'), wants: "a command, without a zero byte" };
pub(super) const VARIABLE: Rule =
    Rule { holds: is_variable, wants: "the name of a variable: letters, digits and `_`, not starting with a digit" };

/// Whether this is a pattern of gitignore(5) and neither a negation nor a comment.
pub fn is_pattern(text: &str) -> bool {
    is_line(text) && !text.starts_with(['!', '#', ' ', '\\'])
}

/// Whether a host may have this name: `[A-Za-z0-9][A-Za-z0-9._@-]*`.
pub fn is_name(name: &str) -> bool {
    consists_of(name, "", "._@-") && name.len() <= 255
}

/// The reason if handoff sets the variable itself, or a key of the file sets it.
pub(super) fn reserved(name: &str) -> Option<&'static str> {
    match name {
        "PATH" => Some("directories for PATH belong in `path`"),
        _ if name.starts_with("HANDOFF_") => Some("names that start with `HANDOFF_` are set by handoff"),
        _ => None,
    }
}

/// Whether a text in place of a variable's name looks like the secret itself.
pub(super) fn looks_secret(text: &str) -> bool {
    const PREFIXES: [&str; 11] =
        ["ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat", "sk-", "sk_", "xox", "AKIA", "eyJ"];
    text.len() > 64 || (text.len() >= 16 && PREFIXES.iter().any(|prefix| text.starts_with(prefix)))
}

fn is_variable(name: &str) -> bool {
    name.is_ascii() && consists_of(name, "_", "_") && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn is_address(text: &str, more: &str) -> bool {
    consists_of(text, "_[:", "._:%@[]+-") || { !more.is_empty() && text.split(',').all(|part| is_address(part, "")) }
}

fn is_directory(text: &str) -> bool {
    (text == "~" || text.starts_with("~/") || text.starts_with('/'))
        && is_line(text)
        && !text.split('/').any(|part| part == "..")
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// Whether a text has only ASCII letters, digits and extra characters: `first` may start it, `then` may follow.
fn consists_of(text: &str, first: &str, then: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphanumeric() || first.contains(c))
        && chars.all(|c| c.is_ascii_alphanumeric() || then.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_like_options_or_paths_are_refused() {
        for good in ["box", "box-1.lan", "me@box", "9", "A_b"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-box", ".box", "a/b", "a b", "a;b", "$(x)", "bäx", "a\nb", &"a".repeat(256)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_cannot_contain_options_or_shell_text() {
        for good in ["10.0.0.4", "::1", "[fe80::1%eth0]", "box.example.org", "build_box", "me@box"] {
            assert!((ADDRESS.holds)(good), "{good}");
        }
        for bad in ["", "-oProxyCommand=x", "a b", "a;b", "`x`", "a,b", "a/b"] {
            assert!(!(ADDRESS.holds)(bad), "{bad}");
        }
        for (jump, good) in [("me@gate:2222,inner", true), ("none", true), ("a,-b", false), ("a,", false)] {
            assert_eq!((JUMP.holds)(jump), good, "{jump}");
        }
    }

    #[test]
    fn directories_are_absolute_or_below_home() {
        for (text, good) in
            [("/opt", true), ("~/x", true), ("~", true), ("~me/x", false), ("x", false), ("/a/../b", false)]
        {
            assert_eq!((ROOT.holds)(text), good, "{text}");
        }
        assert!(!(DIRECTORY.holds)("/a:/b") && !(ROOT.holds)("/a\nb"));
    }
}
