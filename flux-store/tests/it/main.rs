//! What the SQLite store promises beyond the contract: files, processes, crashes, full disks.

#![expect(clippy::unwrap_used, reason = "a test")]

mod child;
mod crash;
mod damage;
mod disk_full;
mod durability;
mod find;
mod given;
mod maintenance;
mod names;
mod newer;
mod news;
mod onlooker;
mod open;
mod processes;
mod refuse;
mod runtimes;
mod transactions;
mod views;
