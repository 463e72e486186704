//! Whether the file that is open is still the one that its name means.
//!
//! A database is three files that find each other by their names, and workers find each other by a folder beside it. So
//! one file must have one name ([`other_names`]), and when another file takes the name, or none has it any more, what is
//! written through the open connections would be in no file that anyone opens later.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::ffi;

use super::path::Location;
use crate::sync::lock;

/// How often those who read look, and how often the log is looked at.
const EVERY: Duration = Duration::from_millis(100);

/// How long a look counts for later writes, in microseconds. This widens no window by much: between a look and the end of
/// the commit after it, the file can be replaced unseen in any case. A commit that waits for the disk takes longer than
/// this, so that the next one is preceded by a look of its own.
const FRESH: u64 = 50;

/// What has become of a file that was opened.
pub(crate) struct Presence {
    file: PathBuf,
    log: PathBuf,
    opened: Mark,
    /// The log, once it was seen.
    opened_log: Mutex<Option<Mark>>,
    began: Instant,
    /// When the next look is due, in microseconds since the beginning.
    next: AtomicU64,
    /// Until when the latest look counts, likewise.
    fresh_until: AtomicU64,
}

/// Tells a file from others, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
}

impl Mark {
    #[cfg(unix)]
    fn of(found: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self {
            device: found.dev(),
            inode: found.ino(),
        }
    }

    /// Elsewhere an open file can be neither replaced nor deleted.
    #[cfg(not(unix))]
    fn of(_found: &Metadata) -> Self {
        Self {
            device: 0,
            inode: 0,
        }
    }
}

impl Presence {
    /// Remembers the file that has just been opened.
    pub(crate) fn of(at: &Location) -> io::Result<Self> {
        Ok(Self {
            opened: Mark::of(&fs::symlink_metadata(&at.file)?),
            file: at.file.clone(),
            log: at.wal(),
            opened_log: Mutex::default(),
            began: Instant::now(),
            next: AtomicU64::new(0),
            fresh_until: AtomicU64::new(0),
        })
    }

    /// Looks at the file, unless the latest look is younger than [`FRESH`].
    pub(crate) fn check(&self) -> rusqlite::Result<()> {
        if self.micros() < self.fresh_until.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.look()
    }

    /// Looks at the file, which takes about a microsecond, and every 100 ms at its log. After the file was opened by its
    /// name, no earlier look counts: what was opened may be another file.
    pub(crate) fn look(&self) -> rusqlite::Result<()> {
        let now = self.micros();
        let is_there = match fs::symlink_metadata(&self.file) {
            Ok(found) => found.len() > 0 && Mark::of(&found) == self.opened,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        if !is_there || (self.is_time() && !self.has_its_log()) {
            return Err(moved());
        }
        self.fresh_until
            .store(now.saturating_add(FRESH), Ordering::Relaxed);
        Ok(())
    }

    /// The same for those who only read, who can wait for the next look.
    pub(crate) fn check_now_and_then(&self) -> rusqlite::Result<()> {
        if self.micros() < self.next.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.check()
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether it is time to look again; then the next time is later. As long as something is wrong it is always time.
    fn is_time(&self) -> bool {
        self.micros() >= self.next.load(Ordering::Relaxed)
    }

    /// SQLite keeps the log as long as the file is open; a file that is not in WAL mode has none.
    fn has_its_log(&self) -> bool {
        let found = match fs::symlink_metadata(&self.log) {
            Ok(found) => Some(Mark::of(&found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => return true,
        };
        let mut opened = lock(&self.opened_log);
        let is_there = opened.is_none() || *opened == found;
        if is_there {
            *opened = found;
            let every = u64::try_from(EVERY.as_micros()).unwrap_or(u64::MAX);
            self.next
                .store(self.micros().saturating_add(every), Ordering::Relaxed);
        }
        is_there
    }
}

/// What SQLite says of a file that has no name any more.
fn moved() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED), None)
}

/// Why a file that has more than one name cannot be opened by this one, if it has: the log would be kept apart for each
/// name, which damages the file.
pub(crate) fn other_names(file: &Path, found: &Metadata) -> Option<&'static str> {
    const HARD_LINK: &str = "it has another name as well (a hard link), and programs that open it by different names would \
         damage it: delete one of the names, or make it a symbolic link";
    const MOUNTED: &str = "it is mounted by itself, so that its log would not lie beside it where it comes from, and programs \
         that open it in both places would damage it: mount its folder instead";
    if names(found) > 1 {
        return Some(HARD_LINK);
    }
    is_mount_point(file).then_some(MOUNTED)
}

#[cfg(unix)]
fn names(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(found)
}

#[cfg(not(unix))]
fn names(_found: &Metadata) -> u64 {
    1
}

/// Whether something is mounted at just this path. Where there is no such list, it cannot be told.
fn is_mount_point(file: &Path) -> bool {
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else {
        return false;
    };
    let Some(file) = file.to_str() else {
        return false;
    };
    mounts
        .lines()
        .filter_map(|mount| mount.split(' ').nth(4))
        .any(|place| unescaped(place) == file)
}

/// Spaces and the like are written as three octal digits there.
fn unescaped(place: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .into_iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(place.to_owned(), |place, (code, text)| {
            place.replace(code, text)
        })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::sqlite::file::inspect::Errand;

    /// A reader that opened a file that had just taken the name was lent, because the look before the opening still counted.
    #[test]
    fn a_look_after_opening_never_relies_on_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("a.db"), folder.path().join("b.db"));
        fs::write(&file, "one").unwrap();
        fs::write(&other, "two").unwrap();
        let at = Location::resolve(&file, Errand::Look).unwrap();
        let presence = Presence::of(&at).unwrap();
        presence.check().unwrap();
        fs::rename(&other, &file).unwrap();
        presence.fresh_until.store(u64::MAX, Ordering::Relaxed);
        presence.check().unwrap();
        presence.look().unwrap_err();
    }
}
