//! A table of the file without defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::host::{Host, LOCAL, Limits, SecretSource, TransportKind, default_caches};

/// `[defaults]` or one `[host.NAME]`; `None` for a missing key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) address: Option<String>,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) identity: Option<PathBuf>,
    pub(super) jump: Option<String>,
    pub(super) transport: Option<TransportKind>,
    pub(super) labels: Option<Vec<String>>,
    pub(super) slots: Option<u32>,
    pub(super) cores: Option<u32>,
    pub(super) memory: Option<u64>,
    pub(super) root: Option<String>,
    pub(super) path: Option<Vec<String>>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, SecretSource>,
    pub(super) caches: Option<Vec<String>>,
    pub(super) include: Option<Vec<String>>,
    pub(super) artifacts: Option<Vec<String>>,
    pub(super) setup: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) model: Option<String>,
    pub(super) check: Option<String>,
    pub(super) limits: Limits,
}

impl Entry {
    /// Combines this table with the defaults. `env` and `secrets` are merged by name, and a name that the host has in
    /// one of them is not taken from the other default. A list replaces the default list.
    pub(super) fn over(self, defaults: &Entry) -> Entry {
        let defaults = defaults.clone();
        let (mut env, mut secrets) = (defaults.env, defaults.secrets);
        env.retain(|name, _| !self.secrets.contains_key(name));
        secrets.retain(|name, _| !self.env.contains_key(name));
        env.extend(self.env);
        secrets.extend(self.secrets);
        Entry {
            address: self.address.or(defaults.address),
            user: self.user.or(defaults.user),
            port: self.port.or(defaults.port),
            identity: self.identity.or(defaults.identity),
            jump: self.jump.or(defaults.jump),
            transport: self.transport.or(defaults.transport),
            labels: self.labels.or(defaults.labels),
            slots: self.slots.or(defaults.slots),
            cores: self.cores.or(defaults.cores),
            memory: self.memory.or(defaults.memory),
            root: self.root.or(defaults.root),
            path: self.path.or(defaults.path),
            env,
            secrets,
            caches: self.caches.or(defaults.caches),
            include: self.include.or(defaults.include),
            artifacts: self.artifacts.or(defaults.artifacts),
            setup: self.setup.or(defaults.setup),
            agent: self.agent.or(defaults.agent),
            model: self.model.or(defaults.model),
            check: self.check.or(defaults.check),
            limits: self.limits.or(defaults.limits),
        }
    }

    /// Makes the host. Settings for reaching a host are ignored for this machine, and an empty script means none.
    pub(super) fn into_host(self, name: &str) -> Host {
        let transport = if name == LOCAL { TransportKind::Local } else { self.transport.unwrap_or_default() };
        let remote = transport != TransportKind::Local;
        Host {
            address: self.address.filter(|_| remote).unwrap_or_else(|| name.to_owned()),
            user: self.user.filter(|_| remote),
            port: self.port.filter(|_| remote),
            identity: self.identity.filter(|_| remote),
            jump: self.jump.filter(|_| remote),
            transport,
            labels: self.labels.unwrap_or_default(),
            slots: self.slots,
            cores: self.cores,
            memory: self.memory,
            root: self.root,
            path: self.path.unwrap_or_default(),
            env: self.env,
            secrets: self.secrets,
            caches: self.caches.unwrap_or_else(default_caches),
            include: self.include.unwrap_or_default(),
            artifacts: self.artifacts.unwrap_or_default(),
            setup: self.setup.filter(|script| !script.trim().is_empty()),
            agent: self.agent,
            model: self.model,
            check: self.check.filter(|script| !script.trim().is_empty()),
            limits: self.limits,
            name: name.to_owned(),
        }
    }
}
