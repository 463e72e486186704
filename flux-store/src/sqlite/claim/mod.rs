//! What may start or be taken up, and by whom: queues, gates and limits, decided inside the claiming transaction.

pub(crate) mod barrier;
pub(crate) mod gate;
pub(crate) mod orphan;
pub(crate) mod pending;
pub(crate) mod ready;
pub(crate) mod takeover;
pub(crate) mod turn;
pub(crate) mod work;
