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

CREATE TABLE type_schedules (
    type_id    TEXT PRIMARY KEY REFERENCES dyno_types (id) ON DELETE CASCADE,
    seen_until TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO applied VALUES ('f85ee924-70d5-4527-b0d8-280d57839e53', 'spec', 12, NULL, 0, NULL, NULL, '2026-01-02T03:04:05.000000000Z', '{}');
INSERT INTO apps VALUES ('f85ee924-70d5-4527-b0d8-280d57839e53', 'shop-blue', 'shop', 'space-1', NULL, NULL, NULL, 0, 1, NULL, NULL, '530e726b-0298-4dd4-9021-659d43e344b7', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL, NULL);
INSERT INTO apps VALUES ('0768632f-9c42-40aa-be27-8420c2f97e41', 'gone-default', 'gone', '12bab8df-bb20-45bb-8e0a-7d3d38a2d8ce', NULL, NULL, NULL, 0, 1, NULL, NULL, '9324d97e-5668-4d39-b93a-2c223a201298', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.024000000Z', '2026-01-02T03:04:05.024000000Z', NULL);
INSERT INTO audits VALUES (1, 'd7cce8a8-6fdd-4a4c-b9ed-112a6a12492d', NULL, NULL, 'space-1', 'blue', 'space.create', 'Did space.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (2, 'fc84dac9-8579-4836-b4a0-c472ee0f50a6', 'f85ee924-70d5-4527-b0d8-280d57839e53', 'shop-blue', 'space-1', 'blue', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (3, '7875d744-9500-43fd-a848-315d44c49dbd', 'f85ee924-70d5-4527-b0d8-280d57839e53', 'shop-blue', 'space-1', 'blue', 'release.finish', 'Did release.finish.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (4, '280c0f78-39aa-4f91-ae7f-2dd903cb7ee6', 'f85ee924-70d5-4527-b0d8-280d57839e53', 'shop-blue', 'space-1', 'blue', 'config.notes', 'Did config.notes.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (5, '24d1834a-d115-4e9a-ac5b-0deddbf88c33', 'f85ee924-70d5-4527-b0d8-280d57839e53', 'shop-blue', 'space-1', 'blue', 'dyno.create', 'Did dyno.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (6, '45f7df56-7d93-499a-90c1-a28fb2b7a4b2', '0768632f-9c42-40aa-be27-8420c2f97e41', 'gone-default', '12bab8df-bb20-45bb-8e0a-7d3d38a2d8ce', 'default', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (7, '818b2771-fa5b-4984-8837-c74c709dd2ed', '0768632f-9c42-40aa-be27-8420c2f97e41', 'gone-default', '12bab8df-bb20-45bb-8e0a-7d3d38a2d8ce', 'default', 'app.delete', 'Did app.delete.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO authorizations VALUES ('root', NULL, NULL, 'global', NULL, NULL, NULL, 'hash', NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO builds VALUES ('a5e5d7da-abe8-4929-9df1-b4d9fa9c2e0a', 'f85ee924-70d5-4527-b0d8-280d57839e53', 1, 'shop:1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'succeeded', NULL, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO config_versions VALUES ('b4b31829-e6a0-4e90-860d-1e3c08b3d8cb', 'f85ee924-70d5-4527-b0d8-280d57839e53', 1, 0, '2026-01-02T03:04:05.010000000Z', X'3B44DFEB6824AF6C3EFF10918023BD817A58BF2C66375F512677445A7D0A');
INSERT INTO config_versions VALUES ('530e726b-0298-4dd4-9021-659d43e344b7', 'f85ee924-70d5-4527-b0d8-280d57839e53', 2, 1, '2026-01-02T03:04:05.014000000Z', X'C57ED0BFE7FE4B74FB384DDEA5EB5ECF93127B3FA9EC8AFB54CF5B48605450137148C9FF68E5F7FA5C6F7D54DA');
INSERT INTO config_versions VALUES ('9324d97e-5668-4d39-b93a-2c223a201298', '0768632f-9c42-40aa-be27-8420c2f97e41', 1, 0, '2026-01-02T03:04:05.023000000Z', NULL);
INSERT INTO dyno_stops VALUES ('f85ee924-70d5-4527-b0d8-280d57839e53', 'dyno-1', 'web', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-1', 'f85ee924-70d5-4527-b0d8-280d57839e53', 'web', NULL, 2, 'gp1', 9000, NULL, 0, NULL, NULL, NULL, 0, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-3', 'f85ee924-70d5-4527-b0d8-280d57839e53', 'nightly', NULL, 0, 'gp2', NULL, NULL, 0, '0 3 * * *', NULL, NULL, 0, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-2', 'f85ee924-70d5-4527-b0d8-280d57839e53', 'migrate', NULL, 0, 'gp2', NULL, NULL, 1, NULL, X'76663668A40E727BD2E9E1834128ED168C89A7378F5416CA4275D4EE54924E4B565495DE4D1B99E05D4FB90E8B2048E9F3EB2B41253F6D61', NULL, 0, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO favorites VALUES ('root', 'f85ee924-70d5-4527-b0d8-280d57839e53', '2026-01-02T03:04:05.000000000Z');
INSERT INTO meta VALUES ('installation', '313bfc27-6a82-4efe-9917-967bce32cae9');
INSERT INTO meta VALUES ('key_check', 'ad2d76e688289c0df8556091a6180b34cfef1e2c991061075e634aae2d65de488a7bed4dc086f7');
INSERT INTO notes VALUES ('f85ee924-70d5-4527-b0d8-280d57839e53', 'COLOR', 1, NULL);
INSERT INTO releases VALUES ('cae1da5a-3135-4933-8cd1-5d8b089657a2', 'f85ee924-70d5-4527-b0d8-280d57839e53', 1, 'a5e5d7da-abe8-4929-9df1-b4d9fa9c2e0a', 'b4b31829-e6a0-4e90-860d-1e3c08b3d8cb', 'failed', NULL, 'superseded by v2', NULL, NULL, '2026-01-02T03:04:06.000000000Z', '2026-01-02T03:04:05.014000000Z');
INSERT INTO releases VALUES ('e42a0384-953e-4aac-b961-c3c8abf33464', 'f85ee924-70d5-4527-b0d8-280d57839e53', 2, 'a5e5d7da-abe8-4929-9df1-b4d9fa9c2e0a', '530e726b-0298-4dd4-9021-659d43e344b7', 'succeeded', NULL, NULL, NULL, NULL, '2026-01-02T03:04:07.000000000Z', '2026-01-02T03:04:05.015000000Z');
INSERT INTO runs VALUES ('84b4e9a2-8d94-496a-b644-d6367ea63355', 'f85ee924-70d5-4527-b0d8-280d57839e53', 1001, 'run', NULL, NULL, 'echo ''hi''', 0, 'shop:1', 'gp1', 0, 1, X'226DE538863009B9F02F24745320A360022CE80A4B3A4BA84289FDD452CF5D6CE646078DE6', '2026-01-02T04:04:05.000000000Z', NULL, 0, '530e726b-0298-4dd4-9021-659d43e344b7', '2026-01-02T03:04:05.000000000Z', 0, 'alloc-1', NULL, NULL, NULL, NULL, NULL, NULL, 0);
INSERT INTO schema_migrations VALUES (1, '2026-01-02T03:04:05.002000000Z');
INSERT INTO schema_migrations VALUES (2, '2026-01-02T03:04:05.003000000Z');
INSERT INTO schema_migrations VALUES (3, '2026-01-02T03:04:05.004000000Z');
INSERT INTO schema_migrations VALUES (4, '2026-01-02T03:04:05.005000000Z');
INSERT INTO schema_migrations VALUES (5, '2026-01-02T03:04:05.006000000Z');
INSERT INTO sequences VALUES ('run', 1001);
INSERT INTO spaces VALUES ('12bab8df-bb20-45bb-8e0a-7d3d38a2d8ce', 'default', NULL, NULL, '2026-01-02T03:04:05.007000000Z', '2026-01-02T03:04:05.007000000Z', NULL);
INSERT INTO spaces VALUES ('space-1', 'blue', NULL, 'b', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL);
INSERT INTO type_records VALUES ('type-1', '{"size":"gp1","port":9000}', NULL, NULL, NULL, NULL, '2026-01-02T03:04:05.015000000Z');
INSERT INTO type_schedules VALUES ('type-3', '2026-01-02T03:04:05.011000000Z');
