//! Whether the agent does its work, and a sentence for each thing that is not as it should be.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Health;

/// What `/readyz` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Nothing is waited for, no beat is late, no component waits to be made anew. A backend that
    /// fails does not change it.
    pub ready: bool,
    /// One line for each thing that is said.
    pub text: String,
}

/// A component and all that is said of it.
#[derive(Clone)]
pub(super) struct Watched {
    pub(super) who: String,
    pub(super) healths: [Health; 2],
}

/// Judges at the time `now` of the clock that never steps.
pub(super) fn judge(watched: &[Watched], now: Duration) -> Readiness {
    let mut ready = true;
    let mut text = String::new();
    for Watched { who, healths } in watched {
        for state in healths.iter().map(Health::state) {
            if let Some(what) = state.waits_for {
                ready = false;
                let _ = writeln!(text, "{who}: not ready: {what}");
            }
            if let Some((deadline, beat)) = state.deadline
                && now > deadline
            {
                ready = false;
                let late = now - deadline;
                let _ = writeln!(text, "{who}: not ready: {beat} is late by {late:.1?}");
            }
            if let Some(note) = state.note {
                let _ = writeln!(text, "{who}: {note}");
            }
        }
    }
    let head = if ready { "ready\n" } else { "not ready\n" };
    text.insert_str(0, head);
    Readiness { ready, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_and_a_late_beat_are_not_ready_and_a_note_is_only_said() {
        let (component, engine) = (Health::default(), Health::default());
        let watched = [Watched {
            who: "receiver `tcp`".to_owned(),
            healths: [engine.clone(), component.clone()],
        }];
        let at = |seconds| judge(&watched, Duration::from_secs(seconds));
        assert_eq!((at(0).ready, &*at(0).text), (true, "ready\n"));
        component.waits_for("the first sweep");
        assert_eq!(
            at(0).text,
            "not ready\nreceiver `tcp`: not ready: the first sweep\n"
        );
        component.ready();
        component.beat("sweep", Duration::from_secs(30));
        assert!(at(30).ready);
        let late = at(32);
        assert!(
            !late.ready && late.text.contains("sweep is late by 2.0s"),
            "{late:?}"
        );
        component.beat("sweep", Duration::from_secs(60));
        engine.note(Some("the backend fails".to_owned()));
        assert!(at(32).ready);
        assert_eq!(at(32).text, "ready\nreceiver `tcp`: the backend fails\n");
    }
}
