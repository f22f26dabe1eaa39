//! Validates a value by the part of JSON Schema that our schemas use. Anything else in a schema fails the test. A field
//! that an object's schema does not name is a mistake, too.

use serde_json::Value;

/// The first mistake of a value, with its place; `None` if it is valid. `root` has the definitions.
pub fn mistake(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    for (keyword, wants) in schema.as_object().unwrap() {
        let found = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" | "examples" | "default" => None,
            "$ref" => {
                let target = root.pointer(wants.as_str().unwrap().trim_start_matches('#')).expect("a definition");
                mistake(root, target, value)
            }
            "type" => not_of_type(wants, value),
            "const" => differs(wants == value, "the word", value),
            "enum" => differs(wants.as_array().unwrap().contains(value), "one of the words", value),
            "minimum" => differs(value.as_f64().is_none_or(|is| is >= wants.as_f64().unwrap()), "large enough", value),
            "maximum" => differs(value.as_f64().is_none_or(|is| is <= wants.as_f64().unwrap()), "small enough", value),
            "minItems" | "maxItems" => None,
            "items" => value.as_array().and_then(|items| items.iter().find_map(|item| mistake(root, wants, item))),
            "prefixItems" => value.as_array().and_then(|items| {
                let wants = wants.as_array().unwrap();
                let pairs = wants.iter().zip(items).find_map(|(wants, item)| mistake(root, wants, item));
                pairs.or(differs(wants.len() == items.len(), "of that length", value))
            }),
            "anyOf" => none_of(wants.as_array().unwrap().iter().map(|one| mistake(root, one, value)).collect()),
            "oneOf" => none_of(wants.as_array().unwrap().iter().map(|one| mistake(root, one, value)).collect()),
            "properties" => in_fields(root, schema, value),
            "required" => {
                let missing = |name: &&Value| value.is_object() && value.get(name.as_str().unwrap()).is_none();
                wants.as_array().unwrap().iter().find(missing).map(|name| format!("{name} is missing"))
            }
            "patternProperties" => value.as_object().and_then(|fields| {
                let wants = wants.as_object().unwrap().values().next().unwrap();
                fields.values().find_map(|field| mistake(root, wants, field))
            }),
            "additionalProperties" if schema.get("patternProperties").is_some() => None,
            "additionalProperties" => match wants {
                Value::Bool(_) => None,
                wants => value.as_object()?.values().find_map(|field| mistake(root, wants, field)),
            },
            other => panic!("keyword {other}"),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn differs(is_right: bool, what: &str, value: &Value) -> Option<String> {
    (!is_right).then(|| format!("{value} is not {what}"))
}

fn not_of_type(wants: &Value, value: &Value) -> Option<String> {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    };
    let right = match wants {
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    };
    differs(right, &wants.to_string(), value)
}

/// Every alternative's mistake, unless one has none.
fn none_of(mistakes: Vec<Option<String>>) -> Option<String> {
    mistakes.into_iter().collect::<Option<Vec<String>>>().map(|all| all.join("; or "))
}

fn in_fields(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    value.as_object()?.iter().find_map(|(name, field)| match schema["properties"].get(name) {
        None => Some(format!("{name:?} is in no schema")),
        Some(wants) => mistake(root, wants, field).map(|mistake| format!("{name}: {mistake}")),
    })
}

#[test]
fn a_value_that_differs_from_its_schema_is_found() {
    let schema: Value = serde_json::json!({
        "$defs": { "N": { "type": "integer", "minimum": 1 } },
        "type": "object", "required": ["a"],
        "properties": { "a": { "anyOf": [{ "$ref": "#/$defs/N" }, { "type": "null" }] }, "b": { "enum": ["x"] } },
    });
    let is_valid = |value: Value| mistake(&schema, &schema, &value).is_none();
    assert!(is_valid(serde_json::json!({ "a": 1, "b": "x" })) && is_valid(serde_json::json!({ "a": null })));
    for wrong in [r#"{}"#, r#"{"a":0}"#, r#"{"a":"1"}"#, r#"{"a":1,"b":"y"}"#, r#"{"a":1,"c":1}"#, "[]"] {
        assert!(!is_valid(serde_json::from_str(wrong).unwrap()), "{wrong}");
    }
}
