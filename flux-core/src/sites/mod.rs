//! Which source line of today is which recorded one.
//!
//! Equal calls are told apart by where they stand in the source. But a line number says nothing after a deploy: one
//! comment line above two equal calls moves the first to where the second was. What survives is the *order* of the lines
//! in a file: the k-th of the recorded sites is the k-th of today's, where both have as many calls at each. So do
//! the columns, where a function was moved past another, and the order in which calls are asked for, unless `join!`
//! has rotated its branches or a `select!` has begun with another.
//!
//! | the order in the file | and that of asking | say |
//! |---|---|---|
//! | agree | | they are right |
//! | cannot be compared: other counts, other files | | the order of asking |
//! | differ | every file has only moved as a whole, or not at all | the order in the file |
//! | differ | one of them keeps every column | that one |
//! | differ | otherwise | nothing does: [`Undecided`] |

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::event::{CallMeta, Event};

mod values;

pub(crate) use values::{RecordedValues, Tries, Verdict};

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    file: Arc<str>,
    line: u32,
    column: u32,
}

impl Site {
    /// Where code is today.
    pub(crate) fn today(location: &Location<'_>) -> Self {
        Self {
            file: location.file().into(),
            line: location.line(),
            column: location.column(),
        }
    }

    /// Reads what was recorded; nothing where nothing was.
    pub(crate) fn recorded(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, ':');
        let column = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        let file = parts.next()?.into();
        Some(Self { file, line, column })
    }
}

/// As it is recorded.
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Where a recorded call was made.
pub(crate) fn site_of(event: &Event) -> Option<Site> {
    Site::recorded(&event.meta::<CallMeta>().site)
}

/// How equal calls are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// By their sites: today's, and which recorded one it was.
    BySite(BTreeMap<Site, Site>),
    /// By the order in which they are asked for.
    ByOrder,
}

/// Equal calls that nothing tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undecided;

/// Tells equal calls apart, both sides in the order in which they were asked for.
pub(crate) fn tell_apart(recorded: &[Option<Site>], today: &[Site]) -> Result<Told, Undecided> {
    let in_file = match by_rank(recorded, today) {
        Some(in_file) if recorded.len() == today.len() => in_file,
        _ => return Ok(Told::ByOrder),
    };
    let asked = match by_order(recorded, today) {
        Some(asked) if asked != in_file => asked,
        _ => return Ok(Told::BySite(in_file)),
    };
    if moves_as_a_whole(&in_file) {
        return Ok(Told::BySite(in_file));
    }
    match (keeps_columns(&in_file), keeps_columns(&asked)) {
        (true, false) => Ok(Told::BySite(in_file)),
        (false, true) => Ok(Told::BySite(asked)),
        _ => Err(Undecided),
    }
}

/// The calls at each place of a file.
type Counts<'a> = BTreeMap<&'a str, BTreeMap<(u32, u32), usize>>;

fn count<'a>(sites: impl Iterator<Item = &'a Site>) -> Counts<'a> {
    let mut counts = Counts::new();
    for site in sites {
        let file = counts.entry(&site.file).or_default();
        *file.entry((site.line, site.column)).or_default() += 1;
    }
    counts
}

/// The k-th site of each file is the k-th of the same file today, if there are as many calls at each.
fn by_rank(recorded: &[Option<Site>], today: &[Site]) -> Option<BTreeMap<Site, Site>> {
    if recorded.iter().any(Option::is_none) {
        return None;
    }
    let was = count(recorded.iter().flatten());
    let is = count(today.iter());
    let mut sites = BTreeMap::new();
    for (was_file, is_file) in pair_files(&was, &is)? {
        let (was, is) = (&was[was_file], &is[is_file]);
        if !was.values().eq(is.values()) {
            return None;
        }
        for (was, is) in was.keys().zip(is.keys()) {
            let site = |file: &str, (line, column): (u32, u32)| Site {
                file: file.into(),
                line,
                column,
            };
            sites.insert(site(is_file, *is), site(was_file, *was));
        }
    }
    Some(sites)
}

/// Which file is which: by its path, by its name where a folder was renamed, and the one that is left over.
fn pair_files<'a>(was: &Counts<'a>, is: &Counts<'a>) -> Option<Vec<(&'a str, &'a str)>> {
    let mut was: Vec<&str> = was.keys().copied().collect();
    let mut is: Vec<&str> = is.keys().copied().collect();
    let mut pairs = Vec::new();
    for same in [|file| file, file_name] as [fn(&str) -> &str; 2] {
        let is_only = |files: &[&str], name: &str| {
            files.iter().filter(|file| same(file) == name).count() == 1
        };
        let left = was.clone();
        for file in left {
            let name = same(file);
            if is_only(&was, name) && is_only(&is, name) {
                let today = is.iter().position(|file| same(file) == name)?;
                pairs.push((file, is.remove(today)));
                was.retain(|other| *other != file);
            }
        }
    }
    match (was.as_slice(), is.as_slice()) {
        ([], []) => Some(pairs),
        ([was], [is]) => {
            pairs.push((was, is));
            Some(pairs)
        }
        _ => None,
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Which site is which if calls are asked for in the order they were: nothing where that gives a site two answers.
fn by_order(recorded: &[Option<Site>], today: &[Site]) -> Option<BTreeMap<Site, Site>> {
    let mut sites = BTreeMap::new();
    let mut back = BTreeMap::new();
    for (was, is) in recorded.iter().zip(today) {
        let was = was.as_ref()?;
        let is_same =
            *sites.entry(is).or_insert(was) == was && *back.entry(was).or_insert(is) == is;
        if !is_same {
            return None;
        }
    }
    let sites = sites.into_iter();
    Some(sites.map(|(is, was)| (is.clone(), was.clone())).collect())
}

/// Whether each file has moved by one distance: nothing was put between its sites.
fn moves_as_a_whole(sites: &BTreeMap<Site, Site>) -> bool {
    let mut moves = Moves::default();
    for (is, was) in sites {
        moves.note(is, was);
    }
    moves.files.values().all(|file| file.by.is_some())
}

fn keeps_columns(sites: &BTreeMap<Site, Site>) -> bool {
    sites.iter().all(|(is, was)| is.column == was.column)
}

/// Which recorded call each of today's is, by index.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assigned {
    /// For each of today's calls, in order, its recorded one.
    pub(crate) to: Vec<Option<usize>>,
    /// Whether several were asked for at one site, so that only their order told them apart.
    pub(crate) is_ambiguous: bool,
}

impl Told {
    /// Carries it out. Among the calls of one site the order of asking decides, which another `rotation` changes.
    pub(crate) fn assign(
        &self,
        recorded: &[Option<Site>],
        today: &[Site],
        rotation: usize,
    ) -> Assigned {
        let Self::BySite(sites) = self else {
            let in_order = |i| (i < recorded.len()).then_some(i);
            return Assigned {
                to: (0..today.len()).map(in_order).collect(),
                is_ambiguous: false,
            };
        };
        let mut open: BTreeMap<&Site, VecDeque<usize>> = BTreeMap::new();
        for (r, site) in recorded.iter().enumerate() {
            if let Some(site) = site {
                open.entry(site).or_default().push_back(r);
            }
        }
        let mut is_ambiguous = false;
        for alike in open.values_mut().filter(|alike| alike.len() > 1) {
            is_ambiguous = true;
            let by = rotation % alike.len();
            alike.rotate_left(by);
        }
        let take = |site| open.get_mut(sites.get(site)?)?.pop_front();
        Assigned {
            to: today.iter().map(take).collect(),
            is_ambiguous,
        }
    }
}

/// What is known of how the source has changed since a history was recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moves {
    sites: BTreeMap<Site, Site>,
    files: BTreeMap<Arc<str>, FileMove>,
}

/// How the known sites of one file have moved.
#[derive(Clone, Debug)]
struct FileMove {
    was: Arc<str>,
    /// By how many lines, if all of them by as many.
    by: Option<i64>,
}

impl Moves {
    /// A site of today is known to be a recorded one.
    pub(crate) fn note(&mut self, is: &Site, was: &Site) {
        let by = i64::from(is.line) - i64::from(was.line);
        let by = Some(by).filter(|_| is.column == was.column);
        let file = self.files.entry(Arc::clone(&is.file));
        let file = file.or_insert_with(|| FileMove {
            was: Arc::clone(&was.file),
            by,
        });
        if file.by != by || file.was != was.file {
            file.by = None;
        }
        self.sites.insert(is.clone(), was.clone());
    }

    /// Takes in how equal calls were told apart.
    pub(crate) fn learn(&mut self, told: &Told) {
        if let Told::BySite(sites) = told {
            for (is, was) in sites {
                self.note(is, was);
            }
        }
    }

    /// Whether nothing has moved, as far as that is known.
    pub(crate) fn is_still(&self) -> bool {
        let mut files = self.files.iter();
        files.all(|(is, file)| file.by == Some(0) && file.was == *is)
    }

    /// Whether a recorded site may be this one of today: whether it stands between the same known sites.
    pub(crate) fn may_be(&self, is: &Site, was: &Site) -> bool {
        let before = self.sites.range(..is).next_back();
        let after = self.sites.range(is..).next();
        let in_its_file = |(other, _): &(&Site, &Site)| other.file == is.file;
        let is_after = |(_, other): (&Site, &Site)| other.file == was.file && other < was;
        let is_before = |(_, other): (&Site, &Site)| other.file == was.file && was < other;
        before.filter(in_its_file).is_none_or(is_after)
            && after.filter(in_its_file).is_none_or(is_before)
    }

    /// Where a site of today probably was: no more than a guess, unless it is known.
    pub(crate) fn recorded(&self, is: &Site) -> Option<Site> {
        if let Some(was) = self.sites.get(is) {
            return Some(was.clone());
        }
        let file = self.files.get(&is.file)?;
        Some(Site {
            file: Arc::clone(&file.was),
            line: u32::try_from(i64::from(is.line) - file.by?).ok()?,
            column: is.column,
        })
    }
}

#[cfg(test)]
mod tests;
