//! Which processes are alive, and what they tell each other.

pub(crate) mod beat;
pub(crate) mod death;
pub(crate) mod life;
pub(crate) mod wal;
pub(crate) mod watch;
pub(crate) mod worker;
