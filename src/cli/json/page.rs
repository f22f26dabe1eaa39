//! `docs/json.md`: the schema as tables. Only the test that compares the page with the file makes it.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory;
use serde_json::{Map, Value};

use super::{OUTPUTS, generator};
use crate::cli::mcp::tools::TOOLS;

const HEAD: &str = include_str!("head.md");

/// The whole page.
fn page() -> String {
    let mut generator = generator();
    let mut text = HEAD.to_owned();
    text += "\n| `handoff` | objects | object |\n|---|---|---|\n";
    for output in OUTPUTS {
        let object = (output.object)(&mut generator).to_value();
        text += &format!("| `{}` | {} | {} |\n", output.command, output.prints, Types(&Map::new()).of(&object));
    }
    text += "\n## Tools\n\n`handoff mcp` offers the commands as tools of the Model Context Protocol.\n";
    text += "\n| tool | returns |\n|---|---|\n";
    for tool in TOOLS {
        let object = (tool.object)(&mut generator).to_value();
        text += &format!("| `{}` | {} |\n", tool.name, Types(&Map::new()).of(&object));
    }
    let definitions = generator.take_definitions(true);
    let types = Types(&definitions);
    for (name, schema) in &definitions {
        if types.is_listed(schema) {
            text += &format!("\n## {name}\n\n{}", types.section(schema));
        }
    }
    text
}

/// The named types of the schema.
struct Types<'a>(&'a Map<String, Value>);

impl Types<'_> {
    /// Whether a type has a section of its own: objects and words. Others are written where they are used.
    fn is_listed(&self, schema: &Value) -> bool {
        ["properties", "oneOf", "anyOf", "examples"].iter().any(|key| schema.get(key).is_some())
    }

    fn section(&self, schema: &Value) -> String {
        let about = described(schema);
        let about = if about.is_empty() { about } else { format!("{about}\n\n") };
        let variants = schema.get("oneOf").or(schema.get("anyOf")).and_then(Value::as_array);
        if let Some(words) = schema["examples"].as_array() {
            return format!("{about}{}, or a word of a newer version.\n", joined(words.iter().map(quoted)));
        }
        match variants {
            None => about + &self.fields(schema),
            Some(variants) if variants.iter().all(|one| one.get("properties").is_some()) => {
                about + &self.objects(variants)
            }
            Some(variants) => about + &self.words(variants),
        }
    }

    /// A table of the fields of an object.
    fn fields(&self, schema: &Value) -> String {
        let row = |(name, field): (String, &Value)| {
            let kind = self.of(field);
            // A field that may be absent is never null.
            let kind = if name.ends_with('?') { kind.trim_end_matches(" or null") } else { &kind };
            format!("| `{name}` | {kind} | {} |\n", described(field).replace('|', "\\|"))
        };
        let rows: String = fields(schema).into_iter().map(row).collect();
        format!("| field | type | meaning |\n|---|---|---|\n{rows}")
    }

    /// Objects of which each has another set of fields.
    fn objects(&self, variants: &[Value]) -> String {
        let row = |variant: &Value| {
            let field = |(name, field): &(String, &Value)| match field.get("const") {
                Some(word) => format!("`{name}`: {}", quoted(word)),
                None => match described(field) {
                    about if about.is_empty() => format!("`{name}`: {}", self.of(field)),
                    about => format!("`{name}`: {} ({})", self.of(field), about.trim_end_matches('.')),
                },
            };
            let mut all = fields(variant);
            // The tag comes first.
            all.sort_by_key(|(_, field)| field.get("const").is_none());
            let all: Vec<String> = all.iter().map(field).collect();
            format!("| {} | {} |\n", all.join("<br>"), described(variant).replace('|', "\\|"))
        };
        format!("| one of | meaning |\n|---|---|\n{}", variants.iter().map(row).collect::<String>())
    }

    /// Words, and objects with one field.
    fn words(&self, variants: &[Value]) -> String {
        let mut lines = String::new();
        for variant in variants {
            let about = match described(variant) {
                about if about.is_empty() => about,
                about => format!(": {about}"),
            };
            lines += &match (variant.get("const"), variant["enum"].as_array()) {
                (Some(word), _) => format!("- {}{about}\n", quoted(word)),
                (None, Some(words)) => format!("- {}{about}\n", joined(words.iter().map(quoted))),
                (None, None) => {
                    let all = fields(variant);
                    let all = all.iter().map(|(name, field)| format!("\"{name}\": {}", self.of(field)));
                    format!("- `{{` {} `}}`{about}\n", joined(all))
                }
            };
        }
        lines
    }

    /// The type of a value in words.
    fn of(&self, schema: &Value) -> String {
        if let Some(target) = schema["$ref"].as_str() {
            let name = target.trim_start_matches("#/$defs/");
            return match self.0.get(name).filter(|schema| !self.is_listed(schema)) {
                Some(simple) => self.of(simple),
                None => format!("[{name}](#{})", name.to_lowercase()),
            };
        }
        if let Some(any) = schema["anyOf"].as_array() {
            return any.iter().map(|one| self.of(one)).collect::<Vec<_>>().join(" or ");
        }
        let types = match &schema["type"] {
            Value::Array(types) => types.clone(),
            one => vec![one.clone()],
        };
        types.iter().map(|kind| self.named(schema, kind.as_str().unwrap())).collect::<Vec<_>>().join(" or ")
    }

    fn named(&self, schema: &Value, kind: &str) -> String {
        match kind {
            "string" if schema["format"] == "date-time" => "time".to_owned(),
            "string" if schema.get("enum").is_some() => joined(schema["enum"].as_array().unwrap().iter().map(quoted)),
            "array" if schema.get("prefixItems").is_some() => {
                let items = schema["prefixItems"].as_array().unwrap().iter().map(|item| self.of(item));
                format!("list of {}", items.collect::<Vec<_>>().join(" and "))
            }
            "array" => format!("list of {}", self.of(&schema["items"])),
            "object" => {
                let by_number = schema["patternProperties"].as_object().and_then(|all| all.values().next());
                match by_number {
                    Some(value) => format!("object: {} by number", self.of(value)),
                    None => format!("object: {} by name", self.of(&schema["additionalProperties"])),
                }
            }
            other => other.to_owned(),
        }
    }
}

/// The fields of an object, with `?` after those that may be absent.
fn fields(schema: &Value) -> Vec<(String, &Value)> {
    let all = schema["properties"].as_object().unwrap();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
    let optional = all.keys().filter(|name| !required.contains(&name.as_str()));
    let required = required.iter().map(|name| ((*name).to_owned(), &all[*name]));
    required.chain(optional.map(|name| (format!("{name}?"), &all[name]))).collect()
}

/// The doc comment on one line, without links that only rustdoc follows.
fn described(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("[`", "`").replace("`]", "`")
}

fn quoted(word: &Value) -> String {
    format!("`{}`", word.as_str().unwrap())
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_page_says_what_the_types_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md");
    let text = page();
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&file, &text).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let pairs = written.lines().chain([""]).zip(text.lines().chain([""]));
    let first = pairs.clone().find(|(one, other)| one != other);
    assert!(written == text, "docs/json.md differs from the types; its first line has the command\n{first:#?}");
}

#[test]
fn every_command_with_json_has_a_schema() {
    fn walk(command: &clap::Command, words: &str, all: &mut BTreeSet<String>) {
        if command.get_arguments().any(|argument| argument.get_id() == "json") {
            all.insert(words.to_owned());
        }
        for sub in command.get_subcommands() {
            walk(sub, format!("{words} {}", sub.get_name()).trim(), all);
        }
    }
    let mut commands = BTreeSet::new();
    walk(&crate::cli::Args::command(), "", &mut commands);
    let listed = OUTPUTS.iter().map(|output| output.command.split(" --").next().unwrap().to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), commands);
}
