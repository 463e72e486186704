//! How an engine comes to be: its builder, its settings, and where its store is.

mod builder;
mod default_store;
mod location;
mod open;

pub use builder::EngineBuilder;
pub use default_store::{DefaultStore, NamedBy, SettingsError};
pub use location::{Backend, Opening, StoreLocation, maintain};
