-- What programs say of themselves to those who do not have their code.

-- What the workers of an owner take, as JSON; NULL while it runs none.
ALTER TABLE flux_workers ADD COLUMN serves TEXT;

CREATE TABLE flux_workflows (
    name      TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    described TEXT    NOT NULL,          -- JSON
    seen_at   INTEGER NOT NULL,          -- when a program last said so, to the hour
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

-- With the words of all kinds of events there now are.
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
        WHEN 26 THEN 'TASK_BEGUN'
        WHEN 27 THEN 'BODY_TRANSACTION'
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
