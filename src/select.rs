/// Waits for the first of several branches, as `tokio::select!` does, and polls them in source order.
///
/// # Determinism
///
/// `tokio::select!` picks its first branch at random. A replay has to take the branch that was taken, so in code that
/// is replayed branches are polled in source order. Inside `#[workflow]` and `#[durable]` functions `tokio::select!`
/// does the same by itself; elsewhere, use this.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let first = flux::select! {
///     one = async { 1 } => one,
///     two = async { 2 } => two,
/// };
/// assert_eq!(first, 1);
/// # }
/// ```
#[macro_export]
macro_rules! select {
    (biased; $($branches:tt)*) => { $crate::__private::tokio::select! { biased; $($branches)* } };
    ($($branches:tt)*) => { $crate::__private::tokio::select! { biased; $($branches)* } };
}
