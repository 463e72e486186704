//! Schedules: made, looked at and steered. `fire` is what workers do with them.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::engine::kernel::refuse::{invalid, refuse_inside_workflow};
use crate::engine::placement::stand_in::{Named, known};
use crate::engine::{Engine, Workflow};
use crate::error::Error;
use crate::payload::{Payload, PayloadError};
use crate::schedule::{CatchUp, Overlap, ScheduleSpec, Spec};
use crate::store::{ScheduleChange, ScheduleRecord};
use crate::workflow::WorkflowDef;

mod declare;
mod fire;
mod forward;
mod release;
mod start;

pub(crate) use declare::declare;
pub(crate) use fire::fire_due;
pub(crate) use forward::bring_forward;
pub use release::{ReleaseKind, SlotRelease};

/// A schedule that is being described; await it to write it down. What [`Engine::schedule`] gives.
#[must_use = "a schedule does nothing until it is awaited"]
pub struct NewSchedule {
    engine: Engine,
    id: String,
    workflow: Named,
    input: Result<Payload, PayloadError>,
    when: Option<String>,
    zone: Option<String>,
    overlap: Overlap,
    catch_up: CatchUp,
    jitter: Duration,
}

/// A schedule, as it was at one moment, and a way to steer it.
#[derive(Clone)]
pub struct Schedule {
    engine: Engine,
    record: ScheduleRecord,
    spec: ScheduleSpec,
}

impl Engine {
    /// Starts a workflow by itself, at the moments that [`cron`](NewSchedule::cron) or [`every`](NewSchedule::every)
    /// says, while a [worker](Engine::worker) that has the workflow runs somewhere.
    ///
    /// The schedule is kept in the store: it outlives the program. Written again, at every start of a program, say,
    /// it is as before; with another time or input it is replaced. Each moment starts one execution, however many
    /// workers there are: its id is made of the schedule's and the moment, `nightly@2024-01-02T03:00:00Z`.
    ///
    /// ```
    /// # use flux::{Engine, ExecutionContext, workflow};
    /// #[workflow]
    /// async fn write_report(_ctx: ExecutionContext<String>) {}
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
    /// # let engine = Engine::in_memory();
    /// let nightly = engine.schedule("nightly", write_report, "sales".to_owned());
    /// let nightly = nightly.cron("0 3 * * *").zone("Europe/Berlin").await?;
    /// for moment in nightly.preview(3) {
    ///     println!("{moment:?}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn schedule<I: Serialize, O>(
        &self,
        id: impl Into<String>,
        workflow: Workflow<I, O>,
        input: I,
    ) -> NewSchedule {
        NewSchedule {
            engine: self.clone(),
            id: id.into(),
            workflow: Named::Code(workflow.def()),
            input: Payload::record_again(&input, workflow.def().reencode),
            when: None,
            zone: None,
            overlap: Overlap::default(),
            catch_up: CatchUp::default(),
            jitter: Duration::ZERO,
        }
    }

    /// As [`schedule`](Self::schedule), of a workflow by its name and with an input that comes as JSON.
    ///
    /// The workflow need not be registered in this program if the [catalog](Engine::catalog) has it; its input is then
    /// not compared with the type that it takes.
    ///
    /// # Errors
    ///
    /// When it is awaited: [`Error::WorkflowNotFound`], which lists what is registered and what the catalog has.
    pub fn schedule_by_name(
        &self,
        id: impl Into<String>,
        workflow: &str,
        input: impl Serialize,
    ) -> NewSchedule {
        NewSchedule {
            engine: self.clone(),
            id: id.into(),
            workflow: Named::Name(workflow.to_owned()),
            input: Payload::record(&input),
            when: None,
            zone: None,
            overlap: Overlap::default(),
            catch_up: CatchUp::default(),
            jitter: Duration::ZERO,
        }
    }

    /// Lists the schedules by name.
    pub async fn schedules(&self) -> Result<Vec<Schedule>, Error> {
        let records = self.kernel().store.schedules().await?;
        records
            .into_iter()
            .map(|record| Schedule::new(self.clone(), record))
            .collect()
    }

    /// Reads a schedule.
    ///
    /// # Errors
    ///
    /// [`Error::ScheduleNotFound`].
    pub async fn get_schedule(&self, id: &str) -> Result<Schedule, Error> {
        let found = self.kernel().store.schedule(id).await?;
        Schedule::new(self.clone(), found.ok_or_else(|| self.no_schedule(id))?)
    }

    fn no_schedule(&self, id: &str) -> Error {
        Error::ScheduleNotFound {
            id: id.to_owned(),
            store: self.kernel().store.describe(),
        }
    }
}

impl NewSchedule {
    /// Fires when this expression says: `"0 3 * * *"`, `"30 9 * * MON-FRI"`, `"@daily"`.
    pub fn cron(mut self, expression: impl Into<String>) -> Self {
        self.when = Some(expression.into());
        self
    }

    /// Fires at this interval, `"5m"`, counted from 1970, so that all workers agree on the moments.
    pub fn every(mut self, interval: &str) -> Self {
        self.when = Some(format!("@every {interval}"));
        self
    }

    /// Reads the expression in this time zone, `"America/New_York"`. The default is UTC.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Sets what happens while an earlier execution of the schedule has not finished. The default is to skip.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Sets what happens to moments that passed while no worker ran. The default is one execution for the latest.
    pub fn catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// Starts each execution a little later, by up to this, so that many schedules do not all start at once. The
    /// same moment is always as late.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    async fn write(self) -> Result<Schedule, Error> {
        refuse_inside_workflow("engine.schedule(..)", "make schedules outside of workflows")?;
        let what = || format!("schedule `{}`", self.id);
        check_id(&self.id)?;
        let input = self.input.map_err(|error| invalid(what(), error))?;
        let def = match &self.workflow {
            Named::Code(def) => def,
            Named::Name(name) => known(self.engine.kernel(), name).await?,
        };
        (def.reencode)(&input).map_err(|error| {
            invalid(
                format!("input of workflow `{}` in {}", def.name, what()),
                error,
            )
        })?;
        let Some(when) = self.when else {
            return Err(bad_schedule(
                &self.id,
                "it says no time: use `.cron(..)` or `.every(..)`",
            ));
        };
        let when = match self.zone {
            Some(zone) => format!("{when} {zone}"),
            None => when,
        };
        let spec =
            Spec::parse(&when).map_err(|error| bad_schedule(&self.id, &error.to_string()))?;
        let stored = Stored {
            spec: ScheduleSpec {
                spec,
                overlap: self.overlap,
                catch_up: self.catch_up,
                jitter: self.jitter,
            },
            is_declared: false,
        };
        let record = put(&self.engine, &self.id, def.name, input, &stored).await?;
        Schedule::new(self.engine, record)
    }
}

/// What is kept of a schedule besides its row.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "schedule")]
    spec: ScheduleSpec,
    /// Whether a workflow's attribute declares it.
    #[serde(
        rename = "declared",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    is_declared: bool,
}

fn stored(record: &ScheduleRecord) -> Result<Stored, Error> {
    let what = || format!("schedule `{}` in the store", record.id);
    record.spec.decode().map_err(|error| invalid(what(), error))
}

/// Writes a schedule down. One that fires as before stands where it stood, so that what it missed is not forgotten.
async fn put(
    engine: &Engine,
    id: &str,
    workflow: &str,
    input: Payload,
    stored: &Stored,
) -> Result<ScheduleRecord, Error> {
    let store = &engine.kernel().store;
    let now = engine.now();
    let existing = store.schedule(id).await?;
    let payload =
        Payload::encode(stored).map_err(|error| invalid(format!("schedule `{id}`"), error))?;
    let fires_as_before = |record: &ScheduleRecord| {
        record
            .spec
            .decode::<Stored>()
            .is_ok_and(|old| old.spec.spec == stored.spec.spec)
    };
    let next_at = match &existing {
        Some(record) if fires_as_before(record) => record.next_at,
        _ => stored.spec.next_after(now),
    };
    let record = ScheduleRecord {
        id: id.into(),
        workflow: workflow.into(),
        input,
        spec: payload,
        is_paused: existing.as_ref().is_some_and(|record| record.is_paused),
        next_at,
        last_at: existing.as_ref().and_then(|record| record.last_at),
        created_at: existing.as_ref().map_or(now, |record| record.created_at),
    };
    if existing.as_ref() != Some(&record) {
        store.put_schedule(record.clone()).await?;
        engine.kernel().workers.call();
    }
    Ok(record)
}

fn bad_schedule(id: &str, message: &str) -> Error {
    Error::InvalidInput {
        what: format!("schedule `{id}`"),
        path: ".".to_owned(),
        message: message.to_owned(),
    }
}

fn check_id(id: &str) -> Result<(), Error> {
    // The moments' ids are made of it, and these have a limit.
    match crate::names::fault_of(id, 200) {
        None => Ok(()),
        Some(fault) => Err(bad_schedule(id, &format!("of its name: {fault}"))),
    }
}

impl Schedule {
    fn new(engine: Engine, record: ScheduleRecord) -> Result<Self, Error> {
        let Stored { spec, .. } = stored(&record)?;
        Ok(Self {
            engine,
            record,
            spec,
        })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// The workflow it starts.
    pub fn workflow(&self) -> &str {
        &self.record.workflow
    }

    /// The input it gives, as JSON.
    pub fn input(&self) -> &Payload {
        &self.record.input
    }

    /// When it fires, as one writes it: `"0 9 * * 1 America/New_York"`, `"@every 5m"`.
    pub fn when(&self) -> String {
        self.spec.spec.to_string()
    }

    /// What happens while an earlier execution has not finished.
    pub fn overlap(&self) -> Overlap {
        self.spec.overlap
    }

    /// What happens to moments that passed while no worker ran.
    pub fn catch_up(&self) -> CatchUp {
        self.spec.catch_up
    }

    /// Whether it does not fire for now.
    pub fn is_paused(&self) -> bool {
        self.record.is_paused
    }

    /// The next moment it fires for; it may have passed where no worker runs.
    pub fn next_at(&self) -> Option<SystemTime> {
        self.record.next_at.map(Into::into)
    }

    /// The last moment it fired for.
    pub fn last_at(&self) -> Option<SystemTime> {
        self.record.last_at.map(Into::into)
    }

    /// The next moments it will fire for, counted from now.
    pub fn preview(&self, count: usize) -> Vec<SystemTime> {
        let slots = self.spec.preview(self.engine.now(), count);
        slots.into_iter().map(Into::into).collect()
    }

    /// Stops firing until it is [resumed](Self::resume). Executions it has started go on.
    pub async fn pause(&self) -> Result<(), Error> {
        self.change(ScheduleChange {
            is_paused: Some(true),
            next_at: None,
        })
        .await
    }

    /// Fires again, from now on: moments that passed while it was paused are not made up for.
    pub async fn resume(&self) -> Result<(), Error> {
        self.change(ScheduleChange {
            is_paused: Some(false),
            next_at: Some(self.spec.next_after(self.engine.now())),
        })
        .await
    }

    /// Removes it. Executions it has started go on.
    pub async fn delete(self) -> Result<(), Error> {
        let store = &self.engine.kernel().store;
        if store.delete_schedule(&self.record.id).await? {
            Ok(())
        } else {
            Err(self.engine.no_schedule(self.id()))
        }
    }

    async fn change(&self, change: ScheduleChange) -> Result<(), Error> {
        refuse_inside_workflow(
            "a schedule's change",
            "change schedules outside of workflows",
        )?;
        let kernel = self.engine.kernel();
        if !kernel
            .store
            .change_schedule(&self.record.id, change)
            .await?
        {
            return Err(self.engine.no_schedule(self.id()));
        }
        kernel.workers.call();
        Ok(())
    }

    /// Its workflow, or what stands for it where the code is elsewhere.
    async fn def(&self) -> Result<&'static WorkflowDef, Error> {
        known(self.engine.kernel(), &self.record.workflow).await
    }
}

impl IntoFuture for NewSchedule {
    type Output = Result<Schedule, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.write())
    }
}

impl fmt::Debug for NewSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSchedule")
            .field("id", &self.id)
            .field("when", &self.when)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("id", &self.id())
            .field("workflow", &self.workflow())
            .field("when", &self.when())
            .field("is_paused", &self.is_paused())
            .field("next_at", &self.record.next_at)
            .finish_non_exhaustive()
    }
}

/// One line: name, time, workflow, and when it fires next.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} `{}` starts {}",
            self.id(),
            self.when(),
            self.workflow()
        )?;
        match self.record.next_at {
            _ if self.is_paused() => write!(f, ", paused"),
            Some(next) => write!(f, ", next at {next}"),
            None => write!(f, ", never again"),
        }
    }
}

fn micros(moment: SystemTime) -> Timestamp {
    moment.into()
}

/// The name of a schedule, shared.
fn shared(id: &str) -> Arc<str> {
    id.into()
}
