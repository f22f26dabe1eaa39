//! What follows a verdict: a total table, and nothing but a table.

use super::verdict::Class;

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The work is over.
    End,
    /// Same host, resume the session, back off.
    Resume,
    /// Wait for the reset time; a new number, not charged.
    WaitReset,
    /// Resume with the evidence in the prompt.
    ResumeWithEvidence,
    /// A new session, seeded from the resume prompt.
    NewSession,
    /// Only a host with more of what ran out helps. Today this pauses: handoff does not choose another host by itself.
    Climb,
    /// Pause, and print the command that fixes it.
    Park,
}

/// Usage windows that are waited for in a row. A wait is not charged, so something else must end them.
pub const MOST_WAITS: usize = 12;

/// Decides from the class of the last attempt and the classes before it, oldest first.
pub fn decide(class: Class, before: &[Class]) -> Decision {
    use Class::{
        Auth, Billing, Blocked, CheckFailed, Config, Context, Crashed, DiskFull, Done, Hung, Limited, Lost, Network,
        NoWork, Oom, Overloaded, Session, Stopped, Throttled, Timeout, Truncated, Unchecked,
    };
    match class {
        Done | Unchecked | Stopped => Decision::End,
        Throttled | Overloaded | Network | Truncated => Decision::Resume,
        Crashed | Hung | Lost if before.contains(&class) => Decision::Climb,
        Crashed | Hung | Lost => Decision::Resume,
        Limited if before.iter().rev().take_while(|class| **class == Limited).count() >= MOST_WAITS => Decision::Park,
        Limited => Decision::WaitReset,
        CheckFailed | NoWork => Decision::ResumeWithEvidence,
        Context | Session => Decision::NewSession,
        Oom | DiskFull | Timeout => Decision::Climb,
        Auth | Billing | Config | Blocked => Decision::Park,
    }
}

impl Decision {
    /// The row's text in `handoff agents --verdicts`.
    pub fn describe(self) -> &'static str {
        match self {
            Decision::End => "end",
            Decision::Resume => "after a delay, resume the session on the same host",
            Decision::WaitReset => "wait until the limit resets, then resume; this does not use up an attempt",
            Decision::ResumeWithEvidence => "resume the session, with the evidence in the prompt",
            Decision::NewSession => "start a new session from the resume prompt",
            Decision::Climb => "pause, and print the command that continues, here or on another host",
            Decision::Park => "pause, and print the command that fixes it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_total_and_repeats_change_only_what_the_design_says() {
        for class in Class::ALL {
            let first = decide(class, &[]);
            for before in Class::ALL {
                let again = decide(class, &[before]);
                let may_change = before == class && matches!(class, Class::Crashed | Class::Hung | Class::Lost);
                assert_eq!(again != first, may_change, "{class} after {before}");
            }
        }
    }

    #[test]
    fn a_usage_limit_that_never_lifts_is_not_waited_for_without_end() {
        let waits = vec![Class::Limited; MOST_WAITS];
        assert_eq!(decide(Class::Limited, &waits[1..]), Decision::WaitReset);
        assert_eq!(decide(Class::Limited, &waits), Decision::Park);
        let with_work = [waits.clone(), vec![Class::Crashed], waits[1..].to_vec()].concat();
        assert_eq!(decide(Class::Limited, &with_work), Decision::WaitReset);
    }

    #[test]
    fn what_a_person_must_mend_is_never_tried_again() {
        for class in [Class::Auth, Class::Billing, Class::Config, Class::Blocked] {
            assert_eq!(decide(class, &[]), Decision::Park);
        }
    }
}
