//! Reads the values of secrets on this machine when an attempt starts. An error names the secret and its source, never
//! the value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
#[cfg(not(test))]
use std::sync::RwLock;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;

use super::mask::Mask;
use super::settings::human_duration;
use crate::model::host::SecretSource;

/// The values that this process has read. They are masked in everything that it writes.
#[derive(Clone, Default)]
struct Known {
    sources: Vec<SecretSource>,
    mask: Arc<Mask>,
}

#[cfg(not(test))]
static KNOWN: RwLock<Option<Known>> = RwLock::new(None);

#[cfg(test)]
thread_local! {
    /// Each test has its own values.
    static KNOWN: std::cell::RefCell<Option<Known>> = const { std::cell::RefCell::new(None) };
}

#[cfg(not(test))]
fn with_known<T>(look: impl FnOnce(&mut Known) -> T) -> T {
    look(KNOWN.write().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert_default())
}

#[cfg(test)]
fn with_known<T>(look: impl FnOnce(&mut Known) -> T) -> T {
    KNOWN.with_borrow_mut(|known| look(known.get_or_insert_default()))
}

/// Masks the values of all secrets that this process has read.
pub fn mask() -> Arc<Mask> {
    with_known(|known| known.mask.clone())
}

/// The secrets whose values this process has not read.
pub fn unread(secrets: &BTreeMap<String, SecretSource>) -> Vec<String> {
    let unread = |known: &mut Known| {
        secrets.iter().filter(|(_, source)| !known.sources.contains(source)).map(|(name, _)| name.clone()).collect()
    };
    if secrets.is_empty() { Vec::new() } else { with_known(unread) }
}

/// Reads the secrets that are variables, to mask their values. An unset variable stays unread.
pub fn read_variables(secrets: &BTreeMap<String, SecretSource>) {
    let unread = unread(secrets);
    for source in secrets.iter().filter(|(name, _)| unread.contains(name)).map(|(_, source)| source) {
        if let SecretSource::Variable(variable) = source
            && let Ok(value) = from_variable(variable, std::env::var_os(variable))
        {
            note(source, &value);
        }
    }
}

/// Every value enters this process here, and is masked from then on.
fn note(source: &SecretSource, value: &SecretString) {
    with_known(|known| {
        Arc::make_mut(&mut known.mask).add(value.expose_secret());
        if !known.sources.contains(source) {
            known.sources.push(source.clone());
        }
    });
}

/// Time limit of a command: enough to unlock a password store by hand.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// Maximum bytes of a value: enough for a key file, too small for a log.
const MAX_VALUE: usize = 64 * 1024;

/// Why a secret has no value.
#[derive(Debug, thiserror::Error)]
#[error("the secret {name} has no value: {why}")]
pub struct SecretError {
    /// Its name on the host.
    pub name: String,
    pub why: Why,
}

/// The reason for an error.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    #[error("the variable {0} is not set")]
    NotSet(String),
    #[error("the command `{command}` cannot be run: {source}")]
    NotRun { command: String, source: std::io::Error },
    #[error("the command `{command}` failed ({status})")]
    Failed { command: String, status: ExitStatus },
    #[error("the command `{command}` took longer than {}", human_duration(*limit))]
    TooSlow { command: String, limit: Duration },
    #[error("{0} is empty")]
    Empty(String),
    #[error("{0} is longer than 64 KiB")]
    TooLong(String),
    #[error("{0} is not UTF-8 text without zero bytes")]
    NotText(String),
}

/// Reads every secret of a host, one after the other, because commands may ask on the terminal.
///
/// # Errors
/// The first secret without a value.
pub async fn resolve_all(
    secrets: &BTreeMap<String, SecretSource>,
) -> Result<BTreeMap<String, SecretString>, SecretError> {
    let mut values = BTreeMap::new();
    for (name, source) in secrets {
        values.insert(name.clone(), resolve(name, source).await?);
    }
    Ok(values)
}

/// Reads one secret; `name` is its name on the host and only used in the error.
///
/// # Errors
/// The variable is not set; the command fails or takes longer than [`COMMAND_LIMIT`]; the value is empty, not UTF-8, or
/// longer than 64 KiB.
pub async fn resolve(name: &str, source: &SecretSource) -> Result<SecretString, SecretError> {
    let value = match source {
        SecretSource::Variable(variable) => from_variable(variable, std::env::var_os(variable)),
        SecretSource::Command(command) => from_command(command, COMMAND_LIMIT).await,
    };
    let value = value.map_err(|why| SecretError { name: name.to_owned(), why })?;
    note(source, &value);
    Ok(value)
}

fn from_variable(variable: &str, value: Option<OsString>) -> Result<SecretString, Why> {
    let value = value.ok_or_else(|| Why::NotSet(variable.to_owned()))?;
    let bytes = Zeroizing::new(value.into_encoded_bytes());
    text(&bytes, || format!("the variable {variable}"))
}

/// The command's stdout without one newline at its end.
async fn from_command(command: &str, limit: Duration) -> Result<SecretString, Why> {
    let not_run = |source| Why::NotRun { command: command.to_owned(), source };
    // The command's prompts and errors go only to a terminal, because in a log they might reveal the value.
    let stderr = if std::io::stderr().is_terminal() { Stdio::inherit() } else { Stdio::null() };
    let mut child = tokio::process::Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn()
        .map_err(not_run)?;
    // Allocated at full size, because a growing buffer would leave copies of the value in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_VALUE + 64));
    let stdout = child.stdout.take();
    let finished = tokio::time::timeout(limit, async {
        if let Some(stdout) = stdout {
            stdout.take(MAX_VALUE as u64 + 1).read_to_end(&mut bytes).await?;
        }
        if bytes.len() > MAX_VALUE {
            child.start_kill()?;
        }
        child.wait().await
    })
    .await;
    let status = finished.map_err(|_| Why::TooSlow { command: command.to_owned(), limit })?.map_err(not_run)?;
    let said_by = || format!("the command `{command}`");
    if bytes.len() > MAX_VALUE {
        return Err(Why::TooLong(said_by()));
    }
    if !status.success() {
        return Err(Why::Failed { command: command.to_owned(), status });
    }
    let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    text(value.strip_suffix(b"\r").unwrap_or(value), said_by)
}

fn text(bytes: &[u8], said_by: impl Fn() -> String) -> Result<SecretString, Why> {
    match std::str::from_utf8(bytes) {
        Ok("") => Err(Why::Empty(said_by())),
        Ok(text) if text.len() > MAX_VALUE => Err(Why::TooLong(said_by())),
        Ok(text) if !text.contains('\0') => Ok(SecretString::from(text)),
        _ => Err(Why::NotText(said_by())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_is_masked_after_it_was_read() {
        let sources = BTreeMap::from([("TOKEN".to_owned(), SecretSource::Command("echo hunter2".to_owned()))]);
        assert_eq!((mask().text("hunter2"), unread(&sources)), ("hunter2".into(), vec!["TOKEN".to_owned()]));
        read_variables(&sources);
        assert_eq!(unread(&sources), ["TOKEN"], "no command is run for that");
        resolve_all(&sources).await.unwrap();
        assert_eq!((mask().text("a hunter2 b"), unread(&sources)), ("a ******* b".into(), Vec::new()));
    }

    async fn command(command: &str) -> Result<SecretString, Why> {
        from_command(command, Duration::from_millis(300)).await
    }

    #[tokio::test]
    async fn a_command_gives_its_output_without_the_last_newline() {
        for (script, value) in [
            ("echo 's p'", "s p"),
            ("printf 'a\\nb\\n\\n'", "a\nb\n"),
            ("printf 'a\\r\\n'", "a"),
            ("printf a; printf noise >&2", "a"),
        ] {
            assert_eq!(command(script).await.unwrap().expose_secret(), value, "{script}");
        }
    }

    #[tokio::test]
    async fn errors_name_the_secret_and_its_source_but_not_the_value() {
        let failing = SecretSource::Command("echo hunter2; exit 3".to_owned());
        let error = resolve("TOKEN", &failing).await.unwrap_err();
        let shown = format!("{error} {error:?}").replace("echo hunter2", "");
        assert_eq!(
            error.to_string(),
            "the secret TOKEN has no value: the command `echo hunter2; exit 3` failed (exit status: 3)"
        );
        assert!(!shown.contains("hunter2"), "{shown}");

        let unset = SecretSource::Variable("HANDOFF_TEST_THAT_NOBODY_SETS".to_owned());
        let error = resolve_all(&BTreeMap::from([("TOKEN".to_owned(), unset)])).await.unwrap_err();
        let expected = "the secret TOKEN has no value: the variable HANDOFF_TEST_THAT_NOBODY_SETS is not set";
        assert_eq!(error.to_string(), expected);
    }

    #[tokio::test]
    async fn an_invalid_value_is_refused() {
        assert!(matches!(command("true").await, Err(Why::Empty(_))));
        assert!(matches!(command("echo").await, Err(Why::Empty(_))));
        assert!(matches!(command("printf '\\377'").await, Err(Why::NotText(_))));
        assert!(matches!(command("printf 'a\\000b'").await, Err(Why::NotText(_))));
        assert!(matches!(command("yes").await, Err(Why::TooLong(_))));
        assert!(matches!(command("exec sleep 60").await, Err(Why::TooSlow { .. })));
    }

    #[test]
    fn a_variable_is_used_unchanged() {
        let value = |bytes: &[u8]| from_variable("V", Some(std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())));
        assert_eq!(value(b"a\n").unwrap().expose_secret(), "a\n");
        assert!(matches!(value(b""), Err(Why::Empty(_))));
        assert!(matches!(value(b"\xff"), Err(Why::NotText(_))));
        assert!(matches!(from_variable("V", None), Err(Why::NotSet(_))));
    }
}
