//! Checks that a live run, its replays and always-replay agree, from every point at which it could crash.

use flux::{Event, EventKind, Workflow};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Shelf, When, lines, ran, unique};

/// What must come out after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// The output of the undisturbed run.
    Same,
    /// Any: a crash delays bodies, and so decides races.
    Any,
}

/// Runs the workflow undisturbed, always replayed, and crashed before and after each of its commits.
pub(crate) async fn check<I, O>(workflow: Workflow<I, O>, input: I, expected: Output)
where
    I: Serialize + Clone,
    O: DeserializeOwned + PartialEq + std::fmt::Debug + Clone + 'static,
{
    let id = unique(workflow.name());
    let shelf = Shelf::memory();
    let on = workflow.on(&shelf.engine().await);
    let live = on.run(input.clone()).execution_id(&id).await.unwrap();
    let output = live.output().unwrap_or_else(|| panic!("{live}")).clone();
    let history = lines(&live.events().await.unwrap());
    let commits = shelf.commits();
    let again = shelf.engine().await.replay(&id).await.unwrap();
    assert!(again.is_finished, "{again:?}");

    let id = unique(workflow.name());
    let shelf = Shelf::memory().always_replay();
    let on = workflow.on(&shelf.engine().await);
    let replayed = on.run(input.clone()).execution_id(&id).await.unwrap();
    assert_eq!(
        lines(&replayed.events().await.unwrap()),
        history,
        "live (right) and always-replay (left) differ"
    );
    assert_eq!(replayed.output(), Some(&output));

    crash_after_each(workflow, input.clone()).await;
    for commit in 1..=commits {
        for when in [When::BeforeCommit, When::AfterCommit] {
            let crashed = Crashed {
                workflow,
                input: input.clone(),
                commit,
                when,
            };
            let found = crashed.check().await;
            if expected == Output::Same {
                assert_eq!(found, output, "crashed {when:?} {commit}");
            }
        }
    }
}

/// The process dies again and again, each time a few commits later: the recovery needs
/// some for itself.
async fn crash_after_each<I, O>(workflow: Workflow<I, O>, input: I)
where
    I: Serialize + Clone,
    O: DeserializeOwned + PartialEq + std::fmt::Debug + Clone + 'static,
{
    let id = unique(workflow.name());
    let shelf = Shelf::memory();
    let mut before = Vec::new();
    for time in 0..200 {
        shelf.stop_at(2 + time % 5, When::AfterCommit);
        let engine = shelf.builder().max_recoveries(1000).build().await.unwrap();
        let run = workflow.on(&engine).run(input.clone()).execution_id(&id);
        let ended = shelf.crash(run).await;
        let history = engine.history(&id).await.unwrap();
        assert_eq!(
            history[..before.len()],
            before,
            "the history is no continuation"
        );
        if let Some(run) = ended {
            let run = run.unwrap_or_else(|error| panic!("{error}\n{}", lines(&history)));
            assert!(run.has_succeeded(), "{run}");
            return;
        }
        before = history;
        drop(engine);
        shelf.nobody_is_left().await;
    }
    panic!("it never ends:\n{}", lines(&before));
}

struct Crashed<I, O> {
    workflow: Workflow<I, O>,
    input: I,
    commit: usize,
    when: When,
}

impl<I, O> Crashed<I, O>
where
    I: Serialize + Clone,
    O: DeserializeOwned + PartialEq + std::fmt::Debug + Clone + 'static,
{
    async fn check(&self) -> O {
        let at = format!("crashed {:?} {}", self.when, self.commit);
        let id = unique(self.workflow.name());
        let shelf = Shelf::memory();
        shelf.stop_at(self.commit, self.when);
        let on = self.workflow.on(&shelf.engine().await);
        let run = on.run(self.input.clone()).execution_id(&id);
        // On a busy machine the run before may have taken more commits than this one.
        if let Some(run) = shelf.crash(run).await {
            assert!(
                self.commit > 1,
                "{at}: it ran on, and every run has a first commit"
            );
            let run = run.unwrap_or_else(|error| panic!("{at}: it ran on, and {error}"));
            let output = run.output().cloned();
            return output.unwrap_or_else(|| panic!("{at}: it ran on: {run}"));
        }
        drop(on);
        shelf.nobody_is_left().await;
        shelf.go_on();

        let engine = shelf.engine().await;
        let before = engine.history(&id).await.unwrap_or_default();
        if !before.is_empty() {
            let replayed = engine.replay(&id).await;
            replayed.unwrap_or_else(|error| panic!("{at}: {error}\n{}", lines(&before)));
        }
        let on = self.workflow.on(&engine);
        let run = on.run(self.input.clone()).execution_id(&id).await;
        let run = run.unwrap_or_else(|error| panic!("{at}: {error}\n{}", lines(&before)));
        let after = run.events().await.unwrap();
        assert_eq!(
            after[..before.len()],
            before,
            "{at}: the history is no continuation"
        );
        for task in tasks_of(&before) {
            let completed = completed(&before, &task);
            let calls = calls(&after, &task);
            let bodies = ran(&id, &task);
            assert!(
                bodies <= 2 * calls - completed,
                "{at}: `{task}` ran {bodies} times\n{}",
                lines(&after)
            );
        }
        let output = run
            .output()
            .unwrap_or_else(|| panic!("{at}: {run}\n{}", lines(&after)));
        output.clone()
    }
}

fn tasks_of(events: &[Event]) -> Vec<String> {
    let mut names = super::names(events, EventKind::TaskStarted);
    names.sort();
    names.dedup();
    names
}

fn calls(events: &[Event], task: &str) -> usize {
    let names = super::names(events, EventKind::TaskStarted);
    names.iter().filter(|name| *name == task).count()
}

fn completed(events: &[Event], task: &str) -> usize {
    let is_call = |event: &&Event| {
        event.kind == EventKind::TaskStarted && event.name.as_deref() == Some(task)
    };
    let calls: Vec<_> = events
        .iter()
        .filter(is_call)
        .map(|event| Some(event.seq))
        .collect();
    let is_end =
        |event: &&Event| event.kind == EventKind::TaskCompleted && calls.contains(&event.refers);
    events.iter().filter(is_end).count()
}
