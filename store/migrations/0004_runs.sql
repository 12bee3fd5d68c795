-- The last number that was given, by what it numbers. One that was given is never given again, whatever becomes of its row.
CREATE TABLE sequences (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO sequences (name, last) VALUES ('run', 1000);

-- Dynos that run once. A row goes a while after its end.
CREATE TABLE runs (
    id              TEXT PRIMARY KEY,
    app_id          TEXT NOT NULL REFERENCES apps (id),
    number          INTEGER NOT NULL UNIQUE,
    type            TEXT NOT NULL,
    type_id         TEXT, -- a dyno type's; types go, runs stay
    scheduled_at    TEXT,
    command         TEXT,
    shell           INTEGER NOT NULL CHECK (shell IN (0, 1)),
    image           TEXT NOT NULL,
    size            TEXT NOT NULL,
    attach          INTEGER NOT NULL CHECK (attach IN (0, 1)),
    has_env         INTEGER NOT NULL CHECK (has_env IN (0, 1)),
    env             BLOB, -- encrypted; NULL once nothing can need it
    deadline        TEXT,
    release_id      TEXT,
    release_version INTEGER NOT NULL,
    config_id       TEXT NOT NULL,
    created_at      TEXT NOT NULL,
    registered      INTEGER NOT NULL DEFAULT 0 CHECK (registered IN (0, 1)),
    alloc_id        TEXT,
    stop_reason     TEXT,
    ended_at        TEXT,
    end_state       TEXT,
    exit_code       INTEGER,
    end_info        TEXT,
    end_node        TEXT,
    removed         INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1)), -- it is no longer listed, and has no job and no variable
    FOREIGN KEY (app_id, config_id) REFERENCES config_versions (app_id, id)
) STRICT;

CREATE INDEX runs_listed ON runs (app_id, number) WHERE removed = 0;
CREATE INDEX runs_removed ON runs (ended_at) WHERE removed = 1;
CREATE UNIQUE INDEX runs_slot ON runs (type_id, scheduled_at) WHERE scheduled_at IS NOT NULL;
