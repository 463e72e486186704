//! A recorded history as a file: a line for the execution, then a line for each event, as the store gives them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flux::clock::Timestamp;
use flux::sqlite::SqliteStore;
use flux::store::{
    Change, Commit, ExecutionRecord, NewExecution, Placement, Release, Store, Target,
};
use flux::{Event, EventKind, EventSeq, Payload, Replayed, Status, WorkerId};
use serde::{Deserialize, Deserializer, Serialize};

/// Where the folders of all versions are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("histories/recorded")
}

/// One execution and its events.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) row: Row,
    pub(crate) events: Vec<Line>,
}

/// What a replay reads of the row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    workflow: String,
    version: u32,
    format: u32,
    pub(crate) status: Status,
    attempt: u32,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    base: EventSeq,
    rewound: Option<EventSeq>,
    parent: Option<String>,
    pub(crate) replayed: Counts,
}

/// What the version that recorded it found when it replayed it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    events: usize,
    deliveries: usize,
    is_finished: bool,
}

impl From<Replayed> for Counts {
    fn from(replayed: Replayed) -> Self {
        Self {
            events: replayed.events,
            deliveries: replayed.deliveries,
            is_finished: replayed.is_finished,
        }
    }
}

/// One event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    seq: EventSeq,
    at: Timestamp,
    code: i64,
    kind: String,
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    refers: Option<EventSeq>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<Arc<str>>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    payload: Option<Payload>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    meta: Option<Payload>,
}

impl Recorded {
    pub(crate) fn of(record: &ExecutionRecord, events: &[Event], replayed: Replayed) -> Self {
        let row = Row {
            id: record.id.to_string(),
            workflow: record.workflow.to_string(),
            version: record.version,
            format: record.format,
            status: record.status,
            attempt: record.attempt,
            created_at: record.created_at,
            finished_at: record.finished_at,
            base: record.base,
            rewound: record.rewound,
            parent: record.parent.as_ref().map(ToString::to_string),
            replayed: replayed.into(),
        };
        let events = events.iter().map(Line::of).collect();
        Self { row, events }
    }

    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let row = serde_json::from_str(lines.next().unwrap()).unwrap();
        let events = lines.map(|line| serde_json::from_str(line).unwrap());
        Self {
            row,
            events: events.collect(),
        }
    }

    /// Writes a file that must not exist yet.
    pub(crate) fn write_new(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path.parent().unwrap())?;
        let mut file = File::create_new(path)?;
        writeln!(file, "{}", serde_json::to_string(&self.row)?)?;
        for event in &self.events {
            writeln!(file, "{}", serde_json::to_string(event)?)?;
        }
        Ok(())
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = EventKind> {
        self.events.iter().map(Line::kind)
    }

    /// Puts it into a store, as it was in the one that it was recorded from.
    pub(crate) async fn put_into(&self, store: &SqliteStore, owner: WorkerId) {
        let new = NewExecution {
            id: self.row.id.as_str().into(),
            workflow: self.row.workflow.as_str().into(),
            version: self.row.version,
            created_at: self.row.created_at,
            parent: self.row.parent.as_deref().map(Into::into),
            owner: Some(owner),
            placement: Placement::default(),
        };
        let change = Change {
            status: self.row.status,
            attempt: self.row.attempt,
            finished_at: self.row.finished_at,
            wake_at: None,
            waiting: None,
            base: self.row.base,
            rewound: self.row.rewound,
            hold: None,
            obstacle: None,
            release: Some(Release::default()),
        };
        let commit = Commit {
            events: self.events.iter().map(Line::event).collect(),
            change: Some(change),
            ..Commit::to(Target::New(Box::new(new)))
        };
        store.commit(commit).await.unwrap();
        let id = self.row.id.as_str().into();
        let created = store.execution(&id).await.unwrap().unwrap();
        if self.row.format != created.format {
            self.date_back(&store.describe());
        }
    }

    /// A store gives what is created the present format: this says which one it was.
    fn date_back(&self, file: &str) {
        let connection = flux::sqlite::rusqlite::Connection::open(file).unwrap();
        let sql = "UPDATE flux_executions SET format = ?1 WHERE id = ?2";
        let changed = connection.execute(sql, (self.row.format, &self.row.id));
        assert_eq!(changed, Ok(1));
    }
}

impl Line {
    fn of(event: &Event) -> Self {
        Self {
            seq: event.seq,
            at: event.at,
            code: event.kind.code(),
            kind: event.kind.to_string(),
            refers: event.refers,
            name: event.name.clone(),
            payload: event.payload.clone(),
            meta: event.meta.clone(),
        }
    }

    /// The kind, whose number and name never change.
    fn kind(&self) -> EventKind {
        let kind = EventKind::from_code(self.code);
        let kind = kind.unwrap_or_else(|| panic!("no kind of event has the number {}", self.code));
        assert_eq!(kind.as_str(), self.kind, "kind of event {}", self.code);
        kind
    }

    fn event(&self) -> Event {
        Event {
            seq: self.seq,
            at: self.at,
            kind: self.kind(),
            refers: self.refers,
            name: self.name.clone(),
            payload: self.payload.clone(),
            meta: self.meta.clone(),
        }
    }
}

/// Reads `null` as the payload `null`; serde by itself would read it as no payload.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Payload>, D::Error> {
    Payload::deserialize(deserializer).map(Some)
}

/// All files of all versions, by path.
pub(crate) fn files() -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        entries.collect::<Vec<_>>()
    };
    let versions = entries(&folder());
    let mut files: Vec<_> = versions
        .iter()
        .flat_map(|version| entries(version))
        .collect();
    files.sort();
    files
}
