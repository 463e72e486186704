//! Which recorded call is which issued one.
//!
//! `join!` rotates its branches and a `HashMap` its keys, so within one delivery neither the order of calls
//! nor the text of an input is stable; the set of calls is. A recorded call is found by kind and name, then by
//! the digest of its input; equal ones are told apart by [their sites](crate::sites). What is left after that may
//! still fit as an *evolution*: the recorded input, read as today's type and written again, is today's input.

use std::collections::BTreeMap;

use crate::context::request::{Body, Request};
use crate::context::shared::{Call, CallKey};
use crate::digest::digest;
use crate::event::{CallMeta, Event, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::sites::{Site, Told, site_of, tell_apart};
use crate::task::Reencode;

/// A call the code issued in this delivery and still holds, borrowed from the shared state.
pub(crate) struct IssuedCall<'a> {
    pub(crate) key: CallKey,
    pub(crate) call: &'a Call,
}

/// The result of matching one delivery.
#[derive(Default)]
pub(crate) struct Matched {
    pub(crate) pairs: Vec<(CallKey, EventSeq)>,
    /// Recorded calls that the code did not issue, by index.
    pub(crate) missing: Vec<usize>,
    /// Issued calls that the history does not have.
    pub(crate) extra: Vec<CallKey>,
    /// Whether equal calls of one site were told apart by their order alone.
    pub(crate) is_ambiguous: bool,
    /// The first of recorded calls that nothing tells apart, by index, and one that was issued.
    pub(crate) undecided: Option<(usize, CallKey)>,
    /// Which sites were found to be which.
    pub(crate) told: Vec<Told>,
}

/// What equal calls have in common: kind, name, the digest of the input, and for a rollback the call that it undoes.
type MatchKey = (EventKind, Box<str>, u128, Option<EventSeq>);

/// Both sides of calls that are equal, by index.
type Sides = (Vec<usize>, Vec<usize>);

/// Matches the calls issued in one delivery with those recorded in it. Equal calls of one site are paired in
/// the order of issue, or with another `rotation` in another order.
pub(crate) fn match_calls(
    issued: &[IssuedCall<'_>],
    recorded: &[Event],
    rotation: usize,
) -> Matched {
    // A sequential workflow comes through here alone.
    if let ([one], [event]) = (issued, recorded)
        && is_same_text(one.call, event)
    {
        return Matched {
            pairs: vec![(one.key, event.seq)],
            ..Matched::default()
        };
    }
    let mut matcher = Matcher::new(issued, recorded, rotation);
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
    rotation: usize,
    matched: Matched,
}

impl<'a> Matcher<'a> {
    fn new(issued: &'a [IssuedCall<'a>], recorded: &'a [Event], rotation: usize) -> Self {
        Self {
            issued,
            recorded,
            open_issued: vec![true; issued.len()],
            open_recorded: vec![true; recorded.len()],
            rotation,
            matched: Matched::default(),
        }
    }

    fn by_digest(&mut self) {
        let mut groups: BTreeMap<MatchKey, Sides> = BTreeMap::new();
        for (i, issued) in self.issued.iter().enumerate() {
            let call = issued.call;
            let digest = digest_of(call.input.as_ref());
            let group = (call.kind, Box::from(&*call.name), digest, undoes(call));
            groups.entry(group).or_default().0.push(i);
        }
        // Where no issued call undoes anything, that is not asked of the recorded ones, since it is slow to read.
        let may_undo = groups.keys().any(|(.., undoes)| undoes.is_some());
        for (r, event) in self.recorded.iter().enumerate() {
            let digest = digest_of(event.payload.as_ref());
            let undoes = may_undo.then(|| event.meta::<CallMeta>().undoes).flatten();
            let group = (event.kind, Box::from(event.name_str()), digest, undoes);
            groups.entry(group).or_default().1.push(r);
        }
        for sides in groups.into_values() {
            self.pair_group(&sides);
        }
    }

    /// Pairs calls that are equal.
    fn pair_group(&mut self, (issued, recorded): &Sides) {
        if let ([i], [r]) = (issued.as_slice(), recorded.as_slice()) {
            return self.pair(*i, *r);
        }
        if issued.is_empty() || recorded.is_empty() {
            return;
        }
        let sites = recorded.iter().map(|&r| site_of(&self.recorded[r]));
        let recorded_sites: Vec<Option<Site>> = sites.collect();
        let sites = issued.iter().map(|&i| self.issued[i].call.site);
        let today: Vec<Site> = sites.map(Site::today).collect();
        let Ok(told) = tell_apart(&recorded_sites, &today) else {
            let undecided = (recorded[0], self.issued[issued[0]].key);
            self.matched.undecided.get_or_insert(undecided);
            return;
        };
        let assigned = told.assign(&recorded_sites, &today, self.rotation);
        self.matched.is_ambiguous |= assigned.is_ambiguous;
        for (&i, r) in issued.iter().zip(assigned.to) {
            if let Some(r) = r {
                self.pair(i, recorded[r]);
            }
        }
        self.matched.told.push(told);
    }

    /// Pairs what is left with calls whose input has evolved.
    fn by_evolution(&mut self) {
        let mut evolving: BTreeMap<(EventKind, Box<str>), Evolving> = BTreeMap::new();
        for (i, issued) in self.issued.iter().enumerate() {
            let call = issued.call;
            if self.open_issued[i]
                && let Some(reencode) = reencode_of(call.request.as_ref())
            {
                let named = evolving.entry((call.kind, Box::from(&*call.name)));
                let digest = digest_of(call.input.as_ref());
                named
                    .or_default()
                    .of(reencode)
                    .entry(digest)
                    .or_default()
                    .0
                    .push(i);
            }
        }
        if evolving.is_empty() {
            return;
        }
        for (r, event) in self.recorded.iter().enumerate() {
            if self.open_recorded[r]
                && let Some(input) = &event.payload
                && let Some(named) = evolving.get_mut(&(event.kind, Box::from(event.name_str())))
                && let Some(sides) = named.evolved(input)
            {
                sides.1.push(r);
            }
        }
        let groups = evolving.into_values().flat_map(|named| named.0);
        for sides in groups.flat_map(|(_, groups)| groups.into_values()) {
            self.pair_group(&sides);
        }
    }

    fn pair(&mut self, i: usize, r: usize) {
        self.open_issued[i] = false;
        self.open_recorded[r] = false;
        let pair = (self.issued[i].key, self.recorded[r].seq);
        self.matched.pairs.push(pair);
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
            ..self.matched
        }
    }
}

/// The issued calls of one name that are not recorded as they are, by the digests of their inputs.
#[derive(Default)]
struct Evolving(Vec<(Reencode, BTreeMap<u128, Sides>)>);

impl Evolving {
    fn of(&mut self, reencode: Reencode) -> &mut BTreeMap<u128, Sides> {
        let is_same = |(other, _): &(Reencode, _)| std::ptr::fn_addr_eq(*other, reencode);
        let found = self.0.iter().position(is_same).unwrap_or_else(|| {
            self.0.push((reencode, BTreeMap::new()));
            self.0.len() - 1
        });
        &mut self.0[found].1
    }

    /// The calls whose input is the recorded one, read as today's type and written again.
    fn evolved(&mut self, recorded: &Payload) -> Option<&mut Sides> {
        self.0.iter_mut().find_map(|(reencode, groups)| {
            let evolved = reencode(recorded).ok()?;
            groups.get_mut(&digest(evolved.as_str()))
        })
    }
}

fn undoes(call: &Call) -> Option<EventSeq> {
    match &call.request {
        Some(Request::Task(task)) => task.undoes,
        _ => None,
    }
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
