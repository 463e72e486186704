-- Executions that wait their turn, sleep without an owner, or are started by schedules.
ALTER TABLE flux_executions ADD COLUMN started_at    INTEGER;
-- Where it belongs, as it was created.
ALTER TABLE flux_executions ADD COLUMN queue         TEXT;
ALTER TABLE flux_executions ADD COLUMN partition     TEXT;
ALTER TABLE flux_executions ADD COLUMN priority      INTEGER;
ALTER TABLE flux_executions ADD COLUMN due           INTEGER;
ALTER TABLE flux_executions ADD COLUMN gate          TEXT;
ALTER TABLE flux_executions ADD COLUMN gate_limit    INTEGER;
ALTER TABLE flux_executions ADD COLUMN gate_refuses  INTEGER;
ALTER TABLE flux_executions ADD COLUMN dedup         TEXT;      -- gone when it has finished
ALTER TABLE flux_executions ADD COLUMN schedule      TEXT;
ALTER TABLE flux_executions ADD COLUMN scheduled_at  INTEGER;
ALTER TABLE flux_executions ADD COLUMN tags          TEXT;      -- JSON
-- Why it is kept from going on, and how often it was taken over from the dead with the same last event.
ALTER TABLE flux_executions ADD COLUMN hold          TEXT;
ALTER TABLE flux_executions ADD COLUMN takeovers     INTEGER;
ALTER TABLE flux_executions ADD COLUMN takeover_last INTEGER;
-- What a worker takes it up for; at most one of these three is set, and none while it has an owner.
ALTER TABLE flux_executions ADD COLUMN ready_at      INTEGER;   -- started: when it is woken
ALTER TABLE flux_executions ADD COLUMN delayed_to    INTEGER;   -- pending: when it is due
ALTER TABLE flux_executions ADD COLUMN rank          INTEGER;   -- pending and due: less is earlier, then goes eid
-- Where it stands before its gate: 0 is not due, 1 waits for room, 2 may go in, 3 is inside, 4 waits and is owned.
ALTER TABLE flux_executions ADD COLUMN gate_state    INTEGER;

-- Until now every execution was started at once, and those without an owner waited for somebody to ask.
UPDATE flux_executions SET
    started_at = created_at,
    ready_at = CASE
        WHEN owner IS NOT NULL THEN NULL
        WHEN status = 2 THEN created_at
        WHEN status = 3 THEN (
            SELECT min(moment) FROM (
                SELECT wake_at AS moment
                UNION ALL SELECT min(at) FROM flux_inbox WHERE flux_inbox.eid = flux_executions.eid
            )
        )
    END;

-- Read lane by lane: what the same workers can take. One that is in no queue, no gate and asleep nowhere is in none.
CREATE INDEX flux_executions_ready   ON flux_executions (queue, workflow, version, ready_at)
    WHERE ready_at IS NOT NULL;
CREATE INDEX flux_executions_delayed ON flux_executions (queue, workflow, version, delayed_to)
    WHERE delayed_to IS NOT NULL;
CREATE INDEX flux_executions_in_line ON flux_executions (queue, workflow, version, partition, rank)
    WHERE rank IS NOT NULL;
CREATE INDEX flux_executions_by_gate ON flux_executions (gate, gate_state, queue, workflow, version, partition, priority DESC)
    WHERE gate_state IS NOT NULL;
CREATE INDEX flux_executions_by_queue    ON flux_executions (queue, status)    WHERE queue IS NOT NULL;
CREATE INDEX flux_executions_by_schedule ON flux_executions (schedule, status) WHERE schedule IS NOT NULL;
CREATE UNIQUE INDEX flux_executions_by_dedup ON flux_executions (dedup) WHERE dedup IS NOT NULL;

-- Whatever has not finished may be owned by the dead.
DROP INDEX flux_executions_by_owner;
CREATE INDEX flux_executions_by_owner ON flux_executions (owner) WHERE owner IS NOT NULL AND status < 4;

CREATE TABLE flux_tags (
    tag TEXT    NOT NULL,
    eid INTEGER NOT NULL,
    PRIMARY KEY (tag, eid)
) STRICT, WITHOUT ROWID;

-- The limits of queues, and whose turn it was last.
CREATE TABLE flux_queues (
    name           TEXT PRIMARY KEY,
    concurrency    INTEGER,
    per_worker     INTEGER,
    rate_count     INTEGER,
    rate_per       INTEGER,            -- microseconds
    partition_by   TEXT,
    is_paused      INTEGER NOT NULL DEFAULT 0,
    last_partition TEXT
) STRICT, WITHOUT ROWID;

-- The latest starts of queues that have a rate, numbered, so that the one that counts is found by its number.
CREATE TABLE flux_starts (
    queue TEXT    NOT NULL,
    n     INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (queue, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE flux_schedules (
    id         TEXT PRIMARY KEY,
    workflow   TEXT    NOT NULL,
    input      TEXT    NOT NULL,       -- JSON
    spec       TEXT    NOT NULL,       -- JSON
    is_paused  INTEGER NOT NULL,
    next_at    INTEGER,
    last_at    INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX flux_schedules_due ON flux_schedules (next_at) WHERE is_paused = 0 AND next_at IS NOT NULL;

-- Shows that a worker that lives also runs: it counts on every so many microseconds.
ALTER TABLE flux_workers ADD COLUMN beat        INTEGER;
ALTER TABLE flux_workers ADD COLUMN beats_every INTEGER;

DROP VIEW executions_view;
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
    queue,
    priority,
    attempt,
    strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || printf('.%06dZ', created_at % 1000000) AS created_at,
    strftime('%Y-%m-%dT%H:%M:%S', started_at / 1000000, 'unixepoch') || printf('.%06dZ', started_at % 1000000) AS started_at,
    strftime('%Y-%m-%dT%H:%M:%S', finished_at / 1000000, 'unixepoch') || printf('.%06dZ', finished_at % 1000000) AS finished_at,
    strftime('%Y-%m-%dT%H:%M:%S', wake_at / 1000000, 'unixepoch') || printf('.%06dZ', wake_at % 1000000) AS wake_at,
    waiting,
    hold,
    tags,
    parent,
    schedule,
    owner AS worker,
    eid
FROM flux_executions;

DROP VIEW events_view;
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
        WHEN 9 THEN 'CANCEL_REQUESTED'
        WHEN 10 THEN 'TASK_STARTED'
        WHEN 11 THEN 'TASK_COMPLETED'
        WHEN 12 THEN 'TASK_FAILED'
        WHEN 13 THEN 'TASK_ATTEMPT_FAILED'
        WHEN 14 THEN 'TASK_INTERRUPTED'
        WHEN 15 THEN 'CALL_REUSED'
        WHEN 16 THEN 'CALL_CANCELLED'
        WHEN 17 THEN 'TASK_DISCARDED'
        WHEN 18 THEN 'WORKFLOW_QUEUED'
        WHEN 19 THEN 'WORKFLOW_STOPPING'
        WHEN 20 THEN 'TIMER_STARTED'
        WHEN 21 THEN 'TIMER_FIRED'
        WHEN 25 THEN 'TASK_DEFERRED'
        WHEN 30 THEN 'SIGNAL_AWAITED'
        WHEN 31 THEN 'SIGNAL_RECEIVED'
        WHEN 32 THEN 'CANCEL_AWAITED'
        WHEN 33 THEN 'CANCEL_DELIVERED'
        WHEN 40 THEN 'PAUSE_REACHED'
        WHEN 41 THEN 'PAUSE_ANSWERED'
        WHEN 50 THEN 'CHILD_STARTED'
        WHEN 51 THEN 'CHILD_COMPLETED'
        WHEN 52 THEN 'CHILD_FAILED'
        WHEN 60 THEN 'VALUE_RECORDED'
        WHEN 61 THEN 'PATCHED'
        WHEN 62 THEN 'PUBLISHED'
        WHEN 63 THEN 'EXIT_STARTED'
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

CREATE VIEW queues_view AS
SELECT
    q.name,
    (SELECT count(*) FROM flux_executions x WHERE x.queue = q.name AND x.status = 1) AS pending,
    (SELECT count(*) FROM flux_executions x WHERE x.queue = q.name AND x.status IN (2, 3)) AS running,
    s.concurrency,
    s.per_worker,
    s.rate_count,
    s.rate_per / 1000000.0 AS rate_seconds,
    s.partition_by,
    coalesce(s.is_paused, 0) AS is_paused
FROM (SELECT name FROM flux_queues UNION SELECT queue FROM flux_executions WHERE queue IS NOT NULL) AS q
LEFT JOIN flux_queues AS s ON s.name = q.name;

CREATE VIEW schedules_view AS
SELECT
    s.id,
    s.workflow,
    s.is_paused,
    strftime('%Y-%m-%dT%H:%M:%S', s.next_at / 1000000, 'unixepoch') || printf('.%06dZ', s.next_at % 1000000) AS next_at,
    strftime('%Y-%m-%dT%H:%M:%S', s.last_at / 1000000, 'unixepoch') || printf('.%06dZ', s.last_at % 1000000) AS last_at,
    (SELECT count(*) FROM flux_executions x WHERE x.schedule = s.id AND x.status < 4) AS unfinished,
    s.spec,
    s.input,
    strftime('%Y-%m-%dT%H:%M:%S', s.created_at / 1000000, 'unixepoch') || printf('.%06dZ', s.created_at % 1000000) AS created_at
FROM flux_schedules AS s;
