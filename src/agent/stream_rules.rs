//! The meaning of each dialect's lines for a verdict, as data: the laptop and the host's shell read a log by these
//! rules.
//!
//! A line is flattened into entries `path=value`: keys joined by `.`, `[]` for the elements of an array, `path={` for
//! an object. A condition is such an entry. A piece of its path that begins with `*` matches by its end, a value that
//! ends with `*` by its start, and a leading `!` requires that no entry matches.

use crate::model::profile::{DialectName, Profile};
use crate::model::verdict::Class;

/// The rules for one dialect.
pub struct StreamRules {
    /// Prefixes of lines that count as progress without parsing, unless the line contains one of the texts.
    pub fast: &'static [(&'static str, &'static [&'static str])],
    /// Path of the session's id in a line.
    pub session: &'static str,
    /// The kinds of lines. One matching rule of a kind is enough.
    pub rules: &'static [(Kind, &'static [&'static str])],
    /// Paths of an error's words, the preferred one first.
    pub text: &'static [&'static str],
    /// Path of the time at which a usage limit resets, in Unix seconds.
    pub until: &'static str,
    /// Structured fields that prove a class, tried in order before the words. [`UNTIL`] matches if the stream contains
    /// a reset time.
    pub fields: &'static [(Class, Option<&'static str>, &'static [&'static str])],
}

/// What a line can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The line belongs to a sub-agent: it neither opens nor ends the session.
    Nested,
    /// A session begins.
    Open,
    /// The agent is working.
    Progress,
    /// An error from which the CLI may recover.
    Error,
    Refused,
    /// The terminal event.
    End,
    /// A terminal event that reports success.
    Good,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Nested => "nested",
            Kind::Open => "open",
            Kind::Progress => "progress",
            Kind::Error => "error",
            Kind::Refused => "refused",
            Kind::End => "end",
            Kind::Good => "good",
        }
    }
}

/// Entry that is added to an error if the stream contains the reset time of a usage limit.
pub const UNTIL: &str = "@until=";

const LIMIT: Option<&str> = Some("hit your (usage |session |weekly )?limit|usage limit");

static CLAUDE: StreamRules = StreamRules {
    fast: &[
        (r#"{"type":"assistant","#, &[r#""is_api_error_message":true"#]),
        (r#"{"type":"user","#, &[]),
        (r#"{"type":"stream_event","#, &[]),
    ],
    session: "session_id",
    rules: &[
        (Kind::Nested, &["parent_tool_use_id=*"]),
        (Kind::Open, &["type=system", "subtype=init"]),
        (Kind::Progress, &["type=assistant", "!is_api_error_message=true"]),
        (Kind::Progress, &["type=user"]),
        (Kind::Progress, &["type=stream_event"]),
        (Kind::Progress, &["type=tool_progress"]),
        (Kind::Progress, &["type=system", "subtype=init"]),
        (Kind::Error, &["type=assistant", "is_api_error_message=true"]),
        (Kind::Error, &["type=system", "subtype=api_retry"]),
        (Kind::Error, &["type=rate_limit_event", "rate_limit_info.status=rejected"]),
        (Kind::Refused, &["type=system", "subtype=permission_denied"]),
        (Kind::Refused, &["type=result", "permission_denials[]={"]),
        (Kind::End, &["type=result"]),
        // Qwen Code, which uses this dialect, reports API errors as success with such a text.
        (Kind::Good, &["type=result", "subtype=success", "!is_error=true", "!result=[API Error:*"]),
    ],
    text: &["result", "errors[]", "message.content[].text", "error"],
    until: "rate_limit_info.resetsAt",
    fields: &[
        (Class::Context, None, &["terminal_reason=prompt_too_long"]),
        (Class::Billing, None, &["error=billing_error"]),
        (Class::Billing, None, &["error=account_on_hold"]),
        (Class::Billing, None, &["subtype=error_max_budget_usd"]),
        (Class::Auth, None, &["error=authentication_failed"]),
        (Class::Auth, None, &["error=oauth_org_not_allowed"]),
        (Class::Auth, None, &["error=cloud_credential_error"]),
        (Class::Auth, None, &["error=verification_required"]),
        (Class::Config, None, &["error=model_not_found"]),
        (Class::Auth, None, &["api_error_status=401"]),
        (Class::Auth, None, &["api_error_status=403"]),
        (Class::Overloaded, None, &["api_error_status=5*"]),
        (Class::Limited, None, &["@until=*"]),
        (Class::Limited, LIMIT, &["api_error_status=429"]),
        (Class::Throttled, None, &["api_error_status=429"]),
        (Class::Network, None, &["api_error=connection_failed"]),
        (Class::Auth, None, &["subtype=api_retry", "error_status=401"]),
        (Class::Auth, None, &["subtype=api_retry", "error_status=403"]),
        (Class::Throttled, None, &["subtype=api_retry", "error_status=429"]),
        (Class::Overloaded, None, &["subtype=api_retry", "error_status=5*"]),
        (Class::Limited, None, &["type=rate_limit_event"]),
    ],
};

static CURSOR: StreamRules = StreamRules {
    fast: &[
        (r#"{"type":"assistant","#, &[]),
        (r#"{"type":"user","#, &[]),
        (r#"{"type":"thinking","#, &[]),
        (r#"{"type":"tool_call","#, &[r#""rejected":{"#, r#""permissionDenied":{"#]),
    ],
    session: "session_id",
    rules: &[
        (Kind::Open, &["type=system", "subtype=init"]),
        (Kind::Progress, &["type=assistant"]),
        (Kind::Progress, &["type=user"]),
        (Kind::Progress, &["type=thinking"]),
        (Kind::Progress, &["type=tool_call"]),
        (Kind::Progress, &["type=system", "subtype=init"]),
        (Kind::Error, &["type=error"]),
        (Kind::Refused, &["type=tool_call", "subtype=completed", "tool_call.*ToolCall.result.rejected={"]),
        (Kind::Refused, &["type=tool_call", "subtype=completed", "tool_call.shellToolCall.result.permissionDenied={"]),
        (Kind::End, &["type=result"]),
        (Kind::Good, &["type=result", "subtype=success", "!is_error=true"]),
    ],
    text: &["result", "error", "message", "error.message"],
    until: "",
    fields: &[],
};

static CODEX: StreamRules = StreamRules {
    fast: &[
        (r#"{"type":"item.started","#, &[]),
        (r#"{"type":"item.updated","#, &[]),
        (r#"{"type":"item.completed","#, &[r#""declined""#, r#""type":"error""#]),
    ],
    session: "thread_id",
    rules: &[
        (Kind::Open, &["type=thread.started"]),
        (Kind::Progress, &["type=item.started"]),
        (Kind::Progress, &["type=item.updated"]),
        // An item that is an error is a warning of the CLI.
        (Kind::Progress, &["type=item.completed", "!item.type=error"]),
        (Kind::Progress, &["type=turn.started"]),
        (Kind::Error, &["type=error"]),
        (Kind::Refused, &["type=item.completed", "item.type=command_execution", "item.status=declined"]),
        (Kind::Refused, &["type=item.completed", "item.type=file_change", "item.status=declined"]),
        (Kind::End, &["type=turn.completed"]),
        (Kind::End, &["type=turn.failed"]),
        (Kind::Good, &["type=turn.completed"]),
    ],
    text: &["error.message", "message"],
    until: "",
    fields: &[],
};

/// The rules of a dialect; `None` if every line is text.
pub fn of(dialect: DialectName) -> Option<&'static StreamRules> {
    match dialect {
        DialectName::Claude => Some(&CLAUDE),
        DialectName::Cursor => Some(&CURSOR),
        DialectName::Codex => Some(&CODEX),
        DialectName::Plain => None,
    }
}

/// A row of the error table: the class, an ERE for the words, and conditions on the fields of an error.
pub struct ErrorRow<'a> {
    pub class: Class,
    pub pattern: Option<&'a str>,
    pub fields: &'static [&'static str],
}

/// The error table of a profile: structured fields first, then the profile's patterns.
pub fn errors(profile: &Profile) -> Vec<ErrorRow<'_>> {
    let fields = of(profile.dialect).map_or(&[][..], |rules| rules.fields);
    let fields = fields.iter().map(|&(class, pattern, fields)| ErrorRow { class, pattern, fields });
    let words = profile.failure.iter();
    fields.chain(words.map(|row| ErrorRow { class: row.class, pattern: Some(&row.pattern), fields: &[] })).collect()
}

/// The rules in the form for a host: lines of words separated by tabs.
pub fn text(rules: &StreamRules) -> String {
    let mut text = String::new();
    let mut line = |word: &str, rest: &[&str]| text.push_str(&format!("{word}\t{}\n", rest.join("\t")));
    for (start, except) in rules.fast {
        line("fast", &[&[*start], *except].concat());
    }
    line("session", &[rules.session]);
    rules.rules.iter().for_each(|(kind, conditions)| line(kind.word(), conditions));
    rules.text.iter().for_each(|path| line("text", &[path]));
    if !rules.until.is_empty() {
        line("until", &[rules.until]);
    }
    for (number, row) in rules.fields.iter().enumerate() {
        line("field", &[&[(number + 1).to_string().as_str()], row.2].concat());
    }
    text
}
