//! JSON Schemas of the `--json` output, derived from the printed types. A test renders them as `docs/json.md`.

#[cfg(test)]
mod page;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::{adopt, agents, diff, finish, forget, hosts, list, pull, ship, show, summarize, takeover, undo, watch};
use crate::remote::trees::Tree;
use crate::supervise::clean::HostReport;
use crate::supervise::progress::Progress;

/// What a command prints with `--json`.
pub struct Output {
    /// The words of the command after `handoff`, with the option that selects this output.
    pub command: &'static str,
    /// How many objects it prints, each on a line.
    pub prints: &'static str,
    object: fn(&mut SchemaGenerator) -> Schema,
}

const fn one(command: &'static str, object: fn(&mut SchemaGenerator) -> Schema) -> Output {
    Output { command, prints: "one", object }
}

const fn each(command: &'static str, prints: &'static str, object: fn(&mut SchemaGenerator) -> Schema) -> Output {
    Output { command, prints, object }
}

/// The outputs of all commands, in the order of `handoff --help`.
pub const OUTPUTS: &[Output] = &[
    each("run", "one for each event", SchemaGenerator::subschema_for::<Progress>),
    one("ship", SchemaGenerator::subschema_for::<ship::PlannedShip<'static>>),
    each("list", "one for each handoff", SchemaGenerator::subschema_for::<list::ListedHandoff>),
    one("show", SchemaGenerator::subschema_for::<show::ShownHandoff<'static>>),
    each("show --host", "one for each checkout", SchemaGenerator::subschema_for::<Tree>),
    each("logs", "one for each event", SchemaGenerator::subschema_for::<Progress>),
    one("summarize", SchemaGenerator::subschema_for::<summarize::SummarizedHandoff<'static>>),
    each("watch", "one for each event", SchemaGenerator::subschema_for::<Progress>),
    one("watch --daemon status", SchemaGenerator::subschema_for::<watch::DaemonStatus>),
    each("stop", "one for each event", SchemaGenerator::subschema_for::<Progress>),
    each("resume", "one for each event", SchemaGenerator::subschema_for::<Progress>),
    one("pull", SchemaGenerator::subschema_for::<pull::PulledHandoff>),
    one("diff", SchemaGenerator::subschema_for::<diff::Difference>),
    one("takeover", SchemaGenerator::subschema_for::<takeover::TakenHandoff>),
    one("undo", SchemaGenerator::subschema_for::<undo::UndoneTakeover>),
    each("give", "one for each event", SchemaGenerator::subschema_for::<Progress>),
    one("finish", SchemaGenerator::subschema_for::<finish::FinishedHandoff<'static>>),
    each("clean", "one for each handoff and host", SchemaGenerator::subschema_for::<HostReport>),
    one("adopt", SchemaGenerator::subschema_for::<adopt::AdoptedHandoff<'static>>),
    one("forget", SchemaGenerator::subschema_for::<forget::ForgottenHandoff<'static>>),
    each("hosts list", "one for each host", SchemaGenerator::subschema_for::<hosts::ListedHost<'static>>),
    one("hosts check", SchemaGenerator::subschema_for::<hosts::CheckedHost<'static>>),
    each("hosts disk", "one for each host", SchemaGenerator::subschema_for::<hosts::disk::HostDisk<'static>>),
    each("agents", "one for each agent", SchemaGenerator::subschema_for::<agents::ListedAgent<'static>>),
    each("agents --verdicts", "one for each verdict", SchemaGenerator::subschema_for::<agents::ListedVerdict>),
    one("agents explain", SchemaGenerator::subschema_for::<agents::explain::Explained<'static>>),
];

/// A generator for what is printed, which differs from what could be read where a field is left out or renamed.
pub fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().for_serialize().into_generator()
}

/// The JSON Schema of one object of an output.
pub fn schema(output: &Output) -> Value {
    let mut generator = generator();
    let mut schema = (output.object)(&mut generator);
    schema.insert("$defs".to_owned(), Value::Object(generator.take_definitions(true)));
    schema.to_value()
}
