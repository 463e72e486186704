//! Schedules: kept, changed, and fired by whoever is first.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::given::{
    at, before_gate, change_to, claim_ready, event, finish, hour, inbox, json, pending, record,
    request,
};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::store::{
    DueRequest, Filter, Fire, Fired, MessageKind, NewExecution, Placement, ScheduleChange,
    ScheduleRecord, Store, Unfinished,
};

fn schedule(id: &str, next_at: Option<Timestamp>) -> ScheduleRecord {
    ScheduleRecord {
        id: id.into(),
        workflow: "order".into(),
        input: json(r#"{"x":1}"#),
        spec: json(r#""0 12 * * *""#),
        is_paused: false,
        next_at,
        last_at: None,
        created_at: at(7),
    }
}

fn start(id: &str, schedule: &str, slot: Timestamp) -> (NewExecution, Event) {
    let placement = Placement {
        schedule: Some(schedule.into()),
        scheduled_at: Some(slot),
        ..Placement::default()
    };
    (pending(id, placement), event(1))
}

fn fire(schedule: &str, from: Timestamp, start: Vec<(NewExecution, Event)>) -> Fire {
    Fire {
        schedule: schedule.into(),
        advance: Some((from, Some(Timestamp::from_micros(from.as_micros() + 1)))),
        start,
        unfinished: Unfinished::Leave,
        now: from,
    }
}

fn done(started: &[&str]) -> Fired {
    Fired::Done {
        started: started.iter().map(|id| (*id).into()).collect(),
        skipped: false,
        cancelled: Vec::new(),
    }
}

async fn find(store: &Arc<dyn Store>, id: &str) -> ScheduleRecord {
    store.schedule(id).await.unwrap().unwrap()
}

async fn fire_one(store: &Arc<dyn Store>, fire: Fire) -> Fired {
    store.fire(vec![fire]).await.unwrap().pop().unwrap()
}

/// Every field comes back; a new definition leaves when it was created, fired last, and whether it is paused.
pub async fn a_schedule_is_kept(store: Arc<dyn Store>) {
    let first = ScheduleRecord {
        is_paused: true,
        last_at: Some(hour(1)),
        ..schedule("daily", Some(hour(2)))
    };
    store.put_schedule(first.clone()).await.unwrap();
    assert_eq!(find(&store, "daily").await, first);
    let other = ScheduleRecord {
        id: "daily".into(),
        workflow: "refund".into(),
        input: json("null"),
        spec: json(r#""@hourly""#),
        is_paused: false,
        next_at: None,
        last_at: Some(hour(9)),
        created_at: at(99),
    };
    store.put_schedule(other.clone()).await.unwrap();
    let wanted = ScheduleRecord {
        is_paused: first.is_paused,
        last_at: first.last_at,
        created_at: first.created_at,
        ..other
    };
    assert_eq!(store.schedules().await.unwrap(), [wanted]);
}

/// What is not named in a change stays; a name that is not there is told.
pub async fn a_schedule_can_be_changed_and_deleted(store: Arc<dyn Store>) {
    let given = schedule("daily", Some(hour(2)));
    store.put_schedule(given.clone()).await.unwrap();
    let pause = ScheduleChange {
        is_paused: Some(true),
        next_at: None,
    };
    assert!(store.change_schedule("daily", pause).await.unwrap());
    let wanted = ScheduleRecord {
        is_paused: true,
        ..given
    };
    assert_eq!(find(&store, "daily").await, wanted);
    for next_at in [Some(hour(3)), None] {
        let moved = ScheduleChange {
            is_paused: None,
            next_at: Some(next_at),
        };
        assert!(store.change_schedule("daily", moved).await.unwrap());
        let wanted = ScheduleRecord {
            next_at,
            ..wanted.clone()
        };
        assert_eq!(find(&store, "daily").await, wanted);
    }
    let nothing = ScheduleChange::default();
    assert!(!store.change_schedule("nightly", nothing).await.unwrap());
    assert!(!store.delete_schedule("nightly").await.unwrap());
    assert!(store.delete_schedule("daily").await.unwrap());
    assert_eq!(store.schedules().await.unwrap(), []);
}

/// They are listed by name, and each is found by its name.
pub async fn schedules_are_listed_by_name(store: Arc<dyn Store>) {
    assert_eq!(store.schedule("a").await.unwrap(), None);
    for id in ["c", "a", "b"] {
        store
            .put_schedule(schedule(id, Some(hour(2))))
            .await
            .unwrap();
    }
    assert_eq!(names(store.schedules().await.unwrap()), ["a", "b", "c"]);
    let b = store.schedule("b").await.unwrap();
    assert_eq!(b, Some(schedule("b", Some(hour(2)))));
    assert_eq!(store.schedule("B").await.unwrap(), None);
}

fn names(found: Vec<ScheduleRecord>) -> Vec<String> {
    found.into_iter().map(|it| it.id.to_string()).collect()
}

/// Those that have been due for longest come first, none that is paused or of another workflow, no more than are asked for;
/// the time of the next one is told.
pub async fn due_schedules_are_found(store: Arc<dyn Store>) {
    let due = async |workflow: &str, now: Timestamp, limit: usize| {
        let request = DueRequest {
            now,
            workflows: BTreeSet::from([workflow.into()]),
            limit,
        };
        let found = store.due_schedules(request).await.unwrap();
        (names(found.due).join(" "), found.next)
    };
    assert_eq!(due("order", hour(9), 9).await, (String::new(), None));
    for (id, next_at, is_paused) in [
        ("c", Some(hour(2)), false),
        ("a", Some(hour(3)), false),
        ("b", Some(hour(1)), true),
        ("d", None, false),
        ("e", Some(hour(9)), false),
    ] {
        let given = ScheduleRecord {
            is_paused,
            ..schedule(id, next_at)
        };
        store.put_schedule(given).await.unwrap();
    }
    let other = ScheduleRecord {
        workflow: "refund".into(),
        ..schedule("f", Some(hour(1)))
    };
    store.put_schedule(other).await.unwrap();
    for (now, limit, wanted, next) in [
        (hour(1), 9, "", Some(hour(2))),
        (hour(2), 9, "c", Some(hour(3))),
        (hour(3), 9, "c a", Some(hour(9))),
        (hour(3), 1, "c", Some(hour(3))),
        (hour(3), 0, "", Some(hour(2))),
        (hour(9), 3, "c a e", None),
    ] {
        assert_eq!(due("order", now, limit).await, (wanted.to_owned(), next));
    }
    // A store may return the time of another workflow's schedule as the next.
    assert_eq!(due("refund", hour(1), 9).await.0, "f");
}

/// Several fire in one transaction, one after another; one that comes to nothing does not affect the others.
pub async fn several_fire_together(store: Arc<dyn Store>) {
    for id in ["a", "b"] {
        store
            .put_schedule(schedule(id, Some(hour(1))))
            .await
            .unwrap();
    }
    let of = |schedule: &str, id: &str| fire(schedule, hour(1), vec![start(id, schedule, hour(1))]);
    let all = vec![of("a", "a1"), of("x", "x1"), of("b", "b1"), of("a", "a2")];
    let wanted = [done(&["a1"]), Fired::Stale, done(&["b1"]), Fired::Stale];
    assert_eq!(store.fire(all).await.unwrap(), wanted);
    let listed = store.executions(Filter::default()).await.unwrap();
    assert_eq!(super::given::ids(&listed), ["b1", "a1"]);
    assert_eq!(store.fire(Vec::new()).await.unwrap(), []);
}

/// What it starts waits for a worker, with its first event; the schedule has moved on and knows its last moment.
pub async fn a_fired_schedule_starts_executions(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    let given = schedule("daily", Some(hour(2)));
    store.put_schedule(given.clone()).await.unwrap();
    let both = vec![
        start("two", "daily", hour(2)),
        start("one", "daily", hour(1)),
    ];
    let fired = fire_one(&store, fire("daily", hour(2), both)).await;
    assert_eq!(fired, done(&["two", "one"]));
    let next_at = Some(Timestamp::from_micros(hour(2).as_micros() + 1));
    let wanted = ScheduleRecord {
        next_at,
        last_at: Some(hour(2)),
        ..given
    };
    assert_eq!(find(&store, "daily").await, wanted);
    let row = record(&store, "one").await;
    assert_eq!(row.placement.scheduled_at, Some(hour(1)));
    let history = super::given::history(&store, row.key).await;
    assert_eq!(history, [event(1)]);
    let listed = Filter {
        schedule: Some("daily".into()),
        ..Filter::default()
    };
    let listed = store.executions(listed).await.unwrap();
    assert_eq!(super::given::ids(&listed), ["one", "two"]);
    assert_eq!(
        claim_ready(&store, request(worker.id(), hour(3))).await,
        ["two", "one"]
    );
}

/// Of all who fire for one moment one does; one that is paused, gone or elsewhere by now is left alone.
pub async fn a_moment_is_fired_for_once(store: Arc<dyn Store>) {
    let stale = async |id: &str, from| {
        let outcome = fire_one(&store, fire(id, from, vec![start("x", id, from)])).await;
        assert_eq!(outcome, Fired::Stale);
        assert_eq!(store.execution(&"x".into()).await.unwrap(), None);
    };
    stale("daily", hour(1)).await;
    let given = schedule("daily", Some(hour(1)));
    store.put_schedule(given).await.unwrap();
    stale("daily", hour(2)).await;
    let tries = (0..8).map(|i| {
        let store = Arc::clone(&store);
        let started = vec![start(&format!("e{i}"), "daily", hour(1))];
        tokio::spawn(async move { fire_one(&store, fire("daily", hour(1), started)).await })
    });
    let fired = futures::future::join_all(tries).await;
    let fired = fired.into_iter().map(Result::unwrap);
    assert_eq!(fired.filter(|it| *it != Fired::Stale).count(), 1);
    assert_eq!(store.executions(Filter::default()).await.unwrap().len(), 1);
    let back = ScheduleChange {
        is_paused: Some(true),
        next_at: Some(Some(hour(3))),
    };
    store.change_schedule("daily", back).await.unwrap();
    stale("daily", hour(3)).await;
    store.delete_schedule("daily").await.unwrap();
    stale("daily", hour(3)).await;
}

/// By hand it starts without moving on, also while it is paused; what is there already is not started again, and does
/// not count as an earlier one.
pub async fn by_hand_it_starts_without_moving_on(store: Arc<dyn Store>) {
    let given = ScheduleRecord {
        is_paused: true,
        ..schedule("daily", Some(hour(5)))
    };
    store.put_schedule(given.clone()).await.unwrap();
    for unfinished in [Unfinished::Leave, Unfinished::Skip, Unfinished::Cancel] {
        let by_hand = || Fire {
            advance: None,
            unfinished,
            ..fire("daily", hour(1), vec![start("a", "daily", hour(1))])
        };
        let first = unfinished == Unfinished::Leave;
        let wanted = if first { done(&["a"]) } else { done(&[]) };
        assert_eq!(fire_one(&store, by_hand()).await, wanted);
        assert_eq!(fire_one(&store, by_hand()).await, done(&[]));
    }
    let key = record(&store, "a").await.key;
    assert_eq!(inbox(&store, key).await, [""; 0]);
    let wanted = ScheduleRecord {
        last_at: Some(hour(1)),
        ..given
    };
    assert_eq!(find(&store, "daily").await, wanted);
}

/// With an earlier one unfinished nothing is started, if that is wanted; the schedule moves on.
pub async fn an_unfinished_one_may_stop_the_next(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    store
        .put_schedule(schedule("daily", Some(hour(1))))
        .await
        .unwrap();
    let skip = |id: &str, moment: Timestamp| Fire {
        unfinished: Unfinished::Skip,
        ..fire("daily", moment, vec![start(id, "daily", moment)])
    };
    let after = |moment: Timestamp| Timestamp::from_micros(moment.as_micros() + 1);
    let fired = fire_one(&store, skip("a", hour(1))).await;
    assert_eq!(fired, done(&["a"]));
    let wanted = Fired::Done {
        started: Vec::new(),
        skipped: true,
        cancelled: Vec::new(),
    };
    let fired = fire_one(&store, skip("b", after(hour(1)))).await;
    assert_eq!(fired, wanted);
    let now = find(&store, "daily").await;
    assert_eq!(now.next_at, Some(after(after(hour(1)))));
    assert_eq!(now.last_at, Some(hour(1)));
    claim_ready(&store, request(worker.id(), hour(2))).await;
    finish(&store, "a").await;
    let fired = fire_one(&store, skip("c", after(after(hour(1))))).await;
    assert_eq!(fired, done(&["c"]));
}

/// Or it is sent a cancellation, which wakes it if it sleeps.
pub async fn an_unfinished_one_may_be_cancelled(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    store
        .put_schedule(schedule("daily", Some(hour(1))))
        .await
        .unwrap();
    let both = vec![start("a", "daily", hour(1)), start("b", "daily", hour(1))];
    fire_one(&store, fire("daily", hour(1), both)).await;
    claim_ready(&store, request(worker.id(), hour(2))).await;
    finish(&store, "b").await;
    let release = Some(crate::store::Release::default());
    let asleep = crate::store::Change {
        release,
        ..super::given::change(crate::execution::Status::Running)
    };
    change_to(&store, "a", asleep).await;
    let cancel = Fire {
        advance: None,
        unfinished: Unfinished::Cancel,
        ..fire("daily", hour(3), vec![start("c", "daily", hour(3))])
    };
    let wanted = Fired::Done {
        started: vec!["c".into()],
        skipped: false,
        cancelled: vec!["a".into()],
    };
    assert_eq!(fire_one(&store, cancel).await, wanted);
    let row = record(&store, "a").await;
    assert_eq!(row.ready_at, Some(hour(3)));
    let sent = store.inbox(row.key).await.unwrap();
    assert_eq!((sent.len(), sent[0].kind), (1, MessageKind::Cancel));
}

/// A start that a gate or a dedup key is in the way of is skipped, and the others are not.
pub async fn what_cannot_be_started_is_skipped(store: Arc<dyn Store>) {
    let given = schedule("daily", Some(hour(1)));
    store.put_schedule(given).await.unwrap();
    let mut all = Vec::new();
    for id in ["a", "b"] {
        let (mut new, event) = start(id, "daily", hour(1));
        new.placement.dedup = Some("k".into());
        all.push((new, event));
    }
    for id in ["c", "d"] {
        let (mut new, event) = start(id, "daily", hour(1));
        new.placement.gate = before_gate("g", 1).gate;
        new.placement.gate.as_mut().unwrap().refuses = true;
        all.push((new, event));
    }
    all.push(start("e", "daily", hour(1)));
    all.push(start("e", "daily", hour(1)));
    let wanted = Fired::Done {
        started: vec!["a".into(), "c".into(), "e".into()],
        skipped: true,
        cancelled: Vec::new(),
    };
    let fired = fire_one(&store, fire("daily", hour(1), all)).await;
    assert_eq!(fired, wanted);
}
