//! Hearing that somebody writes to the log file, where the system tells: what another process has written is then noticed in
//! a moment, and not when the file is asked next.
//!
//! Each commit writes to the file that SQLite keeps beside the database until its next checkpoint. Own commits are heard, too,
//! so nothing is heard for a while after each time.

use std::path::{Path, PathBuf};

/// The log file of a database.
pub(crate) fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

#[cfg(target_os = "linux")]
pub(crate) use linux::WalWatch;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::Unheard as WalWatch;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use inotify::{Inotify, WatchMask, Watches};

    /// After each time that something was heard, nothing is heard for so long: a process that commits without a pause neither
    /// wakes the thread nor pays for an event with each of its commits.
    const DEAF: Duration = Duration::from_millis(3);

    /// A thread that sleeps until the log file is written to.
    pub(crate) struct WalWatch {
        watches: Watches,
        log: PathBuf,
        is_closing: Arc<AtomicBool>,
    }

    impl WalWatch {
        /// Calls `heard` when the log file was written to, or may have been, until this is dropped. `None` where the system
        /// cannot tell, or there is no such file: then the file has to be asked.
        pub(crate) fn new(log: &Path, heard: impl Fn() + Send + 'static) -> Option<Self> {
            let inotify = Inotify::init();
            let started = inotify.and_then(|inotify| Self::start(inotify, log, heard));
            started
                .inspect_err(|error| {
                    tracing::debug!(%error, file = %log.display(), "writes of other processes are noticed a little later");
                })
                .ok()
        }

        fn start(
            inotify: Inotify,
            log: &Path,
            heard: impl Fn() + Send + 'static,
        ) -> io::Result<Self> {
            let mut watches = inotify.watches();
            watch_once(&mut watches, log)?;
            let is_closing = Arc::new(AtomicBool::new(false));
            let ear = Ear {
                inotify,
                watches: watches.clone(),
                log: log.to_owned(),
                is_closing: Arc::clone(&is_closing),
            };
            let thread = thread::Builder::new().name("flux-wal".to_owned());
            thread.spawn(move || ear.listen(&heard))?;
            Ok(Self {
                watches,
                log: log.to_owned(),
                is_closing,
            })
        }
    }

    impl Drop for WalWatch {
        fn drop(&mut self) {
            self.is_closing.store(true, Ordering::Relaxed);
            // That a watch is removed is an event, too, and wakes the thread. Its end is not waited for: it may be deaf.
            if let Ok(watch) = watch_once(&mut self.watches, &self.log) {
                let _ = self.watches.remove(watch);
            }
        }
    }

    /// What the thread has.
    struct Ear {
        inotify: Inotify,
        watches: Watches,
        log: PathBuf,
        is_closing: Arc<AtomicBool>,
    }

    impl Ear {
        fn listen(mut self, heard: &impl Fn()) {
            let mut buffer = [0; 1024];
            while self.inotify.read_events_blocking(&mut buffer).is_ok() {
                if self.is_closing.load(Ordering::Relaxed) {
                    return;
                }
                heard();
                thread::sleep(DEAF);
                if watch_once(&mut self.watches, &self.log).is_err() {
                    return;
                }
                // What was written while nothing was heard.
                heard();
            }
        }
    }

    /// The next write is an event, and no further one.
    fn watch_once(watches: &mut Watches, log: &Path) -> io::Result<inotify::WatchDescriptor> {
        watches.add(log, WatchMask::MODIFY | WatchMask::ONESHOT)
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::path::Path;

    /// A watch where the system does not tell.
    pub(crate) struct Unheard;

    impl Unheard {
        pub(crate) fn new(_log: &Path, _heard: impl Fn() + Send + 'static) -> Option<Self> {
            None
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::path::Path;
    use std::sync::mpsc;

    use super::{WalWatch, log_of};

    #[test]
    fn a_write_to_the_log_file_is_heard_and_none_after_the_watch_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let log = log_of(&folder.path().join("flux.db"));
        std::fs::write(&log, "").unwrap();
        let (sender, heard) = mpsc::channel();
        let watch = WalWatch::new(&log, move || sender.send(()).unwrap()).unwrap();
        let mut file = OpenOptions::new().append(true).open(&log).unwrap();
        file.write_all(b"frame").unwrap();
        heard.recv().unwrap();
        drop(watch);
        file.write_all(b"frame").unwrap();
        // The thread ends, and what it calls with it.
        assert!(heard.iter().count() <= 2);
    }

    #[test]
    fn a_file_that_is_not_there_is_asked_instead() {
        assert!(WalWatch::new(Path::new("/no/such/flux.db-wal"), || ()).is_none());
    }

    #[test]
    fn the_log_lies_beside_its_database() {
        assert_eq!(log_of(Path::new("a/flux.db")), Path::new("a/flux.db-wal"));
    }
}
