//! Whose code is running on this thread: a workflow's, a task body's, a transaction's, or none of them.

use std::cell::RefCell;
use std::sync::Arc;

use super::body::BodyContext;
use super::shared::Shared;

/// Whose code is running.
#[derive(Clone)]
pub(crate) enum Current {
    /// A workflow's: durable calls are recorded.
    Workflow(Arc<Shared>),
    /// A task body's: durable calls are plain calls.
    Body(Arc<BodyContext>),
    /// The statements of a transaction, which hold the store.
    Transaction,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Runs `f` as the code of `current`, and puts back what was before, also when it panics.
pub(crate) fn enter<R>(current: Current, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Current>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let before = self.0.take();
            CURRENT.with(|cell| cell.replace(before));
        }
    }
    let _restore = Restore(CURRENT.with(|cell| cell.replace(Some(current))));
    f()
}

/// Whose code runs here, if it is anyone's.
pub(crate) fn code() -> Option<Current> {
    CURRENT.with_borrow(Clone::clone)
}

/// The workflow whose code runs here, if it is a workflow's.
pub(crate) fn workflow() -> Option<Arc<Shared>> {
    CURRENT.with_borrow(|current| match current {
        Some(Current::Workflow(shared)) => Some(Arc::clone(shared)),
        _ => None,
    })
}

/// The body that runs here, if one does.
pub(crate) fn body() -> Option<Arc<BodyContext>> {
    CURRENT.with_borrow(|current| match current {
        Some(Current::Body(body)) => Some(Arc::clone(body)),
        _ => None,
    })
}

/// Whether the code that runs here is this workflow's.
pub(crate) fn is_workflow(shared: &Arc<Shared>) -> bool {
    CURRENT.with_borrow(
        |current| matches!(current, Some(Current::Workflow(here)) if Arc::ptr_eq(here, shared)),
    )
}
