//! The way to the file: the connection that writes, those that read, and the threads they run on.

pub(crate) mod call;
pub(crate) mod caller_thread;
pub(crate) mod connection;
pub(crate) mod group;
pub(crate) mod reader;
pub(crate) mod thread;
pub(crate) mod transaction;
pub(crate) mod write;
pub(crate) mod writer;
