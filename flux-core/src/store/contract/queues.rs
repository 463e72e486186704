//! Queues: their limits hold for everybody, whoever asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::given::{
    change, change_to, claim_ready, enqueue, finish, hour, in_queue, put_to_sleep, record, request,
};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::status::Status;
use crate::store::{
    Placement, QueueChange, QueueRecord, QueueSettings, Rate, Release, Store, WorkRequest,
};

const MINUTES: i64 = 60_000_000;

async fn fill(store: &Arc<dyn Store>, queue: &str, count: usize) {
    for i in 0..count {
        enqueue(store, &format!("{queue}{i}"), in_queue(queue)).await;
    }
}

async fn set(store: &Arc<dyn Store>, queue: &str, change: QueueChange) -> QueueSettings {
    store.set_queue(queue, change).await.unwrap()
}

fn concurrency(limit: u32) -> QueueChange {
    QueueChange {
        concurrency: Some(Some(limit)),
        ..QueueChange::default()
    }
}

/// What is not named in a change stays; a limit can be taken away.
pub async fn limits_are_kept(store: Arc<dyn Store>) {
    assert_eq!(store.queue("mail").await.unwrap(), QueueSettings::default());
    let rate = Rate {
        count: 7,
        per: Duration::from_millis(1500),
    };
    let all = QueueChange {
        concurrency: Some(Some(3)),
        per_worker: Some(Some(2)),
        rate: Some(Some(rate)),
        partition_by: Some(Some("order.tenant".into())),
        is_paused: Some(true),
    };
    let wanted = QueueSettings {
        concurrency: Some(3),
        per_worker: Some(2),
        rate: Some(rate),
        partition_by: Some("order.tenant".into()),
        is_paused: true,
    };
    assert_eq!(set(&store, "mail", all).await, wanted);
    assert_eq!(set(&store, "mail", QueueChange::default()).await, wanted);
    assert_eq!(store.queue("mail").await.unwrap(), wanted);
    let less = QueueChange {
        rate: Some(None),
        is_paused: Some(false),
        ..concurrency(9)
    };
    let wanted = QueueSettings {
        concurrency: Some(9),
        rate: None,
        is_paused: false,
        ..wanted
    };
    assert_eq!(set(&store, "mail", less).await, wanted);
    assert_eq!(store.queue("mail").await.unwrap(), wanted);
    assert_eq!(store.queue("post").await.unwrap(), QueueSettings::default());
}

/// With limits or with executions that have not finished; by name, with their counts.
pub async fn queues_are_listed(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    assert_eq!(store.queues().await.unwrap(), []);
    fill(&store, "mail", 4).await;
    fill(&store, "a", 1).await;
    set(&store, "limited", concurrency(1)).await;
    let asked = WorkRequest {
        queues: Some(["mail".into()].into()),
        limit: 3,
        ..request(worker.id(), hour(1))
    };
    claim_ready(&store, asked).await;
    finish(&store, "mail0").await;
    let paused = crate::store::Change {
        release: Some(Release::default()),
        ..change(Status::Paused)
    };
    change_to(&store, "mail1", paused).await;
    let queue = |name: &str, pending, running, concurrency| QueueRecord {
        name: name.into(),
        settings: QueueSettings {
            concurrency,
            ..QueueSettings::default()
        },
        pending,
        running,
    };
    let wanted = [
        queue("a", 1, 0, None),
        queue("limited", 0, 0, Some(1)),
        queue("mail", 1, 2, None),
    ];
    assert_eq!(store.queues().await.unwrap(), wanted);
    claim_ready(&store, request(worker.id(), hour(1))).await;
    for id in ["a0", "mail1", "mail2", "mail3"] {
        finish(&store, id).await;
    }
    let no_limit = QueueChange {
        concurrency: Some(None),
        ..QueueChange::default()
    };
    set(&store, "limited", no_limit).await;
    assert_eq!(store.queues().await.unwrap(), []);
}

/// So many may have started and not finished: paused and sleeping ones count, and a changed limit holds at once.
pub async fn no_more_run_than_the_limit(store: Arc<dyn Store>) {
    let (one, two) = (store.join().await.unwrap(), store.join().await.unwrap());
    fill(&store, "mail", 6).await;
    set(&store, "mail", concurrency(2)).await;
    let ask = async |worker| claim_ready(&store, request(worker, hour(1))).await;
    assert_eq!(ask(one.id()).await, ["mail0", "mail1"]);
    assert_eq!(ask(two.id()).await, [""; 0]);
    put_to_sleep(&store, "mail0", None).await;
    let paused = crate::store::Change {
        release: Some(Release::default()),
        ..change(Status::Paused)
    };
    change_to(&store, "mail1", paused).await;
    assert_eq!(ask(two.id()).await, [""; 0]);
    finish(&store, "mail1").await;
    assert_eq!(ask(two.id()).await, ["mail2"]);
    set(&store, "mail", concurrency(3)).await;
    assert_eq!(ask(one.id()).await, ["mail3"]);
    set(&store, "mail", concurrency(1)).await;
    finish(&store, "mail2").await;
    finish(&store, "mail3").await;
    assert_eq!(ask(one.id()).await, [""; 0]);
    finish(&store, "mail0").await;
    assert_eq!(ask(one.id()).await, ["mail4"]);
}

/// A worker that read its clock, and was then kept waiting while another started something, starts the next one later
/// than that.
pub async fn starts_have_times_in_the_order_in_which_they_were_decided(store: Arc<dyn Store>) {
    let (slow, fast) = (store.join().await.unwrap(), store.join().await.unwrap());
    fill(&store, "mail", 2).await;
    let one_for = |worker| WorkRequest {
        now: SystemClock.read(),
        limit: 1,
        ..request(worker, hour(1))
    };
    let kept_waiting = one_for(slow.id());
    assert_eq!(claim_ready(&store, one_for(fast.id())).await, ["mail0"]);
    assert_eq!(claim_ready(&store, kept_waiting).await, ["mail1"]);
    let (first, second) = (record(&store, "mail0").await, record(&store, "mail1").await);
    assert!(first.started_at <= second.started_at);
}

/// What a worker says it drives counts, and what it is given in the same request.
pub async fn one_worker_gets_no_more_than_its_share(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    fill(&store, "mail", 6).await;
    fill(&store, "post", 1).await;
    let three = QueueChange {
        per_worker: Some(Some(3)),
        ..QueueChange::default()
    };
    set(&store, "mail", three).await;
    let driving = |count| WorkRequest {
        driving: BTreeMap::from([("mail".into(), count), ("post".into(), 9)]),
        ..request(worker.id(), hour(1))
    };
    assert_eq!(claim_ready(&store, driving(2)).await, ["mail0", "post0"]);
    assert_eq!(claim_ready(&store, driving(3)).await, [""; 0]);
    assert_eq!(
        claim_ready(&store, driving(0)).await,
        ["mail1", "mail2", "mail3"]
    );
}

/// A paused queue starts nothing, and what has started in it is woken all the same.
pub async fn a_paused_queue_starts_nothing(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    fill(&store, "mail", 2).await;
    let one = WorkRequest {
        limit: 1,
        ..request(worker.id(), hour(1))
    };
    assert_eq!(claim_ready(&store, one).await, ["mail0"]);
    put_to_sleep(&store, "mail0", Some(hour(2))).await;
    let pause = |is_paused| QueueChange {
        is_paused: Some(is_paused),
        ..QueueChange::default()
    };
    set(&store, "mail", pause(true)).await;
    let asked = request(worker.id(), hour(3));
    assert_eq!(claim_ready(&store, asked.clone()).await, ["mail0"]);
    set(&store, "mail", pause(false)).await;
    assert_eq!(claim_ready(&store, asked).await, ["mail1"]);
}

/// In no span of the rate's length start more than it says, wherever the span begins; and the store says when the
/// next may.
pub async fn no_span_has_more_starts_than_the_rate(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    fill(&store, "mail", 40).await;
    let rate = Rate {
        count: 3,
        per: Duration::from_mins(10),
    };
    let change = QueueChange {
        rate: Some(Some(rate)),
        ..QueueChange::default()
    };
    set(&store, "mail", change).await;
    let mut starts: Vec<Timestamp> = Vec::new();
    let mut now = hour(1);
    let mut minutes = [4, 0, 3, 4, 0, 5, 9, 12, 1, 1, 1, 7, 25, 3]
        .into_iter()
        .cycle();
    for step in 0..90 {
        let limit = 1 + step % 4;
        let asked = WorkRequest {
            limit,
            ..request(worker.id(), now)
        };
        let work = store.claim_ready(asked).await.unwrap();
        let is_held_back = work.claimed.len() < limit && starts.len() + work.claimed.len() < 40;
        starts.extend(work.claimed.iter().filter_map(|record| record.started_at));
        if is_held_back {
            let third_last = starts[starts.len() - 3];
            assert_eq!(work.next, Some(third_last.after(rate.per)));
        }
        now = Timestamp::from_micros(now.as_micros() + minutes.next().unwrap() * MINUTES);
    }
    assert_eq!(starts.len(), 40, "held back for good");
    for four in starts.windows(4) {
        assert!(four[3].since(four[0]) >= rate.per, "{four:?}");
    }
}

/// When the next may start is said also where nothing may start now, and not where nothing waits.
pub async fn the_rate_says_when_the_next_may_start(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    let rate = Rate {
        count: 1,
        per: Duration::from_mins(30),
    };
    let change = QueueChange {
        rate: Some(Some(rate)),
        ..QueueChange::default()
    };
    set(&store, "mail", change).await;
    fill(&store, "mail", 2).await;
    let ask = async || {
        store
            .claim_ready(request(worker.id(), hour(1)))
            .await
            .unwrap()
    };
    let first = ask().await;
    let began = first.claimed[0].started_at.unwrap();
    assert_eq!(first.claimed.len(), 1);
    assert_eq!(first.next, Some(began.after(rate.per)));
    let none = ask().await;
    assert_eq!((none.claimed.len(), none.next), (0, first.next));
    let asked = request(worker.id(), hour(2));
    let last = store.claim_ready(asked).await.unwrap();
    assert_eq!((last.claimed.len(), last.next), (1, None));
}

/// A start that another's end made possible is later than that end.
pub async fn a_start_is_later_than_the_end_it_waited_for(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    fill(&store, "mail", 2).await;
    set(&store, "mail", concurrency(1)).await;
    let now = hour(1);
    assert_eq!(
        claim_ready(&store, request(worker.id(), now)).await,
        ["mail0"]
    );
    // Asked before the end, decided after it.
    let second = store.claim_ready(request(worker.id(), now));
    let passed = Duration::from_millis(3);
    tokio::time::sleep(passed).await;
    finish(&store, "mail0").await;
    let second = second.await.unwrap();
    let started_at = second.claimed[0].started_at.unwrap();
    assert!(started_at >= now.after(passed), "{started_at}");
}

/// Also a queue that nobody has set anything for can be partitioned by those who fill it.
pub async fn a_queue_needs_no_settings(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    let placement = Placement {
        partition: Some("x".into()),
        ..in_queue("mail")
    };
    enqueue(&store, "a", placement).await;
    assert_eq!(
        claim_ready(&store, request(worker.id(), hour(1))).await,
        ["a"]
    );
    assert_eq!(store.queue("mail").await.unwrap(), QueueSettings::default());
    finish(&store, "a").await;
    assert_eq!(store.queues().await.unwrap(), []);
    assert_eq!(record(&store, "a").await.status, Status::Completed);
}
