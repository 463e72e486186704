//! Following an execution: each event as it happens, whoever writes it.

use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use flux_core::{Engine, Error, Execution, ExecutionId, Handle, Status};
use futures::FutureExt as _;
use futures::future::{Either, select};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::args::Watching;
use crate::exit::{Exit, Failure};
use crate::ids::short;
use crate::output::{self, Format, span};
use crate::session::Session;
use crate::spinner::Spinner;
use crate::view::Names;

/// How often a row is read that others change.
const PACE: Duration = Duration::from_millis(50);

/// How soon a start of this process is looked for.
const BEGIN_PACE: Duration = Duration::from_millis(1);

/// How a wait came to its end.
pub(crate) enum Watched {
    /// The execution finished or paused.
    Settled(Box<Execution>),
    /// `--timeout` is over.
    Late(Box<Execution>),
    /// Ctrl-C.
    Interrupted,
}

/// What brings an execution on that is waited for: where it ends, the wait ends.
pub(crate) struct Driving {
    task: JoinHandle<Result<Execution, Error>>,
    /// Whether this process drives it; otherwise a worker was asked to.
    pub(crate) is_here: bool,
}

impl Driving {
    /// Drives it here.
    pub(crate) fn here(
        run: impl Future<Output = Result<Execution, Error>> + Send + 'static,
    ) -> Self {
        Self {
            task: tokio::spawn(run),
            is_here: true,
        }
    }

    /// Waits for a worker that was asked.
    pub(crate) fn elsewhere(handle: Handle) -> Self {
        Self {
            task: tokio::spawn(async move { handle.wait().await }),
            is_here: false,
        }
    }

    /// Waits until the start is recorded. Its id is another where another execution stands for it.
    pub(crate) async fn begun(
        &mut self,
        engine: &Engine,
        id: &ExecutionId,
    ) -> Result<ExecutionId, Failure> {
        loop {
            if self.task.is_finished() {
                let execution = self.settled().await?;
                let id = execution.execution_id().clone();
                *self = Self::here(async { Ok(execution) });
                return Ok(id);
            }
            match engine.get(id).await {
                Ok(_) => return Ok(id.clone()),
                Err(Error::ExecutionNotFound { .. }) => tokio::time::sleep(BEGIN_PACE).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn settled(&mut self) -> Result<Execution, Failure> {
        match (&mut self.task).await {
            Ok(settled) => Ok(settled?),
            Err(error) => Err(Failure::operational(format!(
                "the driver ended badly: {error}"
            ))),
        }
    }
}

/// Waits until an execution has finished or paused, as was asked: silently, or event by event.
pub(crate) async fn watch(
    session: &Session,
    engine: &Engine,
    id: &ExecutionId,
    watching: &Watching,
    driving: Option<Driving>,
) -> Result<Watched, Failure> {
    let deadline = watching.timeout.map(|limit| Instant::now() + limit);
    let waiting = async {
        // Until whoever was asked has had his turn, a pause is the one that was answered.
        let may_pause = AtomicBool::new(driving.is_none());
        match driving {
            None if watching.follow => follow(session, engine, id, &may_pause).await,
            None => settled(engine, id).await,
            Some(mut driving) if !watching.follow => driving.settled().await,
            Some(mut driving) => {
                let following = pin!(follow(session, engine, id, &may_pause));
                match select(pin!(driving.settled()), following).await {
                    Either::Left((Err(failure), _)) => Err(failure),
                    // All its events are printed first.
                    Either::Left((Ok(_), following)) => {
                        may_pause.store(true, Ordering::Relaxed);
                        following.await
                    }
                    Either::Right((followed, _)) => followed,
                }
            }
        }
    };
    let late = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    // Polled before anything is printed: until its first poll, Ctrl-C would end the process without a word.
    if interrupted.as_mut().now_or_never().is_some() {
        return Ok(Watched::Interrupted);
    }
    tokio::select! {
        biased;
        execution = waiting => Ok(Watched::Settled(Box::new(execution?))),
        () = late => Ok(Watched::Late(Box::new(engine.get(id).await?))),
        _ = interrupted => Ok(Watched::Interrupted),
    }
}

/// Whether nothing more happens by itself.
pub(crate) fn is_settled(execution: &Execution) -> bool {
    execution.has_finished() || execution.status() == Status::Paused
}

async fn settled(engine: &Engine, id: &ExecutionId) -> Result<Execution, Failure> {
    loop {
        let execution = engine.get(id).await?;
        if is_settled(&execution) {
            return Ok(execution);
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Prints events until the execution has settled and all of them are printed.
async fn follow(
    session: &Session,
    engine: &Engine,
    id: &ExecutionId,
    may_pause: &AtomicBool,
) -> Result<Execution, Failure> {
    let mut events = engine.subscribe(id).await?;
    let mut names = Names::default();
    let mut began = None;
    let mut spinner = Spinner::new(session);
    let mut pace = tokio::time::interval(PACE);
    let mut settled_before = false;
    let is_driven = !may_pause.load(Ordering::Relaxed);
    let mut is_heard = true;
    loop {
        tokio::select! {
            biased;
            event = events.next() => {
                let Some(event) = event else { break };
                let view = names.view(id, &event?);
                began.get_or_insert(view.at());
                spinner.clear();
                settled_before = false;
                if is_heard {
                    is_heard = heard(print(session, &view, began), is_driven)?;
                }
            }
            _ = pace.tick() => {
                let execution = engine.get(id).await?;
                spinner.turn(|| progress(&execution));
                // A pause ends no history: seen twice with no event between, it is the end of this.
                let is_over = is_settled(&execution) && may_pause.load(Ordering::Relaxed);
                if is_over && settled_before {
                    return Ok(execution);
                }
                settled_before = is_over;
            }
        }
    }
    Ok(engine.get(id).await?)
}

/// Whether anybody still reads. What is brought on here is brought to its end also when nobody does any more.
fn heard(printed: io::Result<()>, is_driven: bool) -> io::Result<bool> {
    match printed {
        Err(error) if is_driven && error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        printed => printed.map(|()| true),
    }
}

/// Whether events are printed as JSON: as asked, and where nobody reads along.
pub(crate) fn is_json(session: &Session) -> bool {
    match session.output.format {
        Format::Json | Format::Jsonl => true,
        _ => session.is_default_format && !io::stdout().is_terminal(),
    }
}

/// Whether a start is not to be announced: what follows on standard output is JSON alone.
pub(crate) fn is_quiet_start(session: &Session, watching: &Watching) -> bool {
    !session.output.is_text() || (watching.follow && is_json(session))
}

fn print(
    session: &Session,
    event: &crate::view::EventView,
    began: Option<SystemTime>,
) -> io::Result<()> {
    const DIGITS: usize = 4;
    if session.output.format == Format::Id {
        output::line(event.seq().to_string())
    } else if is_json(session) {
        output::jsonl(event)
    } else {
        output::line(event.line(&session.output, began, DIGITS))
    }
}

/// What the spinner says.
fn progress(execution: &Execution) -> String {
    format!("{} for {}", execution.status(), span(execution.duration()))
}

/// Says that the execution goes on without this process, and how to look again.
pub(crate) fn say_interrupted(session: &Session, id: &ExecutionId, was_driven_here: bool) -> Exit {
    let id = short(id);
    if was_driven_here {
        session.say(format!(
            "interrupted: execution `{id}` stands where it stood, as after a crash; a worker takes it over, or:"
        ));
        session.suggest("go on with it here", &["resume", id]);
    } else {
        session.say(format!(
            "interrupted: that changes nothing about execution `{id}`"
        ));
    }
    session.suggest("look again", &["show", id, "--follow"]);
    Exit::Interrupted
}
