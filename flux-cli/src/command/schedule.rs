//! `schedule ..`: when workflows start by themselves.

use std::time::SystemTime;

use flux_core::{Engine, Error, Handle, Schedule};

use super::{start, value};
use crate::args::{self, Backfill, Moments, NewSchedule};
use crate::exit::{Exit, Failure, Outcome};
use crate::known::known;
use crate::nearest::nearest;
use crate::output::parse_moment;
use crate::session::Session;
use crate::view::{ExecutionView, MomentView, ScheduleView};

/// How many executions `show` has.
const LATEST: usize = 5;

pub(super) async fn schedule(session: &Session, args: args::Schedule) -> Outcome {
    let engine = session.look().await?;
    match args {
        args::Schedule::List => list(session, &engine).await,
        args::Schedule::Show(args) => show(session, &engine, &args.name).await,
        args::Schedule::Create(args) => create(session, &engine, args).await,
        args::Schedule::Pause(args) => {
            find(&engine, &args.name).await?.pause().await?;
            report(session, &engine, &args.name, "Paused").await
        }
        args::Schedule::Resume(args) => {
            find(&engine, &args.name).await?.resume().await?;
            report(session, &engine, &args.name, "Resumed").await
        }
        args::Schedule::Trigger(args) => {
            let handle = find(&engine, &args.name).await?.trigger().await?;
            started(session, &engine, &[handle]).await
        }
        args::Schedule::Delete(args) => {
            let schedule = find(&engine, &args.name).await?;
            let view = ScheduleView::of(&schedule);
            schedule.delete().await?;
            session
                .output
                .one(&view, || format!("Deleted schedule `{}`", args.name))?;
            Ok(Exit::Done)
        }
        args::Schedule::Preview(args) => preview(session, &engine, &args).await,
        args::Schedule::Backfill(args) => backfill(session, &engine, &args).await,
    }
}

async fn find(engine: &Engine, name: &str) -> Result<Schedule, Failure> {
    match engine.get_schedule(name).await {
        Err(error @ Error::ScheduleNotFound { .. }) => {
            let schedules = engine.schedules().await?;
            let near = nearest(name, schedules.iter().map(Schedule::id));
            let failure = Failure::from(error);
            Err(failure.did_you_mean(near))
        }
        found => Ok(found?),
    }
}

async fn list(session: &Session, engine: &Engine) -> Outcome {
    let schedules = engine.schedules().await?;
    let views: Vec<_> = schedules.iter().map(ScheduleView::of).collect();
    session.output.rows(&views)?;
    if views.is_empty() && session.output.is_text() {
        session.say("no schedules");
    }
    Ok(Exit::Done)
}

async fn show(session: &Session, engine: &Engine, name: &str) -> Outcome {
    let schedule = find(engine, name).await?;
    let view = ScheduleView::of(&schedule);
    let latest = engine.list().schedule(name).limit(LATEST).await?;
    let latest = ExecutionView::read_all(engine, &latest, &session.output).await?;
    session.output.one(&view, || {
        let mut text = format!("{}\n", session.output.drawn(std::slice::from_ref(&view)));
        if latest.is_empty() {
            text.push_str("it has started nothing yet\n");
        } else {
            text.push_str(&session.output.drawn(&latest));
        }
        text
    })?;
    Ok(Exit::Done)
}

async fn report(session: &Session, engine: &Engine, name: &str, done: &str) -> Outcome {
    let view = ScheduleView::of(&find(engine, name).await?);
    session.output.one(&view, || {
        let table = session.output.drawn(std::slice::from_ref(&view));
        format!("{done} schedule `{name}`\n{table}")
    })?;
    Ok(Exit::Done)
}

async fn create(session: &Session, engine: &Engine, args: NewSchedule) -> Outcome {
    let inputs = match &args.input {
        Some(given) => vec![value::read(given, "input")?],
        None if start::has(engine, &args.workflow) => start::no_input(),
        None => vec![start::described_without(engine, &args.workflow).await?],
    };
    let names = known(engine).await?;
    let put = async |input: &serde_json::Value| {
        let mut schedule = engine
            .schedule_by_name(&args.name, &args.workflow, input)
            .overlap(args.overlap.into())
            .catch_up(args.catch_up.into());
        if let Some(cron) = &args.cron {
            schedule = schedule.cron(cron);
        }
        if let Some(every) = &args.every {
            schedule = schedule.every(every);
        }
        if let Some(zone) = &args.zone {
            schedule = schedule.zone(zone);
        }
        if let Some(jitter) = args.jitter {
            schedule = schedule.jitter(jitter);
        }
        match schedule.await {
            Err(error @ Error::WorkflowNotFound { .. }) => {
                let failure = Failure::from(error);
                if names.contains(&args.workflow) {
                    // Only its executions tell that it exists.
                    return Err(failure.hint(
                        "no worker has described this workflow yet: run one, once, in the program that defines it",
                    ));
                }
                let near = nearest(&args.workflow, names.iter().map(String::as_str));
                Err(failure.did_you_mean(near))
            }
            written => Ok(written?),
        }
    };
    let schedule = start::first_that_fits(&inputs, put).await?;
    report(session, engine, schedule.id(), "Wrote").await
}

async fn preview(session: &Session, engine: &Engine, args: &Moments) -> Outcome {
    let schedule = find(engine, &args.name).await?;
    let moments = schedule.preview(args.count);
    let views: Vec<_> = moments
        .into_iter()
        .map(|at| MomentView::new(&args.name, at))
        .collect();
    session.output.rows(&views)?;
    if schedule.is_paused() {
        session.say(format!(
            "schedule `{}` is paused: it fires at none of them",
            args.name
        ));
    }
    Ok(Exit::Done)
}

async fn backfill(session: &Session, engine: &Engine, args: &Backfill) -> Outcome {
    let schedule = find(engine, &args.name).await?;
    let moment = |text: &str| parse_moment(text, session.output.now).map_err(Failure::usage);
    let from = moment(&args.from)?;
    let to = args.to.as_deref().map_or(Ok(session.output.now), moment)?;
    if to < from {
        return Err(Failure::usage("`--to` is before `--from`"));
    }
    if to > SystemTime::now() {
        return Err(
            Failure::usage("a backfill is for moments that have passed: `--to` has not")
                .hint("the schedule fires at those to come by itself"),
        );
    }
    let handles = schedule.backfill(from, to).await?;
    started(session, engine, &handles).await
}

async fn started(session: &Session, engine: &Engine, handles: &[Handle]) -> Outcome {
    let mut executions = Vec::with_capacity(handles.len());
    for handle in handles {
        executions.push(engine.get(handle.execution_id()).await?);
    }
    let views = ExecutionView::read_all(engine, &executions, &session.output).await?;
    session.output.rows(&views)?;
    match executions.last() {
        Some(execution) => start::warn_unserved(session, engine, execution).await?,
        None => session.say("nothing was started: every moment of it has its execution"),
    }
    Ok(Exit::Done)
}
