//! What is at a path of a checkout, as it is written down.

use serde::{Deserialize, Serialize};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// No file. A directory may be there.
    Absent,
    File {
        sha256: String,
        mode: u32,
    },
    Link {
        #[serde(with = "latin")]
        target: Vec<u8>,
    },
    /// A pipe, a socket or a device.
    Other,
}

/// A path relative to the top, in git's bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Path(#[serde(with = "latin")] pub Vec<u8>);

impl Path {
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// Bytes as a string with one character for each, because a name need not be UTF-8.
mod latin {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = text.chars().map(|c| u8::try_from(u32::from(c)));
        bytes.collect::<Result<_, _>>().map_err(serde::de::Error::custom)
    }
}
