//! An arrival that is recorded before the code is polled with it, and everything that may stop the code meanwhile.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flux::store::{MessageKind, NewMessage, Transaction};
use flux::{
    ChildPolicy, Engine, EventKind, ExecutionContext, ExecutionId, Payload, Status, TaskCall,
    TaskError, task, workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, begin, code_of, lines, ran, set_code, unique};

/// What is recorded before the code is polled with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Open {
    Committed,
    RolledBack,
    ContinuedAsNew,
    /// Another attempt of the workflow, from its input.
    Restarted,
    /// Another attempt after what was done was undone.
    BegunAnew,
}

const OPENS: [Open; 5] = [
    Open::Committed,
    Open::RolledBack,
    Open::ContinuedAsNew,
    Open::Restarted,
    Open::BegunAnew,
];

/// What stops the code.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stopper {
    Nothing,
    Deadline,
    Cancel,
    /// It was noted before, and the time to clean up is over.
    CancelWindow,
    Terminate,
    /// Where no process has its code.
    TerminateWithoutCode,
}

const STOPPERS: [Stopper; 6] = [
    Stopper::Nothing,
    Stopper::Deadline,
    Stopper::Cancel,
    Stopper::CancelWindow,
    Stopper::Terminate,
    Stopper::TerminateWithoutCode,
];

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    open: Open,
    /// It waits to be told of a cancellation before it gets to the open arrival.
    is_told: bool,
    /// Its rollbacks run if it comes to no good end.
    undoes: bool,
    /// It ends in the delivery of the open arrival.
    returns: bool,
    life: u32,
}

#[task(rollback = give_back)]
async fn take() -> u32 {
    begin();
    1
}

#[task]
async fn give_back(_taken: Option<u32>) {
    begin();
}

#[task]
async fn go_further() -> u32 {
    begin();
    2
}

fn statements(ok: bool) -> TaskCall<u32> {
    let outcome = if ok {
        Ok(Payload::from_json("7"))
    } else {
        Err(Transaction::refusal("on purpose"))
    };
    flux_core::transaction_call("statements", Arc::new(move |_| outcome.clone()))
}

/// Up to the open arrival and no further before the "crash"; afterwards with another call.
async fn visit(ctx: ExecutionContext<Plan>) -> Result<u32, TaskError> {
    let plan = ctx.input().clone();
    if plan.life == 1 && ctx.attempt() == 1 {
        if plan.undoes {
            take().await?;
        }
        if plan.is_told {
            flux::cancelled().await;
        }
        match plan.open {
            Open::Committed => assert_eq!(statements(true).await?, 7),
            Open::RolledBack => drop(statements(false).await.unwrap_err()),
            Open::ContinuedAsNew => match ctx.continue_as_new(Plan { life: 2, ..plan }).await {},
            Open::Restarted => return Err(failed()),
            Open::BegunAnew => {
                flux::roll_back().await?;
                return Err(failed());
            }
        }
    }
    if code_of(ctx.execution_id()) == 0 {
        std::future::pending::<()>().await;
    }
    if plan.returns {
        flux::publish("last", &plan.life);
        return Ok(2);
    }
    go_further().await
}

fn failed() -> TaskError {
    TaskError::unrecorded(flux_core::TaskFailure {
        task: "visit".into(),
        kind: flux::TaskErrorKind::Failed,
        attempts: 1,
        error: flux_core::ErrorRecord::message("on purpose"),
        undone: Vec::new(),
    })
}

#[workflow(deadline = "10s")]
async fn visit_once(ctx: ExecutionContext<Plan>) -> Result<u32, TaskError> {
    visit(ctx).await
}

#[workflow(deadline = "10s", max_attempts = 2)]
async fn visit_twice(ctx: ExecutionContext<Plan>) -> Result<u32, TaskError> {
    visit(ctx).await
}

#[workflow(deadline = "10s", max_attempts = 2, retry = "restart")]
async fn visit_from_the_start(ctx: ExecutionContext<Plan>) -> Result<u32, TaskError> {
    visit(ctx).await
}

/// A case of the table: an execution whose last event is an open arrival.
struct Case {
    plan: Plan,
    stopper: Stopper,
    shelf: Shelf,
    id: ExecutionId,
}

impl Case {
    /// Nothing where code that is to be cancelled does not get there.
    fn new(open: Open, stopper: Stopper, undoes: bool, always_replay: bool) -> Option<Self> {
        Self::of(open, stopper, undoes, false, always_replay)
    }

    fn of(
        open: Open,
        stopper: Stopper,
        undoes: bool,
        returns: bool,
        always_replay: bool,
    ) -> Option<Self> {
        let is_told = stopper == Stopper::CancelWindow;
        if is_told && !matches!(open, Open::Committed | Open::RolledBack) {
            return None;
        }
        let shelf = Shelf::memory();
        Some(Self {
            plan: Plan {
                open,
                is_told,
                undoes: undoes || open == Open::BegunAnew,
                returns,
                life: 1,
            },
            stopper,
            shelf: if always_replay {
                shelf.always_replay()
            } else {
                shelf
            },
            id: unique("open"),
        })
    }

    async fn engine(&self) -> Engine {
        let builder = self.shelf.builder();
        let builder = builder.cancel_window(Duration::from_secs(2));
        builder.build().await.unwrap()
    }

    fn workflow(&self, engine: &Engine) -> flux::OnEngine<Plan, u32> {
        let workflow = match self.plan.open {
            Open::Restarted => visit_from_the_start,
            Open::BegunAnew => visit_twice,
            _ => visit_once,
        };
        workflow.on(engine)
    }

    /// Runs it until the open arrival is recorded, and lets its process die.
    async fn crash(&self) {
        let engine = self.engine().await;
        let run = self.workflow(&engine).run(self.plan.clone());
        tokio::select! {
            ended = run.execution_id(&self.id) => panic!("{ended:?}"),
            () = self.until_open(&engine) => {}
        }
        drop(engine);
        self.shelf.nobody_is_left().await;
    }

    async fn until_open(&self, engine: &Engine) {
        let open = match self.plan.open {
            Open::Committed => EventKind::TaskCompleted,
            Open::RolledBack => EventKind::TaskFailed,
            Open::ContinuedAsNew => EventKind::ContinuedAsNew,
            Open::Restarted | Open::BegunAnew => EventKind::Rewound,
        };
        let calls = match self.plan.open {
            Open::Committed | Open::RolledBack => usize::from(self.plan.undoes) + 1,
            _ => 0,
        };
        let mut is_asked = false;
        loop {
            tokio::task::yield_now().await;
            let events = engine.history(&self.id).await.unwrap_or_default();
            let last = events.last().map(|event| event.kind);
            if last == Some(EventKind::CancelAwaited) && !std::mem::replace(&mut is_asked, true) {
                engine.cancel(&self.id).await.unwrap();
            }
            let is_call = |event: &&flux::Event| event.kind == EventKind::TaskStarted;
            if last == Some(open) && events.iter().filter(is_call).count() >= calls {
                return;
            }
        }
    }

    /// What is to stop the code is there before anybody takes the execution up again.
    async fn stop(&self, engine: &Engine) {
        match self.stopper {
            Stopper::Nothing => {}
            Stopper::Deadline => tokio::time::sleep(Duration::from_secs(11)).await,
            Stopper::CancelWindow => tokio::time::sleep(Duration::from_secs(3)).await,
            Stopper::Cancel => self.post(MessageKind::Cancel).await,
            Stopper::Terminate => self.post(MessageKind::Terminate).await,
            Stopper::TerminateWithoutCode => engine.terminate(&self.id, "enough").await.unwrap(),
        }
    }

    async fn post(&self, kind: MessageKind) {
        let message = NewMessage {
            kind,
            name: "".into(),
            payload: Payload::from_json("\"enough\""),
            dedup: None,
            at: SystemTime::now().into(),
        };
        self.shelf.store().post(&self.id, message).await.unwrap();
    }

    fn expected(&self) -> Status {
        match self.stopper {
            Stopper::Nothing => Status::Completed,
            Stopper::Deadline => Status::Failed,
            Stopper::Cancel | Stopper::CancelWindow => Status::Cancelled,
            Stopper::Terminate | Stopper::TerminateWithoutCode => Status::Terminated,
        }
    }

    async fn check(&self) {
        self.crash().await;
        set_code(&self.id, 1);
        let engine = self.engine().await;
        self.stop(&engine).await;
        if self.stopper != Stopper::TerminateWithoutCode {
            let resumed = self.workflow(&engine).resume(&self.id).await;
            let _ = resumed.unwrap_or_else(|error| panic!("{self:?}: {error}"));
        }
        let run = engine.get(&self.id).await.unwrap();
        let history = lines(&run.events().await.unwrap());
        assert_eq!(run.status(), self.expected(), "{self:?}\n{history}");
        let went_further = usize::from(self.stopper == Stopper::Nothing && !self.plan.returns);
        assert_eq!(
            ran(&self.id, "go_further"),
            went_further,
            "{self:?}\n{history}"
        );
        assert_eq!(
            ran(&self.id, "give_back"),
            self.undone(),
            "{self:?}\n{history}"
        );
        let replayed = engine.replay(&self.id).await;
        let replayed = replayed.unwrap_or_else(|error| panic!("{self:?}: {error}\n{history}"));
        assert_eq!(
            replayed.is_finished,
            self.replays_to_its_end(),
            "{self:?}\n{history}"
        );
        if self.stopper == Stopper::Deadline {
            let run = self.workflow(&engine).resume(&self.id).await;
            let run = run.unwrap_or_else(|error| panic!("{self:?}: {error}\n{history}"));
            assert_eq!(run.output(), Some(&2), "{self:?}\n{history}");
            engine.replay(&self.id).await.unwrap();
        }
    }

    /// How often it is given back what it took: a new beginning has nothing to undo, and a good end undoes nothing.
    fn undone(&self) -> usize {
        let is_undone = match self.stopper {
            Stopper::Nothing | Stopper::Terminate | Stopper::TerminateWithoutCode => false,
            Stopper::Deadline | Stopper::Cancel | Stopper::CancelWindow => {
                matches!(self.plan.open, Open::Committed | Open::RolledBack)
            }
        };
        usize::from(self.plan.undoes && (is_undone || self.plan.open == Open::BegunAnew))
    }

    /// Code that is dropped where it stands comes to no end of its own.
    fn replays_to_its_end(&self) -> bool {
        let is_told = self.undone() > 0 && self.plan.open != Open::BegunAnew;
        self.stopper == Stopper::Nothing || is_told
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} before {:?}", self.stopper, self.plan)
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_arrival_is_delivered_before_whatever_stops_the_code() {
    for open in OPENS {
        for stopper in STOPPERS {
            for (undoes, always_replay) in [(false, false), (true, false), (true, true)] {
                if let Some(case) = Case::new(open, stopper, undoes, always_replay) {
                    case.check().await;
                }
            }
        }
    }
}

/// A deadline is a deadline: code that comes to its end afterwards, by what was recorded before, has failed.
#[tokio::test(start_paused = true)]
async fn code_that_ends_with_an_open_arrival_after_its_deadline_has_failed() {
    for open in OPENS {
        for stopper in [Stopper::Nothing, Stopper::Deadline] {
            for (undoes, always_replay) in [(false, false), (true, false), (true, true)] {
                let case = Case::of(open, stopper, undoes, true, always_replay);
                case.unwrap().check().await;
            }
        }
    }
}

#[task]
async fn open_the_gate() -> Result<(), String> {
    let is_open = code_of(flux::task_context().unwrap().execution_id()) > 0;
    is_open.then_some(()).ok_or_else(|| "shut".to_owned())
}

#[workflow]
async fn send_a_visitor(ctx: ExecutionContext<(String, Plan)>) -> Result<u32, TaskError> {
    let (child, plan) = ctx.input().clone();
    let visitor = match plan.open {
        Open::Restarted => visit_from_the_start,
        Open::BegunAnew => visit_twice,
        _ => visit_once,
    };
    let visitor = visitor.call(plan).execution_id(child);
    let gate = async {
        flux::signal::<()>("go").await;
        open_the_gate().await
    };
    let visitor = visitor.when_parent_ends(ChildPolicy::Terminate);
    Ok(tokio::try_join!(visitor, gate)?.0)
}

/// What was terminated stands behind an arrival that the code may never have seen; its parent opens it again.
#[tokio::test(start_paused = true)]
async fn a_child_that_was_ended_at_an_open_arrival_goes_on_when_its_parent_does() {
    for open in OPENS {
        let case = Case::new(open, Stopper::TerminateWithoutCode, true, false).unwrap();
        let (parent, engine) = (unique("parent"), case.engine().await);
        let input = (case.id.to_string(), case.plan.clone());
        let run = send_a_visitor.on(&engine).run(input).execution_id(&parent);
        let fail_it = async {
            case.until_open(&engine).await;
            engine.signal(&parent, "go", &()).await.unwrap();
        };
        let (run, ()) = futures::join!(run, fail_it);
        assert!(run.as_ref().unwrap().has_failed(), "{open:?}: {run:?}");
        while !engine.get(&case.id).await.unwrap().has_finished() {
            tokio::task::yield_now().await;
        }
        set_code(&case.id, 1);
        set_code(&parent, 1);
        let run = send_a_visitor.on(&engine).resume(&parent).await.unwrap();
        let history = lines(&engine.history(&case.id).await.unwrap());
        assert_eq!(run.output(), Some(&2), "{open:?}: {run}\n{history}");
        assert_eq!(ran(&case.id, "go_further"), 1, "{open:?}\n{history}");
        assert_eq!(ran(&case.id, "take"), 1, "{open:?}\n{history}");
        engine.replay(&case.id).await.unwrap();
    }
}
