PRAGMA foreign_keys = off;

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
INSERT INTO applied VALUES ('472473cd-ac88-4a03-a614-620cd05f740a', 'spec', 12, NULL, 0, NULL, NULL, '2026-01-02T03:04:05.000000000Z', '{}');
INSERT INTO apps VALUES ('472473cd-ac88-4a03-a614-620cd05f740a', 'shop-blue', 'shop', 'space-1', NULL, NULL, NULL, 0, 1, NULL, NULL, '6de583d1-a4ca-4549-87ea-226b90424a3a', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL, NULL);
INSERT INTO apps VALUES ('12fdba32-c912-4db1-b6fe-8a9d4f189acc', 'gone-default', 'gone', 'ba6c9fff-e535-468f-a613-a680396dde1f', NULL, NULL, NULL, 0, 1, NULL, NULL, 'ab638e19-cde8-4348-8797-cbed7f49624d', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.023000000Z', '2026-01-02T03:04:05.023000000Z', NULL);
INSERT INTO audits VALUES (1, '41ee22fe-7cf5-45ef-a8b0-d4150ba2dc11', NULL, NULL, 'space-1', 'blue', 'space.create', 'Did space.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (2, 'ab5608b9-557c-4bab-9aa6-e0dc68098ec1', '472473cd-ac88-4a03-a614-620cd05f740a', 'shop-blue', 'space-1', 'blue', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (3, '94b673d5-b355-458a-9dce-f4286a69920f', '472473cd-ac88-4a03-a614-620cd05f740a', 'shop-blue', 'space-1', 'blue', 'release.finish', 'Did release.finish.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (4, '3338167a-7acc-416f-af11-5d0797de4d83', '472473cd-ac88-4a03-a614-620cd05f740a', 'shop-blue', 'space-1', 'blue', 'config.notes', 'Did config.notes.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (5, '485ea24b-540a-4b49-b470-879a0f32e7e9', '472473cd-ac88-4a03-a614-620cd05f740a', 'shop-blue', 'space-1', 'blue', 'dyno.create', 'Did dyno.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (6, 'f84368cb-5add-4c57-b461-fe33956b51df', '12fdba32-c912-4db1-b6fe-8a9d4f189acc', 'gone-default', 'ba6c9fff-e535-468f-a613-a680396dde1f', 'default', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (7, '3e5202a6-8295-47c0-88d0-d90ff4e793e2', '12fdba32-c912-4db1-b6fe-8a9d4f189acc', 'gone-default', 'ba6c9fff-e535-468f-a613-a680396dde1f', 'default', 'app.delete', 'Did app.delete.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO authorizations VALUES ('root', NULL, NULL, 'global', NULL, NULL, NULL, 'hash', NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO builds VALUES ('3fb38c58-ae75-47fa-af37-20d484253994', '472473cd-ac88-4a03-a614-620cd05f740a', 1, 'shop:1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'succeeded', NULL, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO config_versions VALUES ('97d31b71-b8f1-418b-ade0-67738e411957', '472473cd-ac88-4a03-a614-620cd05f740a', 1, 0, '2026-01-02T03:04:05.009000000Z', X'3C5F9203D50E9067C7CA72D43A0D70674719F7127ADC99A23015E71325FD');
INSERT INTO config_versions VALUES ('6de583d1-a4ca-4549-87ea-226b90424a3a', '472473cd-ac88-4a03-a614-620cd05f740a', 2, 1, '2026-01-02T03:04:05.013000000Z', X'B693352C402D51A56F5E73794217D1511E75E95D09FC66CDF5068FFE656F7FC19F715D6CB1FCC5726A667373EF');
INSERT INTO config_versions VALUES ('ab638e19-cde8-4348-8797-cbed7f49624d', '12fdba32-c912-4db1-b6fe-8a9d4f189acc', 1, 0, '2026-01-02T03:04:05.022000000Z', NULL);
INSERT INTO dyno_stops VALUES ('472473cd-ac88-4a03-a614-620cd05f740a', 'dyno-1', 'web', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-1', '472473cd-ac88-4a03-a614-620cd05f740a', 'web', NULL, 2, 'gp1', 9000, NULL, 0, NULL, NULL, NULL, 0, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-2', '472473cd-ac88-4a03-a614-620cd05f740a', 'migrate', NULL, 0, 'gp2', NULL, NULL, 1, NULL, X'1F3C119550D948CE8D30E5735D551A3E05877F69591B8AE19C8F91F19C92498689FE7BC4242AC4F584C7920107C48BA951094FA6CDC1EA0C', NULL, 0, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO favorites VALUES ('root', '472473cd-ac88-4a03-a614-620cd05f740a', '2026-01-02T03:04:05.000000000Z');
INSERT INTO meta VALUES ('installation', 'fcaec803-a72c-4d36-a487-a3411a060548');
INSERT INTO meta VALUES ('key_check', 'f384bd82bfa958ef78d67284d3ffc9369376ec5e0bfadac3dddff858aa02ad501309b77c11164d');
INSERT INTO notes VALUES ('472473cd-ac88-4a03-a614-620cd05f740a', 'COLOR', 1, NULL);
INSERT INTO releases VALUES ('a185203d-6006-46ee-90f9-7d6f9404c2af', '472473cd-ac88-4a03-a614-620cd05f740a', 1, '3fb38c58-ae75-47fa-af37-20d484253994', '97d31b71-b8f1-418b-ade0-67738e411957', 'failed', NULL, 'superseded by v2', NULL, NULL, '2026-01-02T03:04:06.000000000Z', '2026-01-02T03:04:05.013000000Z');
INSERT INTO releases VALUES ('49c111e2-1f6f-4e38-a55f-d4d51d5d58c7', '472473cd-ac88-4a03-a614-620cd05f740a', 2, '3fb38c58-ae75-47fa-af37-20d484253994', '6de583d1-a4ca-4549-87ea-226b90424a3a', 'succeeded', NULL, NULL, NULL, NULL, '2026-01-02T03:04:07.000000000Z', '2026-01-02T03:04:05.014000000Z');
INSERT INTO runs VALUES ('2650a070-d5f3-4ff3-9cf0-8e03d2a1a812', '472473cd-ac88-4a03-a614-620cd05f740a', 1001, 'run', NULL, NULL, 'echo ''hi''', 0, 'shop:1', 'gp1', 0, 1, X'18C6DE3635EE4C4738764FC6924209D472B7DBA5A28FFDA262FFC2088A7C874DFE8344E537', '2026-01-02T04:04:05.000000000Z', NULL, 0, '6de583d1-a4ca-4549-87ea-226b90424a3a', '2026-01-02T03:04:05.000000000Z', 0, 'alloc-1', NULL, NULL, NULL, NULL, NULL, NULL, 0);
INSERT INTO schema_migrations VALUES (1, '2026-01-02T03:04:05.002000000Z');
INSERT INTO schema_migrations VALUES (2, '2026-01-02T03:04:05.003000000Z');
INSERT INTO schema_migrations VALUES (3, '2026-01-02T03:04:05.004000000Z');
INSERT INTO schema_migrations VALUES (4, '2026-01-02T03:04:05.005000000Z');
INSERT INTO sequences VALUES ('run', 1001);
INSERT INTO spaces VALUES ('ba6c9fff-e535-468f-a613-a680396dde1f', 'default', NULL, NULL, '2026-01-02T03:04:05.006000000Z', '2026-01-02T03:04:05.006000000Z', NULL);
INSERT INTO spaces VALUES ('space-1', 'blue', NULL, 'b', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL);
INSERT INTO type_records VALUES ('type-1', '{"size":"gp1","port":9000}', NULL, NULL, NULL, NULL, '2026-01-02T03:04:05.014000000Z');
