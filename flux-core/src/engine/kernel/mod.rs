//! What everything else in the engine stands on: what one engine owns, and the words in which its parts speak.

pub(crate) mod drivers;
pub(crate) mod log;
mod obstacle;
pub(crate) mod owner;
pub(crate) mod present;
pub(crate) mod wire;
pub(crate) mod write;
