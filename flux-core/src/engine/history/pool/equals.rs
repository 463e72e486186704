//! Equal calls that no longer count, and which of them is meant by one of today.

use std::collections::{BTreeMap, BTreeSet};

use super::memo::{Cause, Memo};
use crate::event::Event;
use crate::id::EventSeq;
use crate::sites::{Moves, Site, tell_apart};

/// The calls of one kind, name and input.
#[derive(Debug, Default)]
pub(super) struct EqualCalls {
    calls: BTreeMap<EventSeq, PooledCall>,
    /// The calls of each delivery, in order.
    groups: BTreeMap<EventSeq, Vec<EventSeq>>,
    by_cause: BTreeMap<Cause, BTreeSet<EventSeq>>,
    /// Those with a result that can be taken.
    open: BTreeSet<EventSeq>,
    open_at: BTreeMap<Site, BTreeSet<EventSeq>>,
}

/// A call that no longer counts.
#[derive(Debug)]
pub(super) struct PooledCall {
    pub(super) event: Event,
    pub(super) site: Option<Site>,
    /// What the delivery came from that made it.
    pub(super) cause: Cause,
    /// Its result, if it had one that can be taken.
    pub(super) memo: Option<Memo>,
}

impl PooledCall {
    fn delivery(&self) -> EventSeq {
        self.event.refers.unwrap_or(EventSeq::FIRST)
    }
}

/// What is known of a delivery of today.
#[derive(Debug)]
pub(super) struct LiveDelivery<'a> {
    pub(super) cause: Cause,
    /// What deliveries have come from since the rewind.
    pub(super) past: &'a BTreeSet<Cause>,
    pub(super) moves: &'a mut Moves,
}

impl EqualCalls {
    /// Adds a call, after those of its delivery that were made before it.
    pub(super) fn add(&mut self, mut call: PooledCall) {
        let (seq, delivery) = (call.event.seq, call.delivery());
        let memo = call.memo.take();
        self.groups.entry(delivery).or_default().push(seq);
        self.by_cause
            .entry(call.cause)
            .or_default()
            .insert(delivery);
        self.calls.insert(seq, call);
        if let Some(memo) = memo {
            self.put(seq, memo);
        }
    }

    /// Forgets the deliveries of this one's cause that were followed by others and have no results left.
    pub(super) fn forget_spent(&mut self) {
        let (groups, open) = (&self.groups, &self.open);
        let mut spent = Vec::new();
        for deliveries in self.by_cause.values_mut() {
            let last = deliveries.last().copied();
            let is_spent =
                |delivery: &EventSeq| !groups[delivery].iter().any(|call| open.contains(call));
            spent.extend(
                deliveries.extract_if(.., |delivery| Some(*delivery) != last && is_spent(delivery)),
            );
        }
        for call in spent
            .iter()
            .filter_map(|delivery| self.groups.remove(delivery))
            .flatten()
        {
            self.calls.remove(&call);
        }
    }

    /// Gives a call the result that it has.
    pub(super) fn put(&mut self, call: EventSeq, memo: Memo) {
        let Some(pooled) = self.calls.get_mut(&call) else {
            return;
        };
        self.open.insert(call);
        if let Some(site) = &pooled.site {
            self.open_at.entry(site.clone()).or_default().insert(call);
        }
        pooled.memo = Some(memo);
    }

    /// Takes the result of a call.
    pub(super) fn take(&mut self, call: EventSeq) -> Option<Memo> {
        let pooled = self.calls.get_mut(&call)?;
        self.open.remove(&call);
        if let Some(open) = pooled
            .site
            .as_ref()
            .and_then(|site| self.open_at.get_mut(site))
        {
            open.remove(&call);
        }
        pooled.memo.take()
    }

    /// Takes away the results, each with its call, for which this holds.
    pub(super) fn forget_results(&mut self, is_forgotten: impl Fn(&Event, &Memo) -> bool) {
        let is_of = |call: &&EventSeq| {
            let pooled = &self.calls[*call];
            let memo = pooled.memo.as_ref();
            memo.is_some_and(|memo| is_forgotten(&pooled.event, memo))
        };
        let calls: Vec<EventSeq> = self.open.iter().filter(is_of).copied().collect();
        for call in calls {
            self.take(call);
        }
    }

    /// Which recorded call each of these calls of one delivery is. One of them where nothing tells them apart.
    pub(super) fn choose(
        &self,
        asked: &mut LiveDelivery<'_>,
        calls: &[(EventSeq, Site)],
    ) -> Result<Vec<(EventSeq, EventSeq)>, Event> {
        let same = self.same_delivery(asked.cause, calls.len());
        let chosen = match same.map(|group| self.told_apart(group, calls, asked.moves)) {
            Some(told_apart) => told_apart?,
            None => self.most_likely(asked, calls),
        };
        let calls = calls.iter().zip(chosen);
        let chosen = calls.filter_map(|((call, _), recorded)| Some((*call, recorded?)));
        Ok(chosen.collect())
    }

    /// The recorded delivery that this one is: the last that came from the same and made as many of them, if possible one with
    /// results.
    fn same_delivery(&self, cause: Cause, count: usize) -> Option<&[EventSeq]> {
        let deliveries = self
            .by_cause
            .get(&cause)
            .filter(|_| cause != Cause::Other)?;
        let groups = deliveries
            .iter()
            .map(|delivery| self.groups[delivery].as_slice());
        let made_as_many = groups.filter(|group| group.len() == count);
        let is_open = |group: &[EventSeq]| group.iter().any(|call| self.open.contains(call));
        made_as_many.max_by_key(|group| (is_open(group), group.first().copied()))
    }

    fn told_apart(
        &self,
        group: &[EventSeq],
        calls: &[(EventSeq, Site)],
        moves: &mut Moves,
    ) -> Result<Vec<Option<EventSeq>>, Event> {
        let recorded: Vec<Option<Site>> = group
            .iter()
            .map(|call| self.calls[call].site.clone())
            .collect();
        let today: Vec<Site> = calls.iter().map(|(_, site)| site.clone()).collect();
        let told =
            tell_apart(&recorded, &today).map_err(|_| self.calls[&group[0]].event.clone())?;
        moves.learn(&told);
        let assigned = told.assign(&recorded, &today, 0).to.into_iter();
        Ok(assigned.map(|index| Some(group[index?])).collect())
    }

    /// Where the code has taken another way: for each call the result of the site that it probably had, else another one. A
    /// success is taken rather than repeated.
    fn most_likely(
        &self,
        asked: &LiveDelivery<'_>,
        calls: &[(EventSeq, Site)],
    ) -> Vec<Option<EventSeq>> {
        let mut taken = BTreeSet::new();
        let mut chosen = Vec::new();
        for (_, site) in calls {
            let at_its_site = self.at_its_site(site, asked.moves, &taken);
            let call = at_its_site.or_else(|| self.of_those_left(asked, site, &taken));
            taken.extend(call);
            chosen.push(call);
        }
        chosen
    }

    fn at_its_site(
        &self,
        site: &Site,
        moves: &Moves,
        taken: &BTreeSet<EventSeq>,
    ) -> Option<EventSeq> {
        let unmoved = || moves.is_still().then(|| site.clone());
        let was = moves.recorded(site).or_else(unmoved)?;
        let open = self.open_at.get(&was)?;
        open.iter().find(|call| !taken.contains(call)).copied()
    }

    /// The first of those that are left, if possible one that stood between the same known sites.
    fn of_those_left(
        &self,
        asked: &LiveDelivery<'_>,
        site: &Site,
        taken: &BTreeSet<EventSeq>,
    ) -> Option<EventSeq> {
        let left = self.left(asked, taken);
        let may_be = |call: &&EventSeq| {
            let was = self.calls[*call].site.as_ref();
            was.is_some_and(|was| asked.moves.may_be(site, was))
        };
        left.iter().find(may_be).or(left.first()).copied()
    }

    /// The results that are left: those of the same cause, else those whose cause has come or may not come again, else all.
    fn left(&self, asked: &LiveDelivery<'_>, taken: &BTreeSet<EventSeq>) -> Vec<EventSeq> {
        let free = self.open.iter().filter(|call| !taken.contains(call));
        let of = |is_wanted: &dyn Fn(Cause) -> bool| -> Vec<EventSeq> {
            let is_wanted = |call: &&EventSeq| is_wanted(self.calls[*call].cause);
            free.clone().filter(is_wanted).copied().collect()
        };
        let is_over = |cause| cause == Cause::Other || asked.past.contains(&cause);
        let same = of(&|cause| cause == asked.cause);
        let over = if same.is_empty() { of(&is_over) } else { same };
        if over.is_empty() { of(&|_| true) } else { over }
    }
}
