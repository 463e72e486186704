//! A replayed delivery: what the code did is compared with what is recorded.

use std::collections::BTreeSet;

use super::ended::{check_end, how_it_ended};
use super::matching::{IssuedCall, Matched, match_calls};
use super::recorded::{Group, Polled, Recorded, puts_away};
use super::{Divergence, Machine, Stop};
use crate::context::shared::{Call, CallKey, Issued, SharedState};
use crate::event::{Event, EventKind};
use crate::id::EventSeq;
use crate::sites::{Site, Verdict, site_of};

impl Machine {
    /// Delivers a recorded arrival again and checks that the code asks for what is recorded after it.
    ///
    /// `false` where the arrival is a foreign wake-up that has not come yet: the driver waits for it and calls
    /// [`replay_again`](Self::replay_again).
    pub(crate) fn replay(&mut self, group: Group) -> Result<bool, Stop> {
        self.advance(&group.arrival);
        self.shared.begin(group.arrival.seq, group.arrival.at, true);
        let recorded = self.sort_recorded(group);
        self.hand(&recorded.arrival, None)?;
        self.replay_recorded(recorded)
    }

    /// Goes on with a delivery whose foreign wake-up had not come.
    pub(crate) fn replay_again(&mut self) -> Result<bool, Stop> {
        match self.unwoken.take() {
            Some(recorded) => self.replay_recorded(recorded),
            None => Ok(true),
        }
    }

    fn replay_recorded(&mut self, recorded: Recorded) -> Result<bool, Stop> {
        self.shared.state().replaying = true;
        let polled = self.poll();
        self.shared.state().replaying = false;
        let polled = polled
            .map_err(|stop| self.judge_values().err().unwrap_or(stop))
            .map_err(|stop| self.name_unasked(stop, &recorded))
            .map_err(|stop| self.mark_foreign(stop))?;
        if recorded.arrival.kind == EventKind::Woken && self.lacks(&recorded, &polled) {
            self.unwoken = Some(recorded);
            return Ok(false);
        }
        self.judge_values()
            .and_then(|()| self.check(&recorded))
            .map_err(|stop| name_end(stop, &polled))
            .and_then(|()| self.check_end(&recorded, &polled))
            .map_err(|stop| self.mark_foreign(stop))?;
        Ok(true)
    }

    /// Compares the values that the code was given with the sites at which it has asked for them.
    fn judge_values(&self) -> Result<(), Stop> {
        let mut state = self.shared.state();
        let state = &mut *state;
        let value = match state
            .recorded_values
            .judge(state.delivery, &mut state.tries)
        {
            Verdict::Right => return Ok(()),
            Verdict::Undecided(value) => value,
            Verdict::Wrong(value) => {
                state.is_misjudged = true;
                value
            }
        };
        Err(Stop::Diverged(Divergence::undecided(&value, None)))
    }

    /// The code asked for a value that is not recorded here: what it should have asked for is the first event that
    /// it has not asked for, if there is one.
    fn name_unasked(&self, stop: Stop, recorded: &Recorded) -> Stop {
        let Stop::Diverged(divergence) = stop else {
            return stop;
        };
        if divergence.undecided {
            return Stop::Diverged(divergence);
        }
        let state = self.shared.state();
        let held: Vec<IssuedCall<'_>> = state
            .issued
            .iter()
            .filter_map(|issued| match issued {
                Issued::Call(key) => Some(*key),
                Issued::Value(_) => None,
            })
            .filter_map(|key| state.calls.get(&key).map(|call| IssuedCall { key, call }))
            .collect();
        let missing = match_calls(&held, &recorded.calls, 0).missing;
        let calls = missing.iter().map(|&index| &recorded.calls[index]);
        let unasked = calls
            .chain(state.recorded_values.unasked())
            .chain(&recorded.end)
            .min_by_key(|event| event.seq);
        Stop::Diverged(match unasked {
            Some(event) => divergence.instead_of(event),
            None => divergence,
        })
    }

    /// Whether the code has not yet done all that is recorded.
    fn lacks(&self, recorded: &Recorded, polled: &Polled) -> bool {
        let state = self.shared.state();
        let held =
            |issued: &&Issued| matches!(issued, Issued::Call(key) if state.calls.contains_key(key));
        let issued = state.issued.iter().filter(held).count();
        let ended = state.continue_with.is_some() || !matches!(polled, Polled::Pending);
        issued < recorded.calls.len()
            || state.cancelled.len() < recorded.cancels.len()
            || (recorded.end.as_ref().is_some_and(|end| !puts_away(end)) && !ended)
    }

    /// Sorts what is recorded of a delivery, and gives the values to the code.
    fn sort_recorded(&mut self, group: Group) -> Recorded {
        let mut recorded = Recorded {
            arrival: group.arrival,
            calls: Vec::new(),
            cancels: Vec::new(),
            end: None,
            is_stopped: group.is_stopped,
        };
        let mut state = self.shared.state();
        state.recorded_values.clear();
        for event in group.asked {
            self.next = event.seq.next();
            self.last_at = self.last_at.max(event.at);
            match event.kind {
                kind if kind.is_call() => recorded.calls.push(event),
                EventKind::CallCancelled => recorded.cancels.push(event),
                EventKind::ValueRecorded | EventKind::Patched | EventKind::ExitStarted => {
                    state.recorded_values.push(event);
                }
                EventKind::Published => {}
                _ => recorded.end = Some(event),
            }
        }
        let is_too_late = |end: &Event| end.kind == EventKind::WorkflowFailed && puts_away(end);
        state.is_late = recorded.is_stopped || recorded.end.as_ref().is_some_and(is_too_late);
        drop(state);
        recorded
    }

    /// Compares what the code did with what is recorded, and numbers its calls as recorded.
    fn check(&self, recorded: &Recorded) -> Result<(), Stop> {
        let Recorded {
            arrival,
            calls,
            cancels,
            ..
        } = recorded;
        let mut state = self.shared.state();
        let issued = std::mem::take(&mut state.issued);
        let keys = issued.iter().filter_map(|issued| match issued {
            Issued::Call(key) => Some(*key),
            Issued::Value(_) => None,
        });
        let matched = {
            let held: Vec<IssuedCall<'_>> = keys
                .filter_map(|key| state.calls.get(&key).map(|call| IssuedCall { key, call }))
                .collect();
            match_calls(&held, calls, state.tries.rotation())
        };
        state.is_ambiguous |= matched.is_ambiguous;
        learn_moves(&mut state, &matched, calls);
        check_calls(recorded, &matched, |key| state.calls.get(&key)).map_err(Stop::Diverged)?;
        for (key, seq) in matched.pairs {
            state.number(key, seq);
        }
        let leftover = state.recorded_values.unasked();
        if let Some(value) = leftover.min_by_key(|value| value.seq) {
            return Err(Stop::Diverged(Divergence::not_asked(value, None)));
        }
        let dropped = std::mem::take(&mut state.cancelled);
        check_cancels(arrival, cancels, &dropped).map_err(Stop::Diverged)
    }

    /// Compares how the code ended with the end that is recorded.
    fn check_end(&self, recorded: &Recorded, polled: &Polled) -> Result<(), Stop> {
        let limit = self.shared.env.payload_limit;
        let continues = self.shared.state().continue_with.take().is_some();
        check_end(recorded, polled, continues, limit).map_err(Stop::Diverged)
    }
}

/// Takes in how the source has moved since these calls were recorded.
fn learn_moves(state: &mut SharedState, matched: &Matched, recorded: &[Event]) {
    for told in &matched.told {
        state.tries.moves.learn(told);
    }
    if !state.tries.learns {
        return;
    }
    for (key, seq) in &matched.pairs {
        let index = recorded.binary_search_by_key(seq, |event| event.seq);
        let was = index.ok().and_then(|index| site_of(&recorded[index]));
        if let (Some(call), Some(was)) = (state.calls.get(key), was) {
            state.tries.moves.note(&Site::today(call.site), &was);
        }
    }
}

/// Code that ended where the history goes on asked for nothing because it ended.
fn name_end(stop: Stop, polled: &Polled) -> Stop {
    match (stop, how_it_ended(polled)) {
        (Stop::Diverged(divergence), Some(found)) if divergence.site.is_none() => {
            Stop::Diverged(Divergence {
                found,
                ..divergence
            })
        }
        (stop, _) => stop,
    }
}

fn check_calls<'a>(
    recorded: &Recorded,
    matched: &Matched,
    call: impl Fn(CallKey) -> Option<&'a Call>,
) -> Result<(), Divergence> {
    if let Some((undecided, key)) = matched.undecided {
        let recorded = &recorded.calls[undecided];
        return Err(Divergence::undecided(recorded, call(key)));
    }
    let extra = matched.extra.first().and_then(|key| call(*key));
    match (matched.missing.first(), extra) {
        (Some(&missing), instead) => Err(Divergence::not_asked(&recorded.calls[missing], instead)),
        (None, Some(extra)) => {
            let divergence = Divergence::not_recorded(recorded.arrival.seq, extra);
            Err(match &recorded.end {
                Some(end) => divergence.instead_of(end),
                None => divergence,
            })
        }
        (None, None) => Ok(()),
    }
}

fn check_cancels(
    arrival: &Event,
    recorded: &[Event],
    dropped: &[EventSeq],
) -> Result<(), Divergence> {
    let dropped: BTreeSet<EventSeq> = dropped.iter().copied().collect();
    let is_dropped = |event: &&Event| event.refers.is_some_and(|call| dropped.contains(&call));
    if let Some(held) = recorded.iter().find(|event| !is_dropped(event)) {
        return Err(Divergence::not_dropped(held));
    }
    let recorded: BTreeSet<EventSeq> = recorded.iter().filter_map(|event| event.refers).collect();
    match dropped.iter().find(|call| !recorded.contains(call)) {
        Some(call) => Err(Divergence::dropped(arrival.seq, *call)),
        None => Ok(()),
    }
}
