//! A profile in which every key may be absent.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::profile::{DialectName, FailurePattern, Profile, SessionMode};

/// Declares [`Overlay`] with the keys of [`Profile`], each optional, and how they replace those of a base.
macro_rules! overlay {
    ($($required:ident: $required_type:ty;)* | $($key:ident: $type:ty;)*) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct Overlay {
            /// The profile that provides the other keys, instead of the one with the same name.
            pub(super) like: Option<String>,
            $($required: Option<$required_type>,)*
            $($key: Option<$type>,)*
        }

        impl Overlay {
            /// Combines these keys with those of `base`. The error is a key that neither has.
            pub(super) fn over(self, base: Option<Profile>) -> Result<Profile, &'static str> {
                Ok(match base {
                    Some(base) => Profile {
                        $($required: self.$required.unwrap_or(base.$required),)*
                        $($key: self.$key.unwrap_or(base.$key),)*
                    },
                    None => Profile {
                        $($required: self.$required.ok_or(stringify!($required))?,)*
                        $($key: self.$key.unwrap_or_default(),)*
                    },
                })
            }
        }
    };
}

overlay! {
    binary: Vec<String>;
    start: Vec<String>;
    |
    description: String;
    version_pattern: Option<String>;
    dialect: DialectName;
    session: SessionMode;
    create: Vec<String>;
    resume: Vec<String>;
    interactive: Vec<String>;
    model_args: Vec<String>;
    session_pattern: Option<String>;
    login_check: Vec<String>;
    login: Option<String>;
    install: Option<String>;
    env: BTreeMap<String, String>;
    root_env: BTreeMap<String, String>;
    unset: Vec<String>;
    success: Vec<String>;
    terminal: Option<String>;
    error_lines: Option<String>;
    failure: Vec<FailurePattern>;
}
