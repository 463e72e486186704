//! Values that are recorded the moment they are asked for, and given to the code again.
//!
//! Which of several equal values is meant (`uuid` in two branches) follows from the sites of *all* that the code asks for
//! in a delivery, and code in a replay wants the first before it asks for the second. So each is guessed, in the order in
//! which they were recorded or by what is known of how the source has moved, and when the delivery is over it is seen
//! whether [the sites](super) say so, too. If they do not, the replay begins again and knows better.

use std::collections::{BTreeMap, VecDeque};
use std::panic::Location;
use std::sync::Arc;

use super::{Moves, Site, Told, site_of, tell_apart};
use crate::event::{Event, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;

/// The values of one kind and name in a delivery.
type ValueKey = (EventKind, Arc<str>);

/// What earlier tries of a replay have taught it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tries {
    /// Which order is tried for what only the order tells apart.
    pub(crate) choice: usize,
    /// How many tries have found a wrong guess.
    pub(crate) misjudged: usize,
    /// How the values of a delivery are told apart.
    told: BTreeMap<(EventSeq, ValueKey), Told>,
    /// How the source has moved, as far as that is known.
    pub(crate) moves: Moves,
    /// Whether `moves` is to be learnt from every call, and not only from those that have equals.
    pub(crate) learns: bool,
}

impl Tries {
    /// Whether it tries the same order as another, of what only the order tells apart.
    pub(crate) fn tries_the_order_of(&self, other: &Self) -> bool {
        self.choice == other.choice
    }

    /// By how much the calls and values of one site are rotated. The first two tries rotate nothing.
    pub(crate) fn rotation(&self) -> usize {
        self.choice.saturating_sub(1)
    }
}

/// The values recorded in the delivery that is replayed.
#[derive(Debug, Default)]
pub(crate) struct RecordedValues {
    groups: BTreeMap<ValueKey, EqualValues>,
}

/// How what was given to the code turned out.
#[derive(Debug)]
pub(crate) enum Verdict {
    Right,
    /// The code was given one that was meant for another site. The next try knows better.
    Wrong(Event),
    /// Nothing tells which value is which; one of them.
    Undecided(Event),
}

impl RecordedValues {
    /// Forgets those of the delivery before.
    pub(crate) fn clear(&mut self) {
        self.groups.clear();
    }

    /// Adds a value, in the order in which they were recorded.
    pub(crate) fn push(&mut self, event: Event) {
        let name = event.name.clone().unwrap_or_else(|| "".into());
        let group = self.groups.entry((event.kind, name)).or_default();
        group.events.push(event);
    }

    /// Gives the next value of this kind and name, and says whether there was another that it could have been.
    pub(crate) fn take(
        &mut self,
        kind: EventKind,
        name: &Arc<str>,
        site: &'static Location<'static>,
        delivery: EventSeq,
        tries: &Tries,
    ) -> Option<(Payload, bool)> {
        let group = (kind, Arc::clone(name));
        let equals = self.groups.get_mut(&group)?;
        if let [only] = equals.events.as_slice() {
            let is_given = !equals.is_given.is_empty();
            equals.is_given = vec![true];
            let payload = only.payload.clone().filter(|_| !is_given)?;
            return Some((payload, false));
        }
        let is_ambiguous = equals.given.len() + 1 < equals.events.len();
        let guess = Guess {
            told: tries.told.get(&(delivery, group)),
            tries,
        };
        let index = equals.take(&Site::today(site), &guess)?;
        let payload = equals.events[index].payload.clone()?;
        Some((payload, is_ambiguous))
    }

    /// Takes the value of this kind, whatever its name.
    pub(crate) fn take_any(&mut self, kind: EventKind) -> bool {
        let group = self.groups.keys().find(|(found, _)| *found == kind);
        let group = group.cloned();
        group.is_some_and(|group| self.groups.remove(&group).is_some())
    }

    /// The values that the code has not asked for. It may do without a patch.
    pub(crate) fn unasked(&self) -> impl Iterator<Item = &Event> {
        let groups = self.groups.iter();
        let groups = groups.filter(|((kind, _), _)| *kind != EventKind::Patched);
        groups.flat_map(|(_, equals)| equals.open())
    }

    /// Compares what the code was given with what the sites say, now that all of them are known.
    pub(crate) fn judge(&self, delivery: EventSeq, tries: &mut Tries) -> Verdict {
        let mut verdict = Verdict::Right;
        for (group, equals) in self.groups.iter().filter(|(_, one)| one.needs_telling()) {
            let Ok(told) = tell_apart(&equals.sites, &equals.today()) else {
                return Verdict::Undecided(equals.events[0].clone());
            };
            tries.moves.learn(&told);
            if !equals.was_given(&told) {
                tries.told.insert((delivery, group.clone()), told);
                verdict = Verdict::Wrong(equals.events[0].clone());
            }
        }
        verdict
    }
}

/// Values that are equal in kind and name.
#[derive(Debug, Default)]
struct EqualValues {
    events: Vec<Event>,
    /// Where each was asked for; read when the first is, if there are several.
    sites: Vec<Option<Site>>,
    /// Those that were not given yet, by site.
    open: BTreeMap<Option<Site>, VecDeque<usize>>,
    is_given: Vec<bool>,
    /// No earlier one is open.
    first_open: usize,
    /// Where the code asked, and which it was given.
    given: Vec<(Site, usize)>,
}

/// What the next value may be known by.
struct Guess<'a> {
    told: Option<&'a Told>,
    tries: &'a Tries,
}

impl Guess<'_> {
    /// Where the value was recorded that is wanted here, if anything is known of that.
    fn site(&self, today: &Site) -> Option<Site> {
        match self.told {
            Some(Told::BySite(sites)) => sites.get(today).cloned(),
            Some(Told::ByOrder) => None,
            None if self.tries.choice > 0 => Some(today.clone()),
            None => self.tries.moves.recorded(today),
        }
    }
}

impl EqualValues {
    fn take(&mut self, today: &Site, guess: &Guess<'_>) -> Option<usize> {
        self.read_sites();
        let rotation = guess.tries.rotation();
        let at_its_site = guess.site(today).and_then(|site| {
            let open = self.open.get_mut(&Some(site))?;
            open.remove(rotation.checked_rem(open.len())?)
        });
        let index = at_its_site.or_else(|| self.take_first())?;
        self.is_given[index] = true;
        self.given.push((today.clone(), index));
        Some(index)
    }

    /// Takes the first that is open, wherever it was asked for.
    fn take_first(&mut self) -> Option<usize> {
        let mut ahead = self.is_given.get(self.first_open..)?.iter();
        let index = self.first_open + ahead.position(|given| !given)?;
        self.first_open = index;
        let open = self.open.get_mut(&self.sites[index])?;
        match open.front() {
            Some(first) if *first == index => drop(open.pop_front()),
            _ => open.retain(|other| *other != index),
        }
        Some(index)
    }

    fn read_sites(&mut self) {
        if !self.sites.is_empty() {
            return;
        }
        self.sites = self.events.iter().map(site_of).collect();
        self.is_given = vec![false; self.events.len()];
        for (index, site) in self.sites.iter().enumerate() {
            self.open.entry(site.clone()).or_default().push_back(index);
        }
    }

    fn open(&self) -> impl Iterator<Item = &Event> {
        let is_given = |index: usize| self.is_given.get(index).copied().unwrap_or_default();
        let events = self.events.iter().enumerate();
        events
            .filter(move |(index, _)| !is_given(*index))
            .map(|(_, event)| event)
    }

    /// Whether there are several, all of them were asked for, and it matters which is which.
    fn needs_telling(&self) -> bool {
        let [first, rest @ ..] = self.events.as_slice() else {
            return false;
        };
        self.given.len() == self.events.len()
            && rest.iter().any(|event| event.payload != first.payload)
    }

    fn today(&self) -> Vec<Site> {
        self.given.iter().map(|(site, _)| site.clone()).collect()
    }

    /// Whether the code was given what this says. Among those of one site another order may be tried.
    fn was_given(&self, told: &Told) -> bool {
        let mut given = self.given.iter().enumerate();
        match told {
            Told::BySite(sites) => given.all(|(_, (today, index))| {
                let was = self.sites[*index].as_ref();
                was.is_some_and(|was| sites.get(today) == Some(was))
            }),
            Told::ByOrder => given.all(|(order, (_, index))| order == *index),
        }
    }
}
