//! Files that the user attached to a task: images, logs. They are no part of the repository.

use serde::{Deserialize, Serialize};

use super::snapshot::Oid;

/// Attached files as git objects. Every attempt on every host gets the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attached {
    /// A commit without a parent, whose tree has every file.
    pub commit: Oid,
    pub files: Vec<AttachedFile>,
}

/// One attached file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttachedFile {
    /// Its name on the host and in the record; no two files of a handoff have the same.
    pub name: String,
    /// Its path when it was read. Invalid UTF-8 is replaced.
    pub path: String,
    pub bytes: u64,
    /// The blob with its content.
    pub object: Oid,
}

/// Maximum bytes of a file's name on the usual file systems.
const LONGEST: usize = 255;

/// A name for a file whose name on the laptop was `name`, which differs from those in `taken`, also where case does not
/// count. It is text without control characters, so that a line of a prompt or of a list can have it.
pub fn safe_name(name: &str, taken: &[AttachedFile]) -> String {
    let unsafe_char = |c: char| c.is_control() || matches!(c, '/' | '\\' | '`' | '"' | char::REPLACEMENT_CHARACTER);
    let invisible =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let name: String = name.chars().map(|c| if unsafe_char(c) || invisible(c) { '_' } else { c }).collect();
    let name = if name.trim_matches(['.', ' ']).is_empty() { "file".to_owned() } else { name };
    let (stem, end) = match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 16 => name.split_at(at),
        _ => (name.as_str(), ""),
    };
    let is_taken = |name: &String| taken.iter().any(|file| file.name.to_lowercase() == name.to_lowercase());
    let numbers = std::iter::once(String::new()).chain((2..).map(|number| format!("-{number}")));
    let mut names = numbers.map(|number| {
        let room = LONGEST - end.len() - number.len();
        let cut = (0..=room.min(stem.len())).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or_default();
        format!("{}{number}{end}", &stem[..cut])
    });
    names.find(|name| !is_taken(name)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        let mut taken: Vec<AttachedFile> = Vec::new();
        for name in all {
            let name = safe_name(name, &taken);
            taken.push(AttachedFile { name, path: String::new(), bytes: 0, object: "0".repeat(40).parse().unwrap() });
        }
        taken.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn two_files_of_one_name_get_two_names() {
        assert_eq!(names(&["a.log", "a.log", "A.LOG", "a-2.log"]), ["a.log", "a-2.log", "A-3.LOG", "a-2-2.log"]);
        assert_eq!(names(&["log", "log", ".env", ".env"]), ["log", "log-2", ".env", ".env-2"]);
    }

    #[test]
    fn a_name_is_one_line_of_text_and_no_path() {
        let odd = names(&["a\nb.png", "a/../b", "\u{202e}gnp.x", "..", "b\u{fffd}\u{7f}`", "my file.png", "-x.log"]);
        assert_eq!(odd, ["a_b.png", "a_.._b", "_gnp.x", "file", "b___", "my file.png", "-x.log"]);
    }

    #[test]
    fn a_name_of_full_length_keeps_its_end_when_it_gets_a_number() {
        let long = format!("{}éy.png", "x".repeat(248));
        let both = names(&[&long, &long]);
        assert_eq!((both[0].as_str(), both[1].len()), (long.as_str(), 254));
        assert!(both[1].ends_with("x-2.png"));
    }
}
