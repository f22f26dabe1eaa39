//! A line of a JSON stream, possibly mixed with stderr.

pub(super) use serde_json_borrow::Value;

/// Access to a field of an object; `None` without the field, or if the value is not an object.
pub(super) trait Fields: Sized {
    fn field(&self, key: &str) -> Option<&Self>;
}

impl Fields for Value<'_> {
    fn field(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }
}

/// The events of a line, and the text around them.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) values: Vec<Value<'a>>,
    pub(super) stray: Vec<&'a str>,
}

/// Finds the events of a line: objects with a string `type`. stdout and stderr share one file, so text without a
/// newline may come before or after them (`Reading additional input from stdin...{"type":…}`).
pub(super) fn split(line: &str) -> Parts<'_> {
    let mut parts = Parts::default();
    let mut rest = line;
    if let Some(start) = line.find("{\"") {
        let mut stream = serde_json::Deserializer::from_str(&line[start..]).into_iter::<Value>();
        let mut read = 0;
        while let Some(Ok(value)) = stream.next() {
            if !value.field("type").is_some_and(Value::is_string) {
                break;
            }
            parts.values.push(value);
            read = stream.byte_offset();
        }
        if read > 0 {
            // Old versions of handoff copied the stream with these prefixes.
            if !matches!(line[..start].trim(), "stdout:" | "stderr:") {
                parts.stray.push(&line[..start]);
            }
            rest = &line[start + read..];
        }
    }
    parts.stray.push(rest);
    parts.stray.retain(|text| !text.trim().is_empty());
    parts
}

/// The string at a path of keys, which is written like a JSON pointer.
pub(super) fn text<'a>(value: &'a Value<'a>, path: &str) -> Option<&'a str> {
    at(value, path)?.as_str()
}

fn at<'a>(value: &'a Value<'a>, path: &str) -> Option<&'a Value<'a>> {
    path.split('/').skip(1).try_fold(value, |value, key| value.field(key))
}

/// The number at a path of keys. An int64 of protobuf is a string in JSON.
pub(super) fn number(value: &Value, path: &str) -> Option<u64> {
    let value = at(value, path)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The texts of a message's content, one for each block of type text.
pub(super) fn texts<'a>(message: &'a Value<'_>) -> impl Iterator<Item = &'a str> {
    let blocks = message.field("content").and_then(Value::as_array).unwrap_or_default();
    blocks.iter().filter(|block| text(block, "/type") == Some("text")).filter_map(|block| text(block, "/text"))
}

/// The first of the usual arguments that says what a tool was used on.
pub(super) fn tool_detail(arguments: &Value) -> String {
    const KEYS: [&str; 11] = [
        "file_path",
        "path",
        "targetDirectory",
        "pattern",
        "globPattern",
        "query",
        "url",
        "description",
        "prompt",
        "command",
        "name",
    ];
    let found = KEYS.iter().find_map(|key| arguments.field(key)?.as_str());
    crate::agent::sanitize::one_line(found.unwrap_or_default(), crate::agent::sanitize::SHORT)
}
