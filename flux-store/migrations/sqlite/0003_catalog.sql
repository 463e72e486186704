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
