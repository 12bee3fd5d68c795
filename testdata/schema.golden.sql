CREATE TABLE applied (
    app_id       TEXT PRIMARY KEY REFERENCES apps (id),
    spec_hash    TEXT,
    modify_index INTEGER NOT NULL,
    eval_id      TEXT,
    rolling_out  INTEGER NOT NULL CHECK (rolling_out IN (0, 1)),
    failed_hash  TEXT,
    problem      TEXT,
    updated_at   TEXT NOT NULL
, rollout TEXT) STRICT, WITHOUT ROWID;

CREATE TABLE apps (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    simple_name  TEXT NOT NULL,
    space_id     TEXT NOT NULL REFERENCES spaces (id),
    org          TEXT,
    description  TEXT,
    labels       TEXT,
    maintenance  INTEGER NOT NULL CHECK (maintenance IN (0, 1)),
    auto_release INTEGER NOT NULL CHECK (auto_release IN (0, 1)),
    owner_id     TEXT, -- a token's; tokens go, apps stay
    owner_email  TEXT,
    config_id    TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    deleted_at   TEXT,
    removed_at   TEXT, -- when the loop had ended the deleted app's job and removed its variables
    FOREIGN KEY (id, config_id) REFERENCES config_versions (app_id, id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE UNIQUE INDEX apps_name ON apps (name) WHERE deleted_at IS NULL;

CREATE INDEX apps_space ON apps (space_id) WHERE deleted_at IS NULL;

CREATE TABLE audits (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    app_id     TEXT,
    app_name   TEXT,
    space_id   TEXT,
    space      TEXT,
    action     TEXT NOT NULL,
    details    TEXT,
    user_id    TEXT,
    user_email TEXT,
    created_at TEXT NOT NULL
) STRICT;

CREATE INDEX audits_app ON audits (app_id, created_at);

CREATE INDEX audits_space ON audits (space_id, created_at);

CREATE INDEX audits_time ON audits (created_at);

CREATE TABLE authorizations (
    id          TEXT PRIMARY KEY,
    description TEXT,
    email       TEXT,
    scopes      TEXT NOT NULL, -- separated by spaces
    app_id      TEXT REFERENCES apps (id),
    space_id    TEXT REFERENCES spaces (id),
    maker_id    TEXT REFERENCES authorizations (id), -- NULL for the root token's
    token_hash  TEXT NOT NULL UNIQUE,
    expires_at  TEXT,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
) STRICT;

CREATE INDEX authorizations_maker ON authorizations (maker_id);

CREATE UNIQUE INDEX authorizations_root ON authorizations (maker_id IS NULL) WHERE maker_id IS NULL;

CREATE TABLE builds (
    id            TEXT PRIMARY KEY,
    app_id        TEXT NOT NULL REFERENCES apps (id),
    number        INTEGER NOT NULL,
    image         TEXT NOT NULL,
    url           TEXT,
    checksum      TEXT,
    version       TEXT,
    sha           TEXT,
    branch        TEXT,
    repo          TEXT,
    author        TEXT,
    message       TEXT,
    process_types TEXT, -- a JSON object, type -> command
    status        TEXT NOT NULL,
    user_id       TEXT,
    user_email    TEXT,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL,
    UNIQUE (app_id, number),
    UNIQUE (app_id, id)
) STRICT;

CREATE TABLE config_versions (
    id         TEXT PRIMARY KEY,
    app_id     TEXT NOT NULL REFERENCES apps (id),
    number     INTEGER NOT NULL,
    written    INTEGER NOT NULL DEFAULT 0 CHECK (written IN (0, 1)), -- a variable was or may have been written
    created_at TEXT NOT NULL,
    vars       BLOB, -- encrypted; NULL once the app is deleted
    UNIQUE (app_id, number),
    UNIQUE (app_id, id)
) STRICT;

CREATE INDEX config_versions_written ON config_versions (app_id, id) WHERE written = 1;

CREATE TABLE dyno_stops (
    app_id       TEXT NOT NULL REFERENCES apps (id),
    dyno_id      TEXT NOT NULL, -- the allocation's
    type         TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    PRIMARY KEY (app_id, dyno_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE dyno_types (
    id              TEXT PRIMARY KEY,
    app_id          TEXT NOT NULL REFERENCES apps (id),
    type            TEXT NOT NULL,
    command         TEXT,
    quantity        INTEGER NOT NULL CHECK (quantity >= 0),
    size            TEXT NOT NULL,
    port            INTEGER,
    healthcheck     TEXT,
    one_off         INTEGER NOT NULL CHECK (one_off IN (0, 1)),
    schedule        TEXT,
    options         BLOB, -- encrypted
    restart_id      TEXT,
    from_slug       INTEGER NOT NULL CHECK (from_slug IN (0, 1)),
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    UNIQUE (app_id, type)
) STRICT;

CREATE TABLE favorites (
    token_id   TEXT NOT NULL REFERENCES authorizations (id) ON DELETE CASCADE,
    app_id     TEXT NOT NULL REFERENCES apps (id),
    created_at TEXT NOT NULL,
    PRIMARY KEY (token_id, app_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX favorites_app ON favorites (app_id);

CREATE VIEW heads AS
SELECT
    a.id AS app_id,
    (SELECT max(version) FROM releases WHERE app_id = a.id) AS last,
    coalesce(
        (SELECT max(version) FROM releases WHERE app_id = a.id AND status <> 'failed' AND build_id IS NOT NULL),
        (SELECT max(version) FROM releases WHERE app_id = a.id AND build_id IS NOT NULL),
        (SELECT max(version) FROM releases WHERE app_id = a.id)
    ) AS wanted,
    (SELECT max(version) FROM releases WHERE app_id = a.id AND status = 'succeeded') AS current
FROM apps AS a;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE notes (
    app_id      TEXT NOT NULL REFERENCES apps (id),
    name        TEXT NOT NULL,
    required    INTEGER NOT NULL CHECK (required IN (0, 1)),
    description TEXT,
    PRIMARY KEY (app_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
    id              TEXT PRIMARY KEY,
    app_id          TEXT NOT NULL REFERENCES apps (id),
    version         INTEGER NOT NULL,
    build_id        TEXT,
    config_id       TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    description     TEXT,
    additional_info TEXT,
    user_id         TEXT,
    user_email      TEXT,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    UNIQUE (app_id, version),
    FOREIGN KEY (app_id, build_id) REFERENCES builds (app_id, id),
    FOREIGN KEY (app_id, config_id) REFERENCES config_versions (app_id, id)
) STRICT;

CREATE INDEX releases_build ON releases (build_id, version) WHERE build_id IS NOT NULL;

CREATE INDEX releases_not_failed ON releases (app_id, version) WHERE status <> 'failed' AND build_id IS NOT NULL;

CREATE INDEX releases_pending ON releases (app_id) WHERE status = 'pending';

CREATE INDEX releases_succeeded ON releases (app_id, version) WHERE status = 'succeeded';

CREATE INDEX releases_with_slug ON releases (app_id, version) WHERE build_id IS NOT NULL;

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

CREATE TABLE schema_migrations (
			    version    INTEGER PRIMARY KEY,
			    applied_at TEXT NOT NULL
			) STRICT;

CREATE TABLE sequences (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE spaces (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    description     TEXT,
    nomad_namespace TEXT,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    deleted_at      TEXT
) STRICT;

CREATE UNIQUE INDEX spaces_name ON spaces (name) WHERE deleted_at IS NULL;

CREATE TABLE type_records (
    type_id    TEXT PRIMARY KEY REFERENCES dyno_types (id) ON DELETE CASCADE,
    good       TEXT, -- the last that was rolled out well
    failed     TEXT, -- one whose rollout failed
    failed_in  TEXT, -- the release that was on trial in it
    reason     TEXT,
    state      TEXT,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE type_schedules (
    type_id    TEXT PRIMARY KEY REFERENCES dyno_types (id) ON DELETE CASCADE,
    seen_until TEXT NOT NULL
) STRICT, WITHOUT ROWID;
