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

pub mod catalog;
pub mod changes;
pub mod children;
pub mod claims;
pub mod commits;
pub mod fencing;
pub mod gates;
pub mod given;
pub mod grouping;
pub mod histories;
pub mod inboxes;
pub mod listings;
pub mod model;
pub mod obstacles;
pub mod outboxes;
pub mod published;
pub mod queues;
pub mod schedules;
pub mod set_back;
pub mod takeovers;
pub mod transactions;
pub mod turns;
pub mod woken;

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
                a_second_release_changes_nothing,
                an_owner_is_told_what_it_owns,
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
                filters_are_combined,
                placements_and_moments_are_filters_too,
                a_piece_of_an_id_finds_it,
                a_piece_of_an_id_is_taken_as_it_stands,
                an_id_in_full_is_found_alone,
                each_workflow_is_counted_by_status;
            children:
                children_are_created_with_the_commit,
                a_refused_child_hinders_nothing,
                a_fenced_commit_creates_no_child,
                a_commit_sends_messages_to_the_children_it_creates,
                a_commit_gives_orders_to_its_own_children_alone;
            inboxes:
                messages_come_in_order,
                an_inbox_is_read_from_the_one_last_seen,
                a_consumed_message_is_gone,
                a_commit_consumes_only_its_own_messages,
                a_repeat_is_dropped_also_after_consumption,
                nobody_is_home,
                an_unread_command_refuses_a_commit_that_heeds_it,
                what_has_finished_keeps_no_command,
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
                whatever_may_give_work_is_news,
                one_may_stop_waiting;
            woken:
                a_worker_without_room_is_told_what_is_ready,
                a_sleeper_is_given_when_its_moment_has_come,
                the_earliest_is_given_first,
                a_worker_gets_only_what_it_can_drive,
                a_message_wakes_a_sleeper,
                a_message_of_a_commit_wakes_a_sleeper,
                an_unseen_message_keeps_it_from_sleeping,
                one_on_hold_is_woken_by_what_ends_or_resumes_it,
                what_has_finished_is_never_woken,
                the_limit_per_worker_holds_for_the_woken;
            turns:
                a_pending_execution_is_started,
                a_placement_comes_back,
                a_delayed_execution_is_not_started_early,
                priority_comes_before_age,
                partitions_take_turns,
                no_priority_takes_the_turn_of_another_partition,
                queues_take_turns,
                what_cannot_be_taken_is_in_nobodys_way,
                a_claimed_one_is_not_started,
                one_is_given_alone,
                nothing_is_given_twice;
            queues:
                limits_are_kept,
                queues_are_listed,
                no_more_run_than_the_limit,
                starts_have_times_in_the_order_in_which_they_were_decided,
                one_worker_gets_no_more_than_its_share,
                a_paused_queue_starts_nothing,
                no_span_has_more_starts_than_the_rate,
                the_rate_says_when_the_next_may_start,
                a_start_is_later_than_the_end_it_waited_for,
                a_queue_needs_no_settings;
            gates:
                a_full_gate_refuses,
                one_is_inside_until_it_has_finished,
                those_who_wait_go_in_as_others_leave,
                nobody_overtakes_those_who_wait,
                one_that_is_not_due_is_in_nobodys_way,
                one_who_cannot_go_in_does_not_block_the_gate,
                partitions_take_turns_before_a_gate,
                a_claimed_one_makes_room_for_the_next,
                a_cancelled_one_leaves_its_place,
                one_alone_goes_in_if_there_is_room,
                a_dedup_key_is_free_when_its_execution_has_finished;
            takeovers:
                the_dead_are_lost_and_the_living_are_not,
                what_the_dead_owned_is_given_to_the_living,
                what_the_dead_come_to_own_is_given_at_once,
                nobody_takes_over_what_he_cannot_drive,
                what_kills_again_and_again_is_put_on_hold,
                a_pending_one_is_back_in_line,
                workers_are_listed;
            obstacles:
                an_obstacle_is_kept,
                an_obstacle_is_taken_away_by_a_change,
                a_late_obstacle_is_not_kept,
                a_queue_is_a_barrier,
                a_rate_is_a_barrier,
                a_gate_is_a_barrier;
            schedules:
                a_schedule_is_kept,
                a_schedule_can_be_changed_and_deleted,
                schedules_are_listed_by_name,
                due_schedules_are_found,
                several_fire_together,
                a_fired_schedule_starts_executions,
                a_moment_is_fired_for_once,
                by_hand_it_starts_without_moving_on,
                an_unfinished_one_may_stop_the_next,
                an_unfinished_one_may_be_cancelled,
                what_cannot_be_started_is_skipped;
            set_back:
                what_sleeps_keeps_the_length_of_its_wait,
                a_delay_keeps_its_length_and_a_moment_its_place,
                what_several_notice_counts_once,
                a_step_that_nobody_told_of_is_found,
                a_step_that_was_told_is_not_found_again,
                a_time_that_was_reckoned_wrongly_is_corrected,
                what_waits_for_its_turn_starts_by_the_present_clock,
                starts_that_lie_in_the_future_count_in_no_window;
            catalog:
                the_latest_description_is_kept,
                a_description_is_renewed_by_the_hour,
                what_a_worker_takes_is_listed;
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
