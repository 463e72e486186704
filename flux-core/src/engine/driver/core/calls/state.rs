//! How calls stand.

/// How a call stands, as far as that decides about the execution as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallState {
    /// A task whose body begins as soon as what is before it is committed.
    Ready,
    /// A task whose body runs.
    Running,
    /// A task whose body has returned.
    Returned,
    /// A task that waits for its next attempt.
    Backoff,
    /// A task whose body is not begun before the execution goes on.
    Deferred,
    /// Statements that were not run yet.
    Transaction,
    /// A child that is to be looked at.
    ChildReady,
    /// A child that is at work in this process, or whose end is about to be delivered.
    ChildHere,
    /// A child that others drive, or will.
    ChildAway,
    /// A child that waits for a `resume`.
    ChildPaused,
    /// A child that is not set to work before the execution goes on.
    ChildDeferred,
    /// A pause point.
    Paused,
    /// A timer, or a call that waits for a signal.
    Waiting,
    /// A call that waits to be told of a cancellation.
    Uncancelled,
    /// A call whose outcome is known.
    Reused,
}

impl CallState {
    pub(super) const COUNT: usize = Self::Reused as usize + 1;

    pub(super) const CHILDREN: [Self; 5] = [
        Self::ChildReady,
        Self::ChildHere,
        Self::ChildAway,
        Self::ChildPaused,
        Self::ChildDeferred,
    ];

    pub(super) const TASKS: [Self; 5] = [
        Self::Ready,
        Self::Running,
        Self::Returned,
        Self::Backoff,
        Self::Deferred,
    ];
}
