//! Answers of the user that a server or key has accepted, so that a later reconnection asks for none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;

/// Correct answers, in the memory of this process only. Clones share them.
#[derive(Clone, Default)]
pub struct Answers(Arc<Mutex<HashMap<String, SecretString>>>);

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers")
    }
}

impl Answers {
    /// The answer to a question, by a unique name of the question.
    pub fn get(&self, question: &str) -> Option<SecretString> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(question).cloned()
    }

    /// Stores an accepted answer.
    pub fn keep(&self, question: &str, answer: SecretString) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(question.to_owned(), answer);
    }

    /// Deletes a refused answer.
    pub fn forget(&self, question: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
    }
}
