//! Expands `~`, `%` tokens and `${…}` in values of `ssh -G`, which prints them unexpanded. See TOKENS in ssh_config(5).

use std::path::PathBuf;

use super::{Resolved, Target};

/// The values of the tokens.
pub struct Tokens {
    host: String,
    original: String,
    alias: String,
    port: String,
    remote_user: String,
    local_user: String,
    home: String,
}

impl Tokens {
    /// The tokens of a target, once its host, port and user are known.
    pub fn of(resolved: &Resolved, target: &Target) -> Self {
        Tokens {
            host: resolved.hostname.clone(),
            original: target.address.clone(),
            alias: resolved.host_key_alias.clone().unwrap_or_else(|| resolved.hostname.clone()),
            port: resolved.port.to_string(),
            remote_user: resolved.user.clone(),
            local_user: local_user(),
            home: home("~").to_string_lossy().into_owned(),
        }
    }

    fn value(&self, token: char) -> Option<&str> {
        Some(match token {
            '%' => "%",
            'd' => &self.home,
            'h' => &self.host,
            'k' => &self.alias,
            'n' => &self.original,
            'p' => &self.port,
            'r' => &self.remote_user,
            'u' => &self.local_user,
            _ => return None,
        })
    }

    /// A path with everything expanded. An unknown token stays, and such a file does not exist.
    pub fn path(&self, text: &str) -> PathBuf {
        let text = text.trim_matches('"');
        home(&variables(&self.percent(text).unwrap_or_else(|_| text.to_owned())))
    }

    /// A path that `ssh -G` may have expanded already. If it exists as it is, it is used with any `%` in it.
    pub fn filled(&self, text: &str) -> PathBuf {
        let (literal, filled) = (PathBuf::from(text), self.path(text));
        let as_written = text.starts_with('~') || filled.exists();
        if !literal.exists() && as_written { filled } else { literal }
    }

    /// A command line for a shell.
    ///
    /// # Errors
    /// An unknown token, or a name that the shell would not take for a single word.
    pub fn command(&self, text: &str) -> Result<String, String> {
        let tame = |s: &str| s.chars().all(|c| c.is_alphanumeric() || "._-:@%+[]".contains(c)) && !s.starts_with('-');
        if let Some(wild) = [&self.host, &self.original, &self.remote_user, &self.alias].iter().find(|s| !tame(s)) {
            return Err(format!("{wild:?} is not allowed in a ProxyCommand"));
        }
        self.percent(text).map_err(|token| format!("its ProxyCommand has the unknown token %{token}"))
    }

    fn percent(&self, text: &str) -> Result<String, char> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '%' => match rest.next() {
                    Some(token) => result.push_str(self.value(token).ok_or(token)?),
                    None => result.push('%'),
                },
                _ => result.push(c),
            }
        }
        Ok(result)
    }
}

/// The name of the user who runs this.
pub fn local_user() -> String {
    let named = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    named("USER").or_else(|| named("LOGNAME")).unwrap_or_else(|| "root".to_owned())
}

/// `~` and `~/…` as a path.
pub fn home(text: &str) -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
    match text.strip_prefix('~') {
        Some("") => home(),
        Some(rest) if rest.starts_with('/') => home().join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    }
}

/// Expands `${NAME}`; an unset variable stays unexpanded.
fn variables(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        result.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            result.push_str("${");
            rest = after;
            continue;
        };
        match std::env::var(name) {
            Ok(value) => result.push_str(&value),
            Err(_) => result.push_str(&format!("${{{name}}}")),
        }
        rest = tail;
    }
    result.push_str(rest);
    result
}
