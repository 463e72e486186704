-- One row per execution: everything about it but its history.
CREATE TABLE flux_executions (
    eid         INTEGER PRIMARY KEY,   -- the small number that histories are keyed by
    id          TEXT    NOT NULL UNIQUE,
    workflow    TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    format      INTEGER NOT NULL,      -- the event format its history began with
    status      INTEGER NOT NULL,      -- words: executions_view
    attempt     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,      -- all times: microseconds since 1970, UTC
    finished_at INTEGER,
    wake_at     INTEGER,
    waiting     TEXT,                  -- JSON
    parent      TEXT,
    base        INTEGER NOT NULL,
    rewound     INTEGER,
    owner       INTEGER,               -- flux_workers.id, alive or not
    epoch       INTEGER NOT NULL
) STRICT;

-- Every index ends in eid, so each serves its listing newest or oldest first.
CREATE INDEX flux_executions_by_status   ON flux_executions (status);
CREATE INDEX flux_executions_by_workflow ON flux_executions (workflow, status);
CREATE INDEX flux_executions_by_parent   ON flux_executions (parent)  WHERE parent IS NOT NULL;
CREATE INDEX flux_executions_by_wake     ON flux_executions (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX flux_executions_by_owner    ON flux_executions (owner)   WHERE status = 2;

-- The histories. The key packs execution and number, so that a history lies together, a step
-- touches one page, and no number can be written twice.
CREATE TABLE flux_events (
    key     INTEGER PRIMARY KEY,       -- eid << 24 | number
    kind    INTEGER NOT NULL,          -- words: events_view
    at      INTEGER NOT NULL,
    ref     INTEGER,                   -- the event this one refers to
    name    TEXT,
    payload TEXT,                      -- JSON
    meta    TEXT                       -- JSON
) STRICT;

-- Messages that wait to be delivered. AUTOINCREMENT: a number is never given twice.
CREATE TABLE flux_inbox (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    eid     INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    name    TEXT    NOT NULL,
    payload TEXT    NOT NULL,          -- JSON
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX flux_inbox_by_execution ON flux_inbox (eid);

-- The dedup keys ever posted, kept when their messages are gone.
CREATE TABLE flux_dedup (
    eid  INTEGER NOT NULL,
    name TEXT    NOT NULL,
    key  TEXT    NOT NULL,
    PRIMARY KEY (eid, name, key)
) STRICT, WITHOUT ROWID;

-- What workflows last published. With rowids: a payload may be long.
CREATE TABLE flux_published (
    eid     INTEGER NOT NULL,
    name    TEXT    NOT NULL,
    payload TEXT    NOT NULL,          -- JSON
    PRIMARY KEY (eid, name)
) STRICT;

-- Who drives executions. Who is alive is told by the locks on the worker files, not by this.
CREATE TABLE flux_workers (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    pid        INTEGER NOT NULL,
    host       TEXT    NOT NULL,
    started_at INTEGER NOT NULL
) STRICT;

-- For people: docs/sql.md.
CREATE VIEW executions_view AS
SELECT
    id,
    workflow,
    version,
    CASE status
        WHEN 1 THEN 'Pending'
        WHEN 2 THEN 'Running'
        WHEN 3 THEN 'Paused'
        WHEN 4 THEN 'Completed'
        WHEN 5 THEN 'Failed'
        WHEN 6 THEN 'Cancelled'
        WHEN 7 THEN 'Terminated'
        ELSE 'status ' || status
    END AS status,
    attempt,
    strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || printf('.%06dZ', created_at % 1000000) AS created_at,
    strftime('%Y-%m-%dT%H:%M:%S', finished_at / 1000000, 'unixepoch') || printf('.%06dZ', finished_at % 1000000) AS finished_at,
    strftime('%Y-%m-%dT%H:%M:%S', wake_at / 1000000, 'unixepoch') || printf('.%06dZ', wake_at % 1000000) AS wake_at,
    waiting,
    parent,
    owner AS worker,
    eid
FROM flux_executions;

CREATE VIEW events_view AS
SELECT
    x.id AS execution,
    e.key & 16777215 AS seq,
    CASE e.kind
        WHEN 1 THEN 'WORKFLOW_STARTED'
        WHEN 2 THEN 'WORKFLOW_COMPLETED'
        WHEN 3 THEN 'WORKFLOW_FAILED'
        WHEN 4 THEN 'WORKFLOW_CANCELLED'
        WHEN 5 THEN 'WORKFLOW_TERMINATED'
        WHEN 6 THEN 'CONTINUED_AS_NEW'
        WHEN 7 THEN 'REWOUND'
        WHEN 8 THEN 'WOKEN'
        WHEN 10 THEN 'TASK_STARTED'
        WHEN 11 THEN 'TASK_COMPLETED'
        WHEN 12 THEN 'TASK_FAILED'
        WHEN 13 THEN 'TASK_ATTEMPT_FAILED'
        WHEN 14 THEN 'TASK_INTERRUPTED'
        WHEN 15 THEN 'CALL_REUSED'
        WHEN 16 THEN 'CALL_CANCELLED'
        WHEN 17 THEN 'TASK_DISCARDED'
        WHEN 20 THEN 'TIMER_STARTED'
        WHEN 21 THEN 'TIMER_FIRED'
        WHEN 30 THEN 'SIGNAL_AWAITED'
        WHEN 31 THEN 'SIGNAL_RECEIVED'
        WHEN 40 THEN 'PAUSE_REACHED'
        WHEN 41 THEN 'PAUSE_ANSWERED'
        WHEN 50 THEN 'CHILD_STARTED'
        WHEN 51 THEN 'CHILD_COMPLETED'
        WHEN 52 THEN 'CHILD_FAILED'
        WHEN 60 THEN 'VALUE_RECORDED'
        WHEN 61 THEN 'PATCHED'
        WHEN 62 THEN 'PUBLISHED'
        ELSE 'KIND_' || e.kind
    END AS kind,
    -- What happens to a call goes by the call's name.
    coalesce(e.name, (SELECT c.name FROM flux_events c WHERE c.key = (e.key & ~16777215) | e.ref)) AS name,
    strftime('%Y-%m-%dT%H:%M:%S', e.at / 1000000, 'unixepoch') || printf('.%06dZ', e.at % 1000000) AS at,
    e.ref AS refers_to,
    e.payload,
    e.meta
FROM flux_executions AS x
JOIN flux_events AS e ON e.key BETWEEN x.eid << 24 AND (x.eid << 24) + 16777215;
