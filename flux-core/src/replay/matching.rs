//! Which recorded call is which issued one.
//!
//! `join!` rotates its branches and a `HashMap` its keys, so within one delivery neither the order of calls
//! nor the text of an input is stable; the set of calls is. A recorded call is found by kind and name, then by
//! the digest of its input, then by source line, then by order. What is left after that may still fit as an
//! *evolution*: the recorded input, read as today's type and written again, is today's input.

use std::collections::BTreeMap;
use std::panic::Location;

use super::digest::digest;
use crate::context::request::{Body, Request};
use crate::context::shared::{Call, CallKey};
use crate::event::{CallMeta, Event, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::task::Reencode;

/// A call the code issued in this delivery and still holds, borrowed from the shared state.
pub(crate) struct IssuedCall<'a> {
    pub(crate) key: CallKey,
    pub(crate) call: &'a Call,
}

/// The result of matching one delivery.
pub(crate) struct Matched {
    pub(crate) pairs: Vec<(CallKey, EventSeq)>,
    /// Recorded calls that the code did not issue, by index.
    pub(crate) missing: Vec<usize>,
    /// Issued calls that the history does not have.
    pub(crate) extra: Vec<CallKey>,
    /// Whether calls alike in everything were told apart by their order alone.
    pub(crate) is_ambiguous: bool,
}

type Group = (EventKind, Box<str>, u128);

/// Matches the calls issued in one delivery with those recorded in it. Calls alike in everything are paired in
/// the order of issue, or with another `choice` in another order.
pub(crate) fn match_calls(issued: &[IssuedCall<'_>], recorded: &[Event], choice: usize) -> Matched {
    if let ([one], [event]) = (issued, recorded)
        && is_same_text(one.call, event)
    {
        return Matched {
            pairs: vec![(one.key, event.seq)],
            missing: Vec::new(),
            extra: Vec::new(),
            is_ambiguous: false,
        };
    }
    let mut matcher = Matcher::new(issued, recorded, choice);
    matcher.by_digest();
    matcher.by_evolution();
    matcher.finish()
}

fn is_same_text(call: &Call, event: &Event) -> bool {
    call.kind == event.kind && *call.name == *event.name_str() && call.input == event.payload
}

struct Matcher<'a> {
    issued: &'a [IssuedCall<'a>],
    recorded: &'a [Event],
    open_issued: Vec<bool>,
    open_recorded: Vec<bool>,
    pairs: Vec<(CallKey, EventSeq)>,
    choice: usize,
    is_ambiguous: bool,
}

impl<'a> Matcher<'a> {
    fn new(issued: &'a [IssuedCall<'a>], recorded: &'a [Event], choice: usize) -> Self {
        Self {
            issued,
            recorded,
            open_issued: vec![true; issued.len()],
            open_recorded: vec![true; recorded.len()],
            pairs: Vec::with_capacity(issued.len()),
            choice,
            is_ambiguous: false,
        }
    }

    fn by_digest(&mut self) {
        let mut groups: BTreeMap<Group, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (i, issued) in self.issued.iter().enumerate() {
            let group = (
                issued.call.kind,
                Box::from(&*issued.call.name),
                digest_of(issued.call.input.as_ref()),
            );
            groups.entry(group).or_default().0.push(i);
        }
        for (r, event) in self.recorded.iter().enumerate() {
            let group = (
                event.kind,
                Box::from(event.name_str()),
                digest_of(event.payload.as_ref()),
            );
            groups.entry(group).or_default().1.push(r);
        }
        for (issued, recorded) in groups.into_values() {
            self.pair_group(&issued, &recorded);
        }
    }

    /// Calls alike in kind, name and input: by source line first, then by order.
    fn pair_group(&mut self, issued: &[usize], recorded: &[usize]) {
        if issued.len() > 1 || recorded.len() > 1 {
            let mut by_site: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            for &r in recorded.iter().rev() {
                by_site
                    .entry(self.recorded[r].meta::<CallMeta>().site)
                    .or_default()
                    .push(r);
            }
            for alike in by_site.values_mut().filter(|alike| alike.len() > 1) {
                self.is_ambiguous = true;
                let by = self.choice % alike.len();
                alike.rotate_left(by);
            }
            for &i in issued {
                let site = site_text(self.issued[i].call.site);
                if let Some(r) = by_site.get_mut(&site).and_then(Vec::pop) {
                    self.pair(i, r);
                }
            }
        }
        let rest_issued: Vec<usize> = issued
            .iter()
            .copied()
            .filter(|&i| self.open_issued[i])
            .collect();
        let rest_recorded: Vec<usize> = recorded
            .iter()
            .copied()
            .filter(|&r| self.open_recorded[r])
            .collect();
        for (i, r) in rest_issued.into_iter().zip(rest_recorded) {
            self.pair(i, r);
        }
    }

    fn by_evolution(&mut self) {
        for r in 0..self.recorded.len() {
            let event = &self.recorded[r];
            let Some(recorded_input) = event.payload.as_ref().filter(|_| self.open_recorded[r])
            else {
                continue;
            };
            let fits = |i: &usize| {
                let call = self.issued[*i].call;
                self.open_issued[*i]
                    && call.kind == event.kind
                    && *call.name == *event.name_str()
                    && has_evolved_into(recorded_input, call)
            };
            if let Some(i) = (0..self.issued.len()).find(fits) {
                self.pair(i, r);
            }
        }
    }

    fn pair(&mut self, i: usize, r: usize) {
        self.open_issued[i] = false;
        self.open_recorded[r] = false;
        self.pairs.push((self.issued[i].key, self.recorded[r].seq));
    }

    fn finish(self) -> Matched {
        let open =
            |flags: &[bool]| -> Vec<usize> { (0..flags.len()).filter(|&i| flags[i]).collect() };
        Matched {
            missing: open(&self.open_recorded),
            extra: open(&self.open_issued)
                .into_iter()
                .map(|i| self.issued[i].key)
                .collect(),
            is_ambiguous: self.is_ambiguous,
            pairs: self.pairs,
        }
    }
}

/// Whether `recorded`, read as today's type and written again, is the input of `call`.
pub(crate) fn has_evolved_into(recorded: &Payload, call: &Call) -> bool {
    let (Some(today), Some(reencode)) = (&call.input, reencode_of(call.request.as_ref())) else {
        return false;
    };
    reencode(recorded).is_ok_and(|evolved| digest(evolved.as_str()) == digest(today.as_str()))
}

fn reencode_of(request: Option<&Request>) -> Option<Reencode> {
    match request? {
        Request::Task(task) => match &task.body {
            Body::Task(def) => Some(def.reencode),
            Body::Step(_) => None,
        },
        Request::Child { def, .. } => Some(def.reencode),
        _ => None,
    }
}

pub(crate) fn digest_of(payload: Option<&Payload>) -> u128 {
    payload.map_or(0, |payload| digest(payload.as_str()))
}

/// How a source line is recorded.
pub(crate) fn site_text(site: &Location<'_>) -> String {
    format!("{}:{}:{}", site.file(), site.line(), site.column())
}
