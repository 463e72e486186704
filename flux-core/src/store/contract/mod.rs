//! The tests of every promise a [`Store`] makes, for our backends and for yours.
//!
//! One file per promise, one test per sentence. A backend names a function that makes an empty
//! store, and gets one `#[test]` for each:
//!
//! ```ignore
//! use flux_core::store::contract::Fresh;
//!
//! async fn fresh() -> Fresh {
//!     let folder = tempfile::tempdir().unwrap();
//!     let store = MyStore::open(folder.path()).await.unwrap();
//!     Fresh::with(store, folder) // the folder lives as long as the test
//! }
//!
//! flux_core::store_contract!(fresh);
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a promise that is not kept is a panic"
)]

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Store;

pub mod changes;
pub mod claims;
pub mod commits;
pub mod fencing;
pub mod given;
pub mod grouping;
pub mod histories;
pub mod inboxes;
pub mod listings;
pub mod model;
pub mod outboxes;
pub mod published;
pub mod transactions;

/// Longer than this is a hang: every promise is kept in well under a second.
const PATIENCE: Duration = Duration::from_mins(2);

/// An empty store for one test, and what must live as long as it.
pub struct Fresh {
    store: Arc<dyn Store>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Fresh {
    /// A store that needs nothing else.
    pub fn new(store: impl Store) -> Self {
        Self::with(store, ())
    }

    /// A store and what must outlive it: a temporary folder, a server.
    pub fn with(store: impl Store, keep: impl Any + Send + Sync) -> Self {
        Self {
            store: Arc::new(store),
            _keep: Box::new(keep),
        }
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fresh").field(&self.store).finish()
    }
}

/// Runs one promise on a fresh store, on a runtime of its own.
///
/// # Panics
///
/// When the promise is not kept.
pub fn check<M, P>(fresh: impl FnOnce() -> M, promise: impl FnOnce(Arc<dyn Store>) -> P)
where
    M: Future<Output = Fresh>,
    P: Future<Output = ()>,
{
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let fresh = fresh().await;
        let kept = tokio::time::timeout(PATIENCE, promise(Arc::clone(&fresh.store)));
        kept.await.expect("the promise is kept within two minutes");
    });
}

/// Makes one `#[test]` per promise of the [`Store`] contract, for the store that the named
/// `async fn() -> Fresh` makes.
#[macro_export]
macro_rules! store_contract {
    ($fresh:ident) => {
        $crate::store_contract! { @ $fresh;
            commits:
                a_commit_is_there_for_every_reader,
                a_new_execution_starts_as_its_row_says,
                an_id_is_given_once,
                a_change_is_what_the_row_says_after,
                a_commit_without_change_leaves_the_row,
                a_dropped_commit_happens_whole_or_not_at_all;
            fencing:
                a_stale_epoch_writes_nothing,
                a_gap_in_the_numbering_writes_nothing,
                a_number_is_written_once,
                an_unknown_execution_is_fenced,
                a_refused_commit_has_no_side_effects;
            grouping:
                a_stale_commit_does_not_hinder_those_around_it,
                of_two_commits_of_one_number_one_is_written,
                concurrent_commits_of_many_executions_all_happen;
            claims:
                a_living_owner_is_not_robbed,
                a_departed_owner_is_replaced,
                an_owner_may_claim_again,
                a_released_execution_is_free,
                a_commit_may_release,
                a_late_release_changes_nothing,
                an_unknown_execution_cannot_be_claimed,
                of_many_who_claim_one_wins,
                an_orphan_is_running_and_has_no_living_owner;
            histories:
                a_history_is_read_in_pages,
                every_field_of_an_event_comes_back,
                the_last_event_is_known,
                histories_do_not_mix;
            listings:
                the_newest_comes_first,
                pages_continue_where_the_last_one_ended,
                filters_are_combined;
            inboxes:
                messages_come_in_order,
                a_consumed_message_is_gone,
                a_commit_consumes_only_its_own_messages,
                a_repeat_is_dropped_also_after_consumption,
                nobody_is_home,
                messages_are_listed_from_the_one_last_seen;
            outboxes:
                messages_are_sent_with_the_commit,
                missing_and_finished_receivers_are_passed_over,
                a_repeat_from_an_outbox_is_dropped;
            published:
                the_latest_value_wins;
            transactions:
                a_failed_body_leaves_its_error_and_nothing_else,
                a_panic_in_a_body_is_an_error,
                a_body_knows_that_it_runs;
            changes:
                a_post_is_news,
                news_count_from_the_call,
                one_may_stop_waiting;
            model:
                random_operations_leave_what_they_leave_in_memory;
        }
    };
    (@ $fresh:ident; $($file:ident: $($promise:ident),+;)+) => {
        $(
            mod $file {
                $(
                    #[test]
                    fn $promise() {
                        $crate::store::contract::check(super::$fresh, $crate::store::contract::$file::$promise);
                    }
                )+
            }
        )+
    };
}
