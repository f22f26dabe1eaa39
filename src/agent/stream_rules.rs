//! What the lines of each dialect's stream mean to the judge, as data: both the laptop and the shell of a host read a log
//! by these rules.
//!
//! A line is flattened into entries `path=value`: keys joined by `.`, `[]` for the elements of an array, `path={` for an
//! object. A condition is such an entry; a piece of its path that begins with `*` matches by its end, a value that ends
//! with `*` by its start, and `!` in front asks that no entry matches.

use crate::model::profile::{DialectName, Profile};
use crate::model::verdict::Class;

/// Lines of one dialect.
pub struct StreamRules {
    /// Starts of lines that are progress without a look at the rest, except where the line contains one of the texts.
    pub fast: &'static [(&'static str, &'static [&'static str])],
    /// Where a line names its session.
    pub session: &'static str,
    /// What a line is; the first rule of a kind that holds is enough.
    pub rules: &'static [(Kind, &'static [&'static str])],
    /// Where an error has its words, the best first.
    pub text: &'static [&'static str],
    /// Where the stream says when a usage window resets, in Unix seconds.
    pub until: &'static str,
    /// Structured fields that prove a class, tried in order before the words. [`UNTIL`] holds where the stream named a reset.
    pub fields: &'static [(Class, Option<&'static str>, &'static [&'static str])],
}

/// What a line can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The line belongs to a sub-agent: it ends and opens nothing.
    Nested,
    /// A session begins.
    Open,
    /// The agent works.
    Progress,
    /// An error from which the CLI may recover.
    Error,
    Refused,
    /// The terminal event.
    End,
    /// A terminal event that is a success.
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

/// Entry that is added to an error when the stream named the reset of a usage window.
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
        // Qwen Code, which speaks this dialect, reports API errors as success with such a text.
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

/// The rules of a dialect; `None` where every line is text.
pub fn of(dialect: DialectName) -> Option<&'static StreamRules> {
    match dialect {
        DialectName::Claude => Some(&CLAUDE),
        DialectName::Cursor => Some(&CURSOR),
        DialectName::Codex => Some(&CODEX),
        DialectName::Plain => None,
    }
}

/// A row of the error table: the class, the ERE over the words, and the conditions over the fields of an error.
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

/// The rules as a host reads them: lines of words between tabs.
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
