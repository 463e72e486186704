-- What last kept an execution from continuing, as JSON; NULL once it continues.
ALTER TABLE flux_executions ADD COLUMN obstacle TEXT;

-- With it.
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
    json_extract(obstacle, '$.message') AS obstacle,
    tags,
    parent,
    schedule,
    owner AS worker,
    eid
FROM flux_executions;
