//! What the expansions of the macros refer to. No part of the public API: it changes with the macros, which are pinned to
//! this version.

pub use flux_core::private::*;
pub use {inventory, tokio};
