//! A clock that is set back: lengths of time stay what they are.

use std::sync::Arc;
use std::time::Duration;

use super::given::{
    change, change_to, claim_ready, create, creation, enqueue, finish, hour, in_queue, pending,
    put_to_sleep, record, request,
};
use crate::clock::Timestamp;
use crate::id::Epoch;
use crate::status::Status;
use crate::store::{
    Change, Correction, LastSetBack, NewExecution, Placement, QueueChange, Rate, Release, SetBack,
    Store,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// An hour, noticed at two o'clock, a second after it happened.
fn an_hour() -> SetBack {
    SetBack {
        by: HOUR,
        at: hour(2),
        within: SECOND,
    }
}

fn delayed(due: Timestamp, is_delay: bool) -> Placement {
    Placement {
        due: Some(due),
        is_delay,
        ..Placement::default()
    }
}

/// It is ready as much earlier as the clock was set back; what has an owner, has finished, or is ready anyway is left alone.
pub async fn what_sleeps_keeps_the_length_of_its_wait(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    for (id, ready_at) in [
        ("soon", Some(hour(3).after(SECOND))),
        ("later", Some(hour(5))),
        ("ready", Some(hour(1))),
        ("between", Some(hour(2).after(SECOND))),
        ("never", None),
        ("finished", Some(hour(4))),
    ] {
        create(&store, id, owner.id()).await;
        put_to_sleep(&store, id, ready_at).await;
    }
    create(&store, "driven", owner.id()).await;
    finish(&store, "finished").await;
    store.clock_set_back(an_hour()).await.unwrap();
    let ready_at = async |id: &str| record(&store, id).await.ready_at;
    assert_eq!(ready_at("soon").await, Some(hour(2).after(SECOND)));
    assert_eq!(ready_at("later").await, Some(hour(4)));
    assert_eq!(ready_at("ready").await, Some(hour(1)));
    assert_eq!(ready_at("between").await, Some(hour(2)));
    for id in ["never", "finished", "driven"] {
        assert_eq!(ready_at(id).await, None, "{id}");
    }
    let now = request(owner.id(), hour(2).after(SECOND));
    assert_eq!(claim_ready(&store, now).await, ["ready", "between", "soon"]);
}

/// A start that was to wait for a length of time is due earlier; one that was to wait for a moment waits for it, and one
/// that was created after the clock was set back is right already.
pub async fn a_delay_keeps_its_length_and_a_moment_its_place(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    enqueue(&store, "delay", delayed(hour(3).after(SECOND), true)).await;
    enqueue(&store, "moment", delayed(hour(3).after(SECOND), false)).await;
    let new = NewExecution {
        created_at: hour(2),
        ..pending("new", delayed(hour(3).after(SECOND), true))
    };
    store.commit(creation(new)).await.unwrap();
    store.clock_set_back(an_hour()).await.unwrap();
    let shifted = record(&store, "delay").await;
    assert_eq!(shifted.ready_at, Some(hour(2).after(SECOND)));
    assert_eq!(shifted.placement.due, shifted.ready_at);
    assert!(shifted.placement.is_delay);
    for id in ["moment", "new"] {
        assert_eq!(
            record(&store, id).await.ready_at,
            Some(hour(3).after(SECOND))
        );
    }
    let early = store
        .claim_ready(request(worker.id(), hour(2)))
        .await
        .unwrap();
    assert_eq!((early.claimed, early.next), (vec![], shifted.ready_at));
    let now = request(worker.id(), hour(2).after(SECOND));
    assert_eq!(claim_ready(&store, now).await, ["delay"]);
    let then = request(worker.id(), hour(3).after(SECOND));
    assert_eq!(claim_ready(&store, then).await, ["moment", "new"]);
}

/// Each process notices it for itself, some a little later; a second time counts again.
pub async fn what_several_notice_counts_once(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    create(&store, "a", owner.id()).await;
    put_to_sleep(&store, "a", Some(hour(9))).await;
    let later = |seconds: u64, within: u64| SetBack {
        at: hour(2).after(SECOND * u32::try_from(seconds).unwrap()),
        within: Duration::from_secs(within),
        ..an_hour()
    };
    for step in [an_hour(), later(1, 1), later(600, 900)] {
        store.clock_set_back(step).await.unwrap();
        assert_eq!(
            record(&store, "a").await.ready_at,
            Some(hour(8)),
            "{step:?}"
        );
    }
    store.clock_set_back(later(1_200, 1)).await.unwrap();
    assert_eq!(record(&store, "a").await.ready_at, Some(hour(7)));
}

async fn sleep_since(store: &Arc<dyn Store>, id: &str, since: Timestamp, length: Duration) {
    let release = Some(Release {
        ready_at: Some(since.after(length)),
        reckoned_at: Some(since),
        ..Release::default()
    });
    let asleep = Change {
        release,
        ..change(Status::Running)
    };
    change_to(store, id, asleep).await;
}

/// All who saw it have died: those who were put to sleep at a time that is to come tell of it.
pub async fn a_step_that_nobody_told_of_is_found(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    assert_eq!(store.compare_clock(hour(1)).await.unwrap(), None);
    for (id, since, length) in [("long", hour(1), HOUR * 4), ("short", hour(3), SECOND * 10)] {
        create(&store, id, owner.id()).await;
        sleep_since(&store, id, since, length).await;
    }
    for (id, created_at) in [("old", hour(1)), ("young", hour(3))] {
        let new = NewExecution {
            created_at,
            ..pending(id, delayed(created_at.after(HOUR * 8), true))
        };
        store.commit(creation(new)).await.unwrap();
    }
    let ready_at = async |id: &str| record(&store, id).await.ready_at.unwrap();
    for now in [hour(4), hour(3), hour(3).before(SECOND)] {
        assert_eq!(store.compare_clock(now).await.unwrap(), None);
        assert_eq!(ready_at("short").await, hour(3).after(SECOND * 10));
    }

    let guess = store.compare_clock(hour(2)).await.unwrap();
    let LastSetBack { step, is_guess } = guess.unwrap();
    assert_eq!((step.by, step.at, is_guess), (HOUR, hour(2), true));
    assert_eq!(ready_at("short").await, hour(2).after(SECOND * 10));
    assert_eq!(ready_at("long").await, hour(4));
    assert_eq!(ready_at("young").await, hour(10));
    assert_eq!(
        ready_at("old").await,
        hour(9),
        "it may have been created since"
    );

    assert_eq!(store.compare_clock(hour(2)).await.unwrap(), guess);
    assert_eq!(ready_at("long").await, hour(4));
    // One that saw it lives after all, and knows better.
    let seen = SetBack {
        by: HOUR + SECOND * 600,
        ..an_hour()
    };
    for _ in 0..2 {
        store.clock_set_back(seen).await.unwrap();
        assert_eq!(ready_at("long").await, hour(4).before(SECOND * 600));
    }
}

/// What was told counts once, also for those who compare.
pub async fn a_step_that_was_told_is_not_found_again(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    create(&store, "a", owner.id()).await;
    sleep_since(&store, "a", hour(3), HOUR * 4).await;
    store.clock_set_back(an_hour()).await.unwrap();
    let now = hour(2).after(SECOND);
    let told = async |now| {
        let last = store.compare_clock(now).await.unwrap().unwrap();
        assert_eq!((last.step.at, last.is_guess), (hour(2), false));
    };
    told(now).await;
    // An owner that has reckoned before writes only now.
    create(&store, "b", owner.id()).await;
    sleep_since(&store, "b", hour(3), HOUR).await;
    told(now).await;
    assert_eq!(record(&store, "a").await.ready_at, Some(hour(6)));
    told(now.after(HOUR)).await;
}

/// It is woken when it is to be woken, unless it has been taken up since, or is ready at another time anyway.
pub async fn a_time_that_was_reckoned_wrongly_is_corrected(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let key = create(&store, "a", owner.id()).await;
    let correction = Correction {
        wrong: hour(4),
        right: hour(3),
        now: hour(2),
    };
    let correct = async |epoch| {
        store
            .correct_ready_at(key, epoch, correction)
            .await
            .unwrap();
        record(&store, "a").await.ready_at
    };
    assert_eq!(correct(Epoch(1)).await, None, "it is driven");
    sleep_since(&store, "a", hour(3), HOUR).await;
    assert_eq!(correct(Epoch(2)).await, Some(hour(4)), "another drove it");
    assert_eq!(correct(Epoch(1)).await, Some(hour(3)));
    assert_eq!(correct(Epoch(1)).await, Some(hour(3)));
    assert_eq!(store.compare_clock(hour(2)).await.unwrap(), None);
    let now = request(owner.id(), hour(3));
    assert_eq!(claim_ready(&store, now).await, ["a"]);
    assert_eq!(correct(Epoch(2)).await, None);
}

/// It waits for no time that is to come: it was created before the clock was set back.
pub async fn what_waits_for_its_turn_starts_by_the_present_clock(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    let new = NewExecution {
        created_at: hour(3),
        ..pending("a", in_queue("mail"))
    };
    store.commit(creation(new)).await.unwrap();
    let ask = async || claim_ready(&store, request(worker.id(), hour(2))).await;
    let pause = |is_paused| QueueChange {
        is_paused: Some(is_paused),
        ..QueueChange::default()
    };
    store.set_queue("mail", pause(true)).await.unwrap();
    assert_eq!(ask().await, [""; 0]);
    let key = record(&store, "a").await.key;
    assert!(store.barrier(key, hour(2)).await.unwrap().is_some());
    store.set_queue("mail", pause(false)).await.unwrap();
    assert_eq!(ask().await, ["a"]);
}

/// A rate lets as many start as if nothing had started yet, and counts from there.
pub async fn starts_that_lie_in_the_future_count_in_no_window(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    let rate = QueueChange {
        rate: Some(Some(Rate {
            count: 2,
            per: HOUR,
        })),
        ..QueueChange::default()
    };
    store.set_queue("mail", rate).await.unwrap();
    for n in 0..7 {
        enqueue(&store, &format!("m{n}"), in_queue("mail")).await;
    }
    let ask = async |now| claim_ready(&store, request(worker.id(), now)).await;
    assert_eq!(ask(hour(5)).await, ["m0", "m1"]);
    assert_eq!(ask(hour(5)).await, [""; 0]);
    // Set back by three hours.
    assert_eq!(ask(hour(2)).await, ["m2", "m3"]);
    assert_eq!(ask(hour(2).after(SECOND)).await, [""; 0]);
    assert_eq!(ask(hour(3).after(SECOND * 9)).await, ["m4", "m5"]);
    assert_eq!(ask(hour(3).after(SECOND * 10)).await, [""; 0]);
}
