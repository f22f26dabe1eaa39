//! What follows a verdict, as a total table.

use super::verdict::Class;

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The work is over.
    End,
    /// Resume the session on the same host after a delay.
    Resume,
    /// Wait for the reset time. The next attempt has a new number, and the wait does not count as an attempt.
    WaitReset,
    /// Resume with the evidence in the prompt.
    ResumeWithEvidence,
    /// Start a new session with the resume prompt.
    NewSession,
    /// A host with more of the exhausted resource is needed. This pauses today, because handoff does not choose another
    /// host by itself.
    Climb,
    /// Pause, and print the command that fixes it.
    Park,
}

/// Maximum usage limits that are waited for in a row. A wait does not count as an attempt, so it needs its own limit.
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
    fn the_table_is_total_and_repeats_change_only_documented_rows() {
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
    fn waits_for_usage_limits_are_bounded() {
        let waits = vec![Class::Limited; MOST_WAITS];
        assert_eq!(decide(Class::Limited, &waits[1..]), Decision::WaitReset);
        assert_eq!(decide(Class::Limited, &waits), Decision::Park);
        let with_work = [waits.clone(), vec![Class::Crashed], waits[1..].to_vec()].concat();
        assert_eq!(decide(Class::Limited, &with_work), Decision::WaitReset);
    }

    #[test]
    fn what_the_user_must_fix_is_never_retried() {
        for class in [Class::Auth, Class::Billing, Class::Config, Class::Blocked] {
            assert_eq!(decide(class, &[]), Decision::Park);
        }
    }
}
