//! The schema and the parser accept the same keys, and give the same result for sample values.

use std::path::Path;

use serde_json::{Value, json};

use super::keys::KEYS;
use super::{EXAMPLE, Hosts, SCHEMA};

/// For each key, valid and invalid values, as TOML.
const SAMPLES: [(&str, &[&str], &[&str]); 27] = [
    ("address", &[r#""10.0.0.4""#, r#""::1""#], &["1", r#""-x""#, r#""a b""#]),
    ("user", &[r#""dev""#, r#""CORP\\dev""#], &["1", r#""-l""#, r#""a;b""#]),
    ("port", &["1", "65535", "0x16"], &["0", "65536", "-1", r#""22""#, "22.0"]),
    ("identity", &[r#""~/.ssh/id""#, r#""/k""#], &[r#""id""#, r#""~me/id""#]),
    ("jump", &[r#""none""#, r#""me@a:22,b""#], &[r#""a,""#, r#""a, b""#]),
    ("transport", &[r#""ssh""#, r#""openssh""#], &[r#""Ssh""#, "1"]),
    ("labels", &["[]", r#"["gpu", "arch=arm64"]"#], &[r#""gpu""#, "[1]", r#"["a b"]"#]),
    ("slots", &["1"], &["0", r#""1""#]),
    ("cores", &["96"], &["0", "1.5"]),
    ("memory", &[r#""64GiB""#, r#""64 GB""#, r#""1""#, "1"], &["0", r#""64G""#, r#""0B""#, "-1"]),
    ("root", &[r#""~""#, r#""~/x""#, r#""/x""#], &[r#""x""#, r#""~x""#]),
    ("path", &["[]", r#"["/a", "~/b"]"#], &[r#"["/a:/b"]"#, r#"["b"]"#, r#""/a""#]),
    ("env", &["{}", r#"{ A = "" }"#], &["{ A = 1 }", r#"{ 1A = "" }"#, "[]"]),
    (
        "secrets",
        &[r#"{ A = "B" }"#, r#"{ A = { env = "B" } }"#, r#"{ A = { command = "c" } }"#],
        &[r#"{ A = "B C" }"#, "{ A = {} }", r#"{ A = { env = "B", command = "c" } }"#, r#"{ A = { file = "c" } }"#],
    ),
    (
        "caches",
        &["[]", r#"["target/", "/build/*.o", "a b/"]"#],
        &[r#""target""#, r##"["#x"]"##, r#"["!x"]"#, r#"[" "]"#],
    ),
    ("include", &["[]", r#"[".env", "/config/*.local"]"#], &[r#"".env""#, r#"["!x"]"#]),
    ("artifacts", &["[]", r#"["/dist/*.deb"]"#], &[r#""*.deb""#, r#"["!x"]"#]),
    ("setup", &[r#""""#, r#""make""#], &["true", "[]"]),
    ("agent", &[r#""cursor""#], &[r#""""#, r#""a b""#]),
    ("model", &[r#""sonnet[1m]""#], &[r#""""#, r#""-m""#, "4"]),
    ("check", &[r#""make test""#], &["false"]),
    ("attempts", &["1", "1000"], &["0", "1001", r#""3""#]),
    ("timeout", &[r#""4h""#, r#""1h30m""#, "90", r#""90""#], &["0", "-1", r#""4 hours""#, r#""30m1h""#, "1.5"]),
    ("first-output", &[r#""10m""#], &["31536001", r#""""#]),
    ("no-progress", &[r#""2d""#], &["[]"]),
    ("grace", &[r#""60s""#], &["true"]),
    ("backoff", &["15"], &["false"]),
];

#[test]
fn parser_and_schema_have_the_same_keys() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let keys_at = |pointer: &str| {
        let mut keys: Vec<String> = schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let sorted = |mut keys: Vec<&'static str>| {
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys_at("/properties"), ["defaults", "host", "plugin", "takeover"]);
    assert_eq!(keys_at("/$defs/host/properties"), sorted(KEYS.iter().map(|k| k.name).collect()));
    let defaults = KEYS.iter().filter(|k| k.in_defaults()).map(|k| k.name).collect();
    assert_eq!(keys_at("/properties/defaults/properties"), sorted(defaults));
    assert_eq!(sorted(SAMPLES.iter().map(|s| s.0).collect()), sorted(KEYS.iter().map(|k| k.name).collect()));
}

#[test]
fn parser_and_schema_give_the_same_result() {
    for (key, right, wrong) in SAMPLES {
        let samples = right.iter().map(|v| (v, true)).chain(wrong.iter().map(|v| (v, false)));
        for (value, is_right) in samples {
            for table in ["defaults", "host.box"].into_iter().skip(usize::from(key == "address")) {
                same_result(&format!("[{table}]\n{key} = {value}\n"), is_right);
            }
        }
    }
    for (text, is_right) in [
        (EXAMPLE, true),
        ("", true),
        ("[host.box]\n", true),
        ("[host.\"a b\"]\n", false),
        ("[hosts.box]\n", false),
        ("[host.box]\nadress = \"x\"\n", false),
        ("[defaults]\naddress = \"x\"\n", false),
        ("[defaults]\ntransport = \"local\"\n", false),
        ("[host.box]\ntransport = \"local\"\n", true),
        ("[host]\nport = 22\n", false),
        ("[takeover]\ncommand = \"emacsclient -n \\\"$HANDOFF_RECORD\\\"\"\n", true),
        ("[takeover]\n", true),
        ("[takeover]\ncommand = \"  \"\n", false),
        ("[takeover]\ncommand = [\"vim\"]\n", false),
        ("[takeover]\ncomand = \"vim\"\n", false),
        ("takeover = \"vim\"\n", false),
        ("[plugin]\nreport-to-chat = false\n", true),
        ("[plugin]\nreport-to-chat = \"no\"\n", false),
        ("[plugin]\nreport = true\n", false),
    ] {
        same_result(text, is_right);
    }
}

fn same_result(text: &str, is_right: bool) {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let document = serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
    let parsed = Hosts::parse(Path::new("hosts.toml"), text, Path::new("/home/u"));
    assert_eq!(parsed.is_ok(), is_right, "the parser on {text}{parsed:?}");
    assert_eq!(valid(&schema, &schema, &document), is_right, "the schema on {text}");
}

/// Validates the part of JSON Schema that our file uses. Anything else in it fails the test.
fn valid(root: &Value, schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, wants)| match keyword.as_str() {
        "$schema" | "$defs" | "title" | "description" | "default" | "properties" => true,
        "$ref" => valid(root, root.pointer(wants.as_str().unwrap().trim_start_matches('#')).unwrap(), value),
        "type" => match wants.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("type {other}"),
        },
        "enum" => wants.as_array().unwrap().contains(value),
        "pattern" => value.as_str().is_none_or(|v| regex::Regex::new(wants.as_str().unwrap()).unwrap().is_match(v)),
        "minLength" => value.as_str().is_none_or(|v| v.len() as u64 >= wants.as_u64().unwrap()),
        "minimum" => value.as_i64().is_none_or(|v| v >= wants.as_i64().unwrap()),
        "maximum" => value.as_i64().is_none_or(|v| v <= wants.as_i64().unwrap()),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| valid(root, wants, item))),
        "anyOf" => wants.as_array().unwrap().iter().any(|option| valid(root, option, value)),
        "required" => wants.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
        "propertyNames" => value.as_object().is_none_or(|o| o.keys().all(|key| valid(root, wants, &json!(key)))),
        "additionalProperties" => properties_valid(root, schema, wants, value),
        other => panic!("keyword {other}"),
    })
}

/// Named properties by their own schema, all others by `rest` (`false`: there may be none).
fn properties_valid(root: &Value, schema: &Value, rest: &Value, value: &Value) -> bool {
    let Some(object) = value.as_object() else { return true };
    object.iter().all(|(key, value)| match schema.get("properties").and_then(|p| p.get(key)) {
        Some(named) => valid(root, named, value),
        None => rest.is_object() && valid(root, rest, value),
    })
}
