//! Noticing that owners are lost: nobody tells.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::life::{Life, Lost};
use crate::sqlite::io::reader::Readers;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(400);

/// Looks for owners who have died or stalled.
#[derive(Clone)]
pub(crate) struct DeathWatch {
    life: Arc<Life>,
    readers: Arc<Readers>,
    looked: Option<Instant>,
    /// Those that were lost at the last look.
    lost: Vec<Lost>,
}

impl DeathWatch {
    pub(crate) fn new(life: Arc<Life>, readers: Arc<Readers>) -> Self {
        Self {
            life,
            readers,
            looked: None,
            lost: Vec::new(),
        }
    }

    /// Looks, if it is time to; true when somebody is lost who was not.
    pub(crate) fn look(&mut self) -> bool {
        if self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return false;
        }
        self.looked = Some(Instant::now());
        let found = self
            .readers
            .read(1, |connection| self.life.all_lost(connection));
        match found {
            Ok(lost) => {
                let is_news = lost.iter().any(|lost| !self.lost.contains(lost));
                self.lost = lost;
                is_news
            }
            // Who asks for work meets the error, and says so.
            Err(_) => false,
        }
    }
}
