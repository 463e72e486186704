//! The table of commands: every order of pause, resume, cancel, terminate and retry, in every phase of an execution,
//! and the end that it comes to.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use flux::time::{hours, mins, secs};
use flux::{
    Engine, Error, EventKind, Execution, ExecutionContext, ExecutionId, Handle, Payload,
    RunningWorker, Status, TaskError, task, task_context, workflow,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::support::{Shelf, begin, count, lines, ran, unique};

/// Where an execution is when the commands come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Phase {
    /// It waits for its time to begin.
    Pending,
    /// The first of two tasks runs.
    Body,
    Backoff,
    Timer,
    Signal,
    PausePoint,
    /// Transactions, one after the other.
    Transactions,
    /// It begins again and again.
    NewBeginnings,
    /// It waits for its child.
    Child,
    /// It has returned, and the first of two exit handlers runs.
    Exit,
    /// It has failed, and the first of two rollbacks runs.
    Rollback,
    /// It was cancelled, and the first of two tasks of its clean-up runs.
    CleanUp,
    /// It was cancelled, and its clean-up waits at a pause point.
    CleanUpPause,
    Failed,
    Completed,
}

/// All phases; where all code is replayed before every activation, without the one whose history grows and grows.
fn phases() -> impl Iterator<Item = Phase> {
    let replays = std::env::var_os("FLUX_ALWAYS_REPLAY").is_some();
    PHASES
        .into_iter()
        .filter(move |phase| !(replays && *phase == Phase::Transactions))
}

const PHASES: [Phase; 15] = [
    Phase::Pending,
    Phase::Body,
    Phase::Backoff,
    Phase::Timer,
    Phase::Signal,
    Phase::PausePoint,
    Phase::Transactions,
    Phase::NewBeginnings,
    Phase::Child,
    Phase::Exit,
    Phase::Rollback,
    Phase::CleanUp,
    Phase::CleanUpPause,
    Phase::Failed,
    Phase::Completed,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Command {
    Pause,
    Resume,
    Cancel,
    Terminate,
    Retry,
}

const COMMANDS: [Command; 5] = [
    Command::Pause,
    Command::Resume,
    Command::Cancel,
    Command::Terminate,
    Command::Retry,
];

/// What a command is told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Accepted,
    AlreadyFinished,
    NotFailed,
    NotStarted,
}

impl Answer {
    fn of<T>(result: Result<T, Error>) -> Self {
        match result {
            Ok(_) => Self::Accepted,
            Err(Error::AlreadyFinished { .. }) => Self::AlreadyFinished,
            Err(Error::NotFailed { .. }) => Self::NotFailed,
            Err(Error::NotStarted { .. }) => Self::NotStarted,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The rule: the latest command counts. A cancellation that has begun is never taken back, and nothing takes back an
/// end but a resume of what failed.
#[derive(Clone, Copy, Debug)]
struct Rule {
    phase: Phase,
    is_held: bool,
    end: Option<Status>,
}

impl Rule {
    fn new(phase: Phase) -> Self {
        let end = match phase {
            Phase::Failed => Some(Status::Failed),
            Phase::Completed => Some(Status::Completed),
            _ => None,
        };
        Self {
            phase,
            is_held: false,
            end,
        }
    }

    /// How it ends if nothing else comes.
    fn end(self) -> Status {
        self.end.unwrap_or(match self.phase {
            Phase::Rollback => Status::Failed,
            Phase::CleanUp | Phase::CleanUpPause => Status::Cancelled,
            _ => Status::Completed,
        })
    }

    fn apply(&mut self, command: Command) -> Answer {
        match (command, self.end) {
            (Command::Retry | Command::Resume, Some(Status::Failed)) => {
                // What failed is tried again, and its body runs.
                *self = Self::new(Phase::Body);
                Answer::Accepted
            }
            (Command::Retry, _) => Answer::NotFailed,
            (Command::Resume, Some(Status::Completed)) => Answer::Accepted,
            (_, Some(_)) => Answer::AlreadyFinished,
            (Command::Pause, None) if self.phase == Phase::Pending => Answer::NotStarted,
            (Command::Pause, None) => {
                self.is_held = true;
                Answer::Accepted
            }
            (Command::Resume, None) => {
                let is_answer = !std::mem::take(&mut self.is_held);
                if is_answer && matches!(self.phase, Phase::PausePoint | Phase::CleanUpPause) {
                    self.end = Some(self.end());
                }
                Answer::Accepted
            }
            (Command::Cancel, None) => {
                self.is_held = false;
                if !self.has_ended_before() {
                    self.end = Some(Status::Cancelled);
                }
                Answer::Accepted
            }
            (Command::Terminate, None) => {
                self.is_held = false;
                self.end = Some(Status::Terminated);
                Answer::Accepted
            }
        }
    }

    /// Whether a cancellation comes too late to change its end.
    fn has_ended_before(self) -> bool {
        use Phase::{CleanUp, CleanUpPause, Exit, Rollback};
        matches!(self.phase, Exit | Rollback | CleanUp | CleanUpPause)
    }
}

static GATES: LazyLock<Mutex<BTreeMap<String, watch::Sender<bool>>>> =
    LazyLock::new(Mutex::default);

/// Whether what is at work in an execution may end.
fn gate(id: &ExecutionId) -> watch::Receiver<bool> {
    let mut gates = GATES.lock().unwrap();
    let gate = gates.entry(id.as_str().to_owned());
    gate.or_insert_with(|| watch::Sender::new(false))
        .subscribe()
}

fn open_gate(id: &ExecutionId) {
    drop(gate(id));
    GATES.lock().unwrap()[id.as_str()].send_replace(true);
}

async fn work_at_gate() {
    begin();
    let mut gate = gate(task_context().unwrap().execution_id());
    gate.wait_for(|is_open| *is_open).await.unwrap();
}

#[task]
async fn pass() {
    work_at_gate().await;
}

#[task]
async fn tidy_up() {
    work_at_gate().await;
}

#[task(rollback = put_back)]
async fn take_from(shelf: u32) -> u32 {
    shelf
}

#[task]
async fn put_back(_shelf: u32, _taken: Option<u32>) {
    work_at_gate().await;
}

#[task(max_attempts = 2, backoff = "fixed(2m)")]
async fn try_later() -> Result<(), String> {
    match begin() {
        1 => Err("not yet".to_owned()),
        _ => Ok(()),
    }
}

#[task]
async fn fail_once() -> Result<(), String> {
    if begin() == 1 {
        return Err("on purpose".to_owned());
    }
    let mut gate = gate(task_context().unwrap().execution_id());
    gate.wait_for(|is_open| *is_open).await.unwrap();
    Ok(())
}

#[workflow]
async fn wait_long(_ctx: ExecutionContext) {
    flux::sleep(mins(2)).await;
}

#[workflow]
async fn pass_through(ctx: ExecutionContext<Phase>) -> Result<(), TaskError> {
    match *ctx.input() {
        Phase::Pending | Phase::Completed => {}
        Phase::Body => {
            pass().await?;
            pass().await?;
        }
        Phase::Backoff => try_later().await?,
        Phase::Timer => flux::sleep(mins(2)).await,
        Phase::Signal => flux::signal::<()>("word").await,
        Phase::PausePoint => flux::pause("point").await,
        Phase::Transactions => while !is_through(ctx.execution_id()).await? {},
        Phase::NewBeginnings => {
            if !*gate(ctx.execution_id()).borrow() {
                ctx.continue_as_new(Phase::NewBeginnings).await;
            }
        }
        Phase::Child => wait_long.call(()).await?,
        Phase::Exit => {
            ctx.on_exit(tidy_up);
            ctx.on_exit(tidy_up);
        }
        Phase::Rollback => {
            take_from(1).await?;
            take_from(2).await?;
            flux::step("fail", async { Err::<(), _>("on purpose") }).await?;
        }
        Phase::CleanUp => {
            flux::cancelled().await;
            tidy_up().await?;
            tidy_up().await?;
        }
        Phase::CleanUpPause => {
            flux::cancelled().await;
            flux::pause("point").await;
        }
        Phase::Failed => {
            fail_once().await?;
            pass().await?;
        }
    }
    Ok(())
}

async fn is_through(id: &ExecutionId) -> Result<bool, TaskError> {
    let gate = gate(id);
    let run = Arc::new(move |_: &dyn std::any::Any| {
        Ok(Payload::from_json(if *gate.borrow() {
            "true"
        } else {
            "false"
        }))
    });
    flux_core::transaction_call("is through", run).await
}

/// Who drives the execution, and who sends the commands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Setting {
    /// One engine, with a worker.
    Worker,
    /// One engine, without.
    NoWorker,
    /// An engine with a worker, and another one on the same store.
    Elsewhere,
}

/// Whether each command is carried out before the next one comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    OneByOne,
    AtOnce,
}

/// A row of the table.
#[derive(Debug)]
struct Row<'a> {
    phase: Phase,
    commands: &'a [Command],
    setting: Setting,
    pace: Pace,
}

struct Case {
    hand: Engine,
    asker: Engine,
    worker: Option<RunningWorker>,
    handle: Handle<()>,
    phase: Phase,
}

impl Row<'_> {
    async fn check(&self) {
        let limited = tokio::time::timeout(hours(9), self.run()).await;
        limited.unwrap_or_else(|_| panic!("{self:?}: it comes to no end"));
    }

    async fn run(&self) {
        let case = Case::new(self.phase, self.setting).await;
        let mut rule = Rule::new(self.phase);
        let mut accepted = Vec::new();
        for command in self.commands {
            let answer = case.send(*command).await;
            let expected = rule.apply(*command);
            if answer == Answer::Accepted {
                accepted.push(*command);
            }
            if self.pace == Pace::OneByOne {
                assert_eq!(answer, expected, "{self:?}: {command:?}");
                case.settle(rule).await;
                case.check_replay(self).await;
            }
        }
        open_gate(case.id());
        if self.pace == Pace::OneByOne && rule.end.is_none() && rule.is_held {
            let held = case.handle.wait().await.unwrap();
            assert!(held.held().is_some(), "{self:?}: {held}");
        }
        let run = case.finish(self, rule.is_held).await;
        let history = lines(&run.events().await.unwrap());
        let ends = match self.pace {
            Pace::OneByOne => vec![rule.end()],
            Pace::AtOnce => ends_at_once(self.phase, &accepted),
        };
        assert!(ends.contains(&run.status()), "{self:?}: {run}\n{history}");
        let unfinished = case.unfinished(&run);
        assert_eq!(unfinished, 0, "{self:?}: of what it had to do\n{history}");
        case.check_replay(self).await;
        if let Some(worker) = case.worker {
            worker.stop().await;
        }
    }
}

/// How it may end when the commands race with what drives it.
fn ends_at_once(phase: Phase, accepted: &[Command]) -> Vec<Status> {
    if accepted.contains(&Command::Terminate) {
        return vec![Status::Terminated];
    }
    let is_reopened = phase == Phase::Failed
        && (accepted.contains(&Command::Retry) || accepted.contains(&Command::Resume));
    let rule = Rule::new(if is_reopened { Phase::Body } else { phase });
    let mut ends = vec![rule.end()];
    if accepted.contains(&Command::Cancel) && !rule.has_ended_before() {
        let is_answered = phase == Phase::PausePoint && accepted.contains(&Command::Resume);
        if !is_answered {
            ends.clear();
        }
        ends.push(Status::Cancelled);
    }
    ends
}

impl Case {
    async fn new(phase: Phase, setting: Setting) -> Self {
        let shelf = Shelf::memory();
        let build = async || {
            shelf
                .builder()
                .cancel_window(mins(5))
                .build()
                .await
                .unwrap()
        };
        let hand = build().await;
        let asker = match setting {
            Setting::Elsewhere => build().await,
            Setting::Worker | Setting::NoWorker => hand.clone(),
        };
        let worker = (setting != Setting::NoWorker).then(|| hand.worker().spawn());
        let start = pass_through.on(&hand).start(phase);
        let start = start.execution_id(unique("phase"));
        let handle = match phase {
            Phase::Pending => start.delay(mins(2)).await,
            _ => start.await,
        };
        let case = Self {
            hand,
            asker,
            worker,
            handle: handle.unwrap(),
            phase,
        };
        case.until_it_is_there().await;
        case
    }

    fn id(&self) -> &ExecutionId {
        self.handle.execution_id()
    }

    fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Transactions | Phase::NewBeginnings)
    }

    /// Waits until the execution is in its phase.
    async fn until_it_is_there(&self) {
        let until = async |kind, number| {
            while count(&self.hand, self.id(), kind).await < number {
                tokio::task::yield_now().await;
            }
        };
        match self.phase {
            Phase::Pending => {}
            Phase::Transactions => until(EventKind::TaskCompleted, 3).await,
            Phase::NewBeginnings => until(EventKind::ContinuedAsNew, 3).await,
            Phase::CleanUp | Phase::CleanUpPause => {
                until(EventKind::CancelAwaited, 1).await;
                self.handle.cancel().await.unwrap();
                tokio::time::sleep(secs(1)).await;
            }
            _ => tokio::time::sleep(secs(1)).await,
        }
    }

    async fn send(&self, command: Command) -> Answer {
        let (asker, id) = (&self.asker, self.id());
        match command {
            Command::Pause => Answer::of(asker.pause(id).await),
            Command::Resume => Answer::of(asker.resume(id).request().await),
            Command::Cancel => Answer::of(asker.cancel(id).await),
            Command::Terminate => Answer::of(asker.terminate(id, "enough").await),
            Command::Retry => Answer::of(asker.retry(id).request().await),
        }
    }

    /// Lets everything happen that follows from a command. The clock does not move while code never waits.
    async fn settle(&self, rule: Rule) {
        let is_busy = self.is_busy() && rule.end.is_none() && !rule.is_held;
        if is_busy {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        } else {
            tokio::time::sleep(secs(1)).await;
        }
        // Without a worker, what a request leaves to one has to be taken up.
        self.take_up().await;
    }

    async fn take_up(&self) {
        let run = self.hand.get(self.id()).await.unwrap();
        if self.worker.is_some() || run.has_finished() || run.worker().is_some() {
            return;
        }
        let hand = self.hand.clone();
        tokio::spawn(async move { drop(hand.recover().await) });
        if !self.is_busy() {
            tokio::time::sleep(secs(1)).await;
        }
    }

    /// Resumes it whenever it is paused, until it has ended.
    async fn finish(&self, row: &Row<'_>, is_held: bool) -> Execution {
        for _ in 0..20 {
            let _ = self.hand.signal(self.id(), "word", &()).await;
            match self.handle.wait().await {
                Ok(run) if run.has_finished() => return self.hand.get(self.id()).await.unwrap(),
                Ok(run) => {
                    let is_expected = is_held || row.pace == Pace::AtOnce;
                    assert!(run.held().is_none() || is_expected, "{row:?}: {run}");
                    let _ = self.hand.resume(self.id()).request().await;
                    self.take_up().await;
                }
                Err(Error::Interrupted { .. }) => self.take_up().await,
                Err(error) => panic!("{row:?}: {error}"),
            }
        }
        let run = self.hand.get(self.id()).await.unwrap();
        let history = lines(&run.events().await.unwrap());
        panic!("{row:?}: {run} for ever\n{history}");
    }

    /// How much is left of what it had to do at its end.
    fn unfinished(&self, run: &Execution) -> usize {
        if run.status() == Status::Terminated {
            return 0;
        }
        let (task, times) = match self.phase {
            Phase::Exit => ("tidy_up", 2),
            Phase::Rollback => ("put_back", 2),
            Phase::CleanUp => ("tidy_up", 2),
            _ => return 0,
        };
        times - ran(self.id(), task).min(times)
    }

    async fn check_replay(&self, row: &Row<'_>) {
        if self.is_busy() && !self.hand.get(self.id()).await.unwrap().has_finished() {
            return;
        }
        if let Err(error) = self.hand.replay(self.id()).await {
            let history = lines(&self.hand.history(self.id()).await.unwrap());
            panic!("{row:?}: {error}\n{history}");
        }
    }
}

async fn check_pairs(setting: Setting, pace: Pace) {
    for phase in phases() {
        for first in COMMANDS {
            for second in COMMANDS {
                let row = Row {
                    phase,
                    commands: &[first, second],
                    setting,
                    pace,
                };
                row.check().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_pair_of_commands_in_every_phase_has_its_end() {
    check_pairs(Setting::Worker, Pace::OneByOne).await;
}

#[tokio::test(start_paused = true)]
async fn every_pair_of_commands_has_the_same_end_without_a_worker() {
    check_pairs(Setting::NoWorker, Pace::OneByOne).await;
}

#[tokio::test(start_paused = true)]
async fn every_pair_of_commands_has_the_same_end_when_another_engine_sends_them() {
    check_pairs(Setting::Elsewhere, Pace::OneByOne).await;
}

#[tokio::test(start_paused = true)]
async fn commands_that_race_with_the_driver_come_to_an_end() {
    for setting in [Setting::Worker, Setting::NoWorker, Setting::Elsewhere] {
        check_pairs(setting, Pace::AtOnce).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_three_commands_in_every_phase_have_their_end() {
    for phase in phases() {
        for first in [Command::Pause, Command::Cancel, Command::Retry] {
            for second in [Command::Pause, Command::Resume, Command::Cancel] {
                for third in COMMANDS {
                    let row = Row {
                        phase,
                        commands: &[first, second, third],
                        setting: Setting::Worker,
                        pace: Pace::OneByOne,
                    };
                    row.check().await;
                }
            }
        }
    }
}

#[workflow]
async fn call_through(_ctx: ExecutionContext) -> Result<(), TaskError> {
    pass_through.call(Phase::Body).await?;
    pass().await
}

#[tokio::test]
async fn a_paused_parent_does_not_wait_for_its_child_which_continues() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let handle = call_through.on(&engine).start(()).await.unwrap();
        let id = handle.execution_id();
        let children = async || engine.list().children_of(id).await.unwrap();
        while children().await.is_empty() {
            tokio::task::yield_now().await;
        }
        let child = children().await[0].execution_id().clone();
        while ran(&child, "pass") == 0 {
            tokio::task::yield_now().await;
        }
        engine.pause(id).await.unwrap();
        let held = handle.wait().await.unwrap();
        assert!(held.held().is_some(), "{held}");
        open_gate(&child);
        open_gate(id);
        while !engine.get(&child).await.unwrap().has_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert!(engine.get(id).await.unwrap().held().is_some());

        let run = engine.resume(id).await.unwrap();
        assert!(run.has_succeeded(), "{run}");
        assert_eq!((ran(&child, "pass"), ran(id, "pass")), (2, 1));
        engine.replay(id).await.unwrap();
    }
}
