//! What connects a driver with everything that runs beside it: bodies, children, timers, and those who wait for it.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::core::Core;
use super::threads::Threads;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::drivers::Attendance;
use crate::engine::kernel::input::{DriverInput, FromBody, Inputs};
use crate::error::Error;
use crate::id::EventSeq;
use crate::task::BodyResult;
use std::pin::Pin;

/// An attempt that has not been polled, or only once.
pub(super) struct Unspawned {
    pub(super) call: EventSeq,
    pub(super) run: u64,
    /// It has no limits, and no thread.
    pub(super) is_short: bool,
    pub(super) attempt: Pin<Box<dyn Future<Output = BodyResult> + Send>>,
}

/// The bodies of an execution, beyond what is known of each call.
#[derive(Default)]
pub(super) struct Bodies {
    /// Threads of attempts whose time is up.
    pub(super) threads: Threads,
    /// The number of the next run.
    next_run: u64,
    /// The body that is all that the execution waits for.
    pub(super) alone: Option<Unspawned>,
}

impl Bodies {
    /// A body has ended; the error where no execution can go on that needs it.
    pub(super) fn ended(
        &mut self,
        core: &mut Core,
        call: EventSeq,
        run: u64,
        result: BodyResult,
    ) -> Option<Error> {
        let mut ended = core.calls.take_returned(call, run)?;
        if let Some(thread) = ended.thread.take()
            && let Some(task) = core.calls.task(call)
        {
            let now = core.time.keeper().steady();
            let until = now.after(core.rules.blocking_patience);
            self.threads.leave(&task.name, &task.input, thread, until);
        }
        if let Some(missing) = ended.ended().missing_state.get() {
            return Some(Error::MissingState {
                task: missing.task.to_string(),
                state: missing.state.to_owned(),
            });
        }
        core.attempt_ended(call, result);
        None
    }

    /// The work that these belong to is dropped.
    pub(super) fn start_over(&mut self) {
        self.alone = None;
    }

    /// The number of a run that begins.
    pub(super) fn take_run(&mut self) -> u64 {
        let run = self.next_run;
        self.next_run += 1;
        run
    }
}

/// What comes in, who is told, and what is wanted of the driver itself.
pub(super) struct Link {
    pub(super) inputs: Inputs,
    sender: mpsc::UnboundedSender<DriverInput>,
    pub(super) bodies: Bodies,
    /// Statements that bodies want run.
    statements: VecDeque<FromBody>,
    /// Why a body or a child, and so this execution, cannot go on.
    lost: Option<Error>,
    attendance: Attendance,
    /// Whether it is told of what other processes send.
    pub(super) is_watched: bool,
    /// How many turns it took before it was.
    pub(super) brief_turns: u32,
    /// Whether it is to sleep as soon as it only waits.
    is_to_rest: bool,
    /// Whether its process is about to end.
    is_retiring: bool,
}

impl Link {
    pub(super) fn new(
        sender: mpsc::UnboundedSender<DriverInput>,
        inputs: mpsc::UnboundedReceiver<DriverInput>,
        attendance: Attendance,
    ) -> Self {
        Self {
            inputs: Inputs::new(inputs),
            sender,
            bodies: Bodies::default(),
            statements: VecDeque::new(),
            lost: None,
            attendance,
            is_watched: false,
            brief_turns: 0,
            is_to_rest: false,
            is_retiring: false,
        }
    }

    /// Where others tell this driver what has happened.
    pub(super) fn sender(&self) -> &mpsc::UnboundedSender<DriverInput> {
        &self.sender
    }

    /// Whether its parent hears from it directly.
    pub(super) fn tells_parent(&self) -> bool {
        self.attendance.is_by_parent()
    }

    pub(super) fn is_attended(&self) -> bool {
        self.attendance.is_by_caller()
    }

    /// Takes what has come in since.
    pub(super) fn take_inputs(&mut self, core: &mut Core) {
        while let Some(input) = self.inputs.try_next() {
            self.take(core, input);
        }
    }

    pub(super) fn take(&mut self, core: &mut Core, input: DriverInput) {
        match input {
            DriverInput::Body { call, run, result } => {
                let lost = self.bodies.ended(core, call, run, result);
                self.lose(lost);
            }
            DriverInput::Statements(from) => self.statements.push_back(from),
            DriverInput::Child {
                call,
                since,
                report,
            } => {
                let lost = core.child_reported(call, since, report);
                self.lose(lost);
            }
            DriverInput::Inbox => core.inbox.expect_news(),
            DriverInput::Woken => core.woken(),
            DriverInput::Rest => self.is_to_rest = true,
            DriverInput::Retire => self.is_retiring = !self.is_attended(),
        }
    }

    /// The execution cannot go on without this.
    fn lose(&mut self, lost: Option<Error>) {
        if lost.is_some() {
            self.lost = lost;
        }
    }

    /// Turns what the code waits for and what has come into arrivals. Of an execution that is to be put on hold, nothing
    /// reaches the code that would not come to an end by itself.
    pub(super) fn look_for_arrivals(&mut self, core: &mut Core) {
        if !core.leaves_signals() {
            core.match_values();
        }
        if !core.inbox.is_held() && core.is_due() {
            // What has ended meanwhile comes before a timer that is due now.
            self.take_inputs(core);
            core.fire_due();
        }
    }

    /// Whether results of bodies that have come in come before the end of an execution whose time is up.
    pub(super) fn lets_results_pass(&mut self, core: &mut Core) -> bool {
        self.take_inputs(core);
        core.lets_results_pass()
    }

    /// Keeps what bodies have returned and was not written.
    pub(super) fn salvage(&mut self, kernel: &Kernel, core: &mut Core) {
        self.take_inputs(core);
        kernel.salvage.keep(&core.id, core.arrivals.take_results());
    }

    pub(super) fn next_statements(&mut self) -> Option<FromBody> {
        self.statements.pop_front()
    }

    pub(super) fn take_lost(&mut self) -> Option<Error> {
        self.lost.take()
    }

    /// Whether bodies and children that are asked for now wait for another process, or for a resume.
    pub(super) fn starts_nothing(&self, core: &Core) -> bool {
        self.is_retiring || core.inbox.is_held()
    }

    pub(super) fn is_retiring(&self) -> bool {
        self.is_retiring
    }

    /// It is to sleep as soon as it only waits.
    pub(super) fn ask_to_rest(&mut self) {
        self.is_to_rest = true;
    }

    pub(super) fn take_request_to_rest(&mut self) -> bool {
        std::mem::take(&mut self.is_to_rest)
    }

    /// The same link for a driver that begins in the place of this one: what has come in is kept, and what was wanted of
    /// the work that is dropped is not.
    pub(super) fn start_over(&mut self) {
        self.bodies.start_over();
        self.statements.clear();
        self.lost = None;
        self.is_to_rest = false;
    }
}
