//! Waiting: until a body ends, a timer is due, or somebody wants something.

use std::sync::Arc;
use std::time::Duration;

use super::Driver;
use super::core::Core;
use super::link::Link;
use super::watch;
use crate::engine::kernel::Kernel;

/// A driver that waits longer than this is told of what other processes send; before that it is not worth a
/// look at the file.
const BRIEF: Duration = Duration::from_millis(20);

/// A driver that takes more turns than this without such a wait is told as well.
const MOST_BRIEF_TURNS: u32 = 64;

impl Driver {
    /// Waits until there may be something to do.
    pub(super) async fn wait(&mut self) {
        let now = self.core.now();
        // What is due wakes nothing that is to be put on hold.
        let is_free = !self.core.inbox.is_held();
        let due = self.core.calls.due();
        let length = due.first_length().filter(|_| is_free);
        let length = length.into_iter().chain(self.core.next_stop()).min();
        let moment = due.first_moment().filter(|_| is_free);
        let time = Arc::clone(&self.kernel.time);
        let passed = async {
            match length {
                Some(at) => time.pass(at.since(now)).await,
                None => std::future::pending().await,
            }
        };
        let come = async {
            match moment {
                Some(at) => time.until(at).await,
                None => std::future::pending().await,
            }
        };
        let brief = async {
            if self.link.is_watched {
                std::future::pending::<()>().await;
            } else {
                tokio::time::sleep(BRIEF).await;
            }
        };
        let idle_limit = self
            .link
            .idle_limit(&self.kernel, &self.core)
            .filter(|_| self.link.is_watched);
        let drowsy = async move {
            match idle_limit {
                Some(limit) => tokio::time::sleep(limit).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            input = self.link.inputs.next() => if let Some(input) = input {
                self.link.take(&mut self.core, input);
            },
            () = passed => length.into_iter().for_each(|at| self.core.time.reach(at)),
            () = come => moment.into_iter().for_each(|at| self.core.time.reach(at)),
            () = drowsy => self.link.ask_to_rest(),
            () = brief => self.link.listen(&self.kernel, &mut self.core),
        }
    }
}

impl Link {
    /// Counts turns that were taken without a wait as long as [`BRIEF`]. Code that never waits is told of what other
    /// processes send nevertheless.
    pub(super) fn count_turns(&mut self, kernel: &Arc<Kernel>, core: &mut Core, turns: u32) {
        self.brief_turns = self.brief_turns.saturating_add(turns);
        if self.brief_turns >= MOST_BRIEF_TURNS && !self.is_watched {
            self.listen(kernel, core);
        }
    }

    /// From here on, this driver is told of what other processes send.
    fn listen(&mut self, kernel: &Arc<Kernel>, core: &mut Core) {
        self.is_watched = true;
        watch::ensure(kernel);
        core.inbox.expect_news();
    }
}
