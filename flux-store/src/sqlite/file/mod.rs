//! The file itself: its name, its schema, its maintenance.

pub(crate) mod backend;
pub(crate) mod inspect;
pub(crate) mod maintenance;
pub(crate) mod migrate;
pub(crate) mod path;
pub(crate) mod presence;
