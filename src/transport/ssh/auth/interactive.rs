//! Login with what the user types: one-time codes and passwords.

use russh::MethodKind;
use russh::client::{AuthResult, KeyboardInteractiveAuthResponse as Response, Prompt};
use secrecy::{ExposeSecret, SecretString};

use super::{Failure, Login, Step};

/// Maximum times that a wrong password or code may be typed, as in OpenSSH's NumberOfPasswordPrompts.
const TYPED: usize = 3;

/// Maximum rounds of questions in one login, so that a server cannot ask for ever.
const ROUNDS: usize = 10;

/// Maximum characters of a server's question that are shown.
const QUESTION: usize = 500;

impl Login<'_> {
    /// Tries the methods that need a person, in OpenSSH's order.
    pub(super) async fn interactively(&mut self) -> Result<Step, Failure> {
        if self.resolved.keyboard_interactive {
            for _ in 0..TYPED {
                if !self.offers(MethodKind::KeyboardInteractive) {
                    break;
                }
                match self.keyboard().await? {
                    Some(Step::In) => return Ok(Step::In),
                    Some(Step::Refused) => {}
                    Some(Step::Further) | None => break,
                }
            }
        }
        if self.resolved.password {
            for _ in 0..TYPED {
                if !self.offers(MethodKind::Password) {
                    break;
                }
                match self.password().await? {
                    Some(Step::In) => return Ok(Step::In),
                    Some(Step::Refused) => {}
                    Some(Step::Further) | None => break,
                }
            }
        }
        Ok(Step::Refused)
    }

    fn offers(&self, method: MethodKind) -> bool {
        self.methods.as_ref().is_some_and(|methods| methods.contains(&method))
    }

    fn question(&self) -> String {
        format!("password {}@{}", self.resolved.user, self.label)
    }

    /// `None` if no user is present.
    async fn password(&mut self) -> Result<Option<Step>, Failure> {
        let question = self.question();
        let remembered = self.answers.get(&question);
        let prompt = format!("Password of {} on {}: ", self.resolved.user, self.label);
        let answer = match remembered {
            Some(answer) => answer,
            None => match self.ask(prompt, false).await {
                Some(answer) => answer,
                None => return Ok(None),
            },
        };
        self.remarks.push("tried a password".to_owned());
        let user = self.resolved.user.clone();
        let result = self.handle.authenticate_password(user, answer.expose_secret()).await;
        let step = self.judge(result)?;
        match step {
            Step::Refused => self.answers.forget(&question),
            Step::In | Step::Further => self.answers.keep(&question, answer),
        }
        Ok(Some(step))
    }

    /// One keyboard-interactive login. `None` if no user is present.
    async fn keyboard(&mut self) -> Result<Option<Step>, Failure> {
        let question = self.question();
        let user = self.resolved.user.clone();
        let mut response = self.handle.authenticate_keyboard_interactive_start(user, None::<String>).await;
        let mut typed = None;
        for _ in 0..ROUNDS {
            let prompts = match response {
                Ok(Response::Success) => {
                    if let Some(answer) = typed {
                        self.answers.keep(&question, answer);
                    }
                    return Ok(Some(Step::In));
                }
                Ok(Response::Failure { remaining_methods, partial_success }) => {
                    if typed.is_some() {
                        self.answers.forget(&question);
                    }
                    return self.judge(Ok(AuthResult::Failure { remaining_methods, partial_success })).map(Some);
                }
                Ok(Response::InfoRequest { prompts, .. }) => prompts,
                Err(error) => return self.judge(Err(error)).map(Some),
            };
            let Some(answers) = self.answer(&prompts, &mut typed).await else { return Ok(None) };
            let answers = answers.iter().map(|answer| answer.expose_secret().to_owned()).collect();
            response = self.handle.authenticate_keyboard_interactive_respond(answers).await;
        }
        self.remarks.push("the server asked on and on".to_owned());
        Ok(None)
    }

    /// Answers a round of questions. A single question for a password may be answered from memory; the answer is put
    /// into `typed` to be stored. A code is never stored.
    async fn answer(&mut self, prompts: &[Prompt], typed: &mut Option<SecretString>) -> Option<Vec<SecretString>> {
        let is_password =
            prompts.len() == 1 && prompts.iter().all(|p| !p.echo && p.prompt.to_lowercase().contains("password"));
        if is_password && let Some(answer) = self.answers.get(&self.question()) {
            *typed = Some(answer.clone());
            return Some(vec![answer]);
        }
        let mut answers = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let shown: String = prompt.prompt.chars().filter(|c| !c.is_control()).take(QUESTION).collect();
            answers.push(self.ask(format!("{} asks: {shown}", self.label), prompt.echo).await?);
        }
        if !answers.is_empty() {
            self.remarks.push("answered its questions".to_owned());
        }
        if is_password {
            *typed = answers.first().cloned();
        }
        Some(answers)
    }

    /// Asks on a thread that may block.
    async fn ask(&mut self, prompt: String, echo: bool) -> Option<SecretString> {
        let prompter = self.prompter.clone();
        let answer = tokio::task::spawn_blocking(move || prompter.secret(&prompt, echo)).await.ok().flatten();
        if answer.is_none() {
            self.remarks.push("there is no terminal to ask for a password or code".to_owned());
        }
        answer
    }
}
