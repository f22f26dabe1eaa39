//! What a person has typed and a server or key has accepted, so that a reconnection hours later asks nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;

/// Right answers, in the memory of this process alone. Clones share them.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<HashMap<String, SecretString>>>);

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers")
    }
}

impl Answers {
    /// The answer to a question, by a name that is the question's alone.
    pub fn get(&self, question: &str) -> Option<SecretString> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(question).cloned()
    }

    /// Remembers an answer that was accepted.
    pub fn keep(&self, question: &str, answer: SecretString) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(question.to_owned(), answer);
    }

    /// Forgets an answer that was refused.
    pub fn forget(&self, question: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
    }
}
