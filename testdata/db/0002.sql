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
) STRICT, WITHOUT ROWID;

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
    additional_info TEXT,
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
        (SELECT max(version) FROM releases WHERE app_id = a.id AND status <> 'failed'),
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

CREATE INDEX releases_not_failed ON releases (app_id, version) WHERE status <> 'failed';

CREATE INDEX releases_pending ON releases (app_id) WHERE status = 'pending';

CREATE INDEX releases_succeeded ON releases (app_id, version) WHERE status = 'succeeded';

CREATE TABLE schema_migrations (
			    version    INTEGER PRIMARY KEY,
			    applied_at TEXT NOT NULL
			) STRICT;

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
INSERT INTO applied VALUES ('c849843c-f4a0-4f71-b31c-32477ce442c7', 'spec', 12, NULL, 0, NULL, NULL, '2026-01-02T03:04:05.000000000Z');
INSERT INTO apps VALUES ('c849843c-f4a0-4f71-b31c-32477ce442c7', 'shop-blue', 'shop', 'space-1', NULL, NULL, NULL, 0, 1, NULL, NULL, '003dd27f-2b92-4a00-bee3-52efe45032c7', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL, NULL);
INSERT INTO apps VALUES ('7873a74e-f2e6-49a6-bff5-5a260b56c34a', 'gone-default', 'gone', 'dcb48127-be30-4d16-b1b1-72d108c04252', NULL, NULL, NULL, 0, 1, NULL, NULL, 'ed429a67-24b4-4fe0-be6f-2f4f329b3d01', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.019000000Z', '2026-01-02T03:04:05.019000000Z', NULL);
INSERT INTO audits VALUES (1, 'de53c288-e025-464a-9af9-5a59f9b5e2f8', NULL, NULL, 'space-1', 'blue', 'space.create', 'Did space.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (2, '8eafc473-8fbb-4586-845b-9315beffb769', 'c849843c-f4a0-4f71-b31c-32477ce442c7', 'shop-blue', 'space-1', 'blue', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (3, 'b568af32-d209-43e1-8d26-0916fc7f9980', 'c849843c-f4a0-4f71-b31c-32477ce442c7', 'shop-blue', 'space-1', 'blue', 'release.finish', 'Did release.finish.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (4, '464a9915-d0ab-4ac3-a3e4-25bdddce8963', 'c849843c-f4a0-4f71-b31c-32477ce442c7', 'shop-blue', 'space-1', 'blue', 'config.notes', 'Did config.notes.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (5, '05574c67-30f9-4ffc-9285-d2741a63d417', '7873a74e-f2e6-49a6-bff5-5a260b56c34a', 'gone-default', 'dcb48127-be30-4d16-b1b1-72d108c04252', 'default', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (6, 'f5a112a2-661f-482b-8c66-a8b43fbfd35b', '7873a74e-f2e6-49a6-bff5-5a260b56c34a', 'gone-default', 'dcb48127-be30-4d16-b1b1-72d108c04252', 'default', 'app.delete', 'Did app.delete.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO authorizations VALUES ('root', NULL, NULL, 'global', NULL, NULL, NULL, 'hash', NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO builds VALUES ('9bea2047-26a0-46ae-a374-fbec59d262be', 'c849843c-f4a0-4f71-b31c-32477ce442c7', 1, 'shop:1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'succeeded', NULL, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO config_versions VALUES ('47ed143a-68b0-47d5-b6f7-a55fdef23f88', 'c849843c-f4a0-4f71-b31c-32477ce442c7', 1, 0, '2026-01-02T03:04:05.007000000Z', X'71DC0EE57E3F33CACF33139B02DC39BFA22E0E3E93632EF5B2D45471E081');
INSERT INTO config_versions VALUES ('003dd27f-2b92-4a00-bee3-52efe45032c7', 'c849843c-f4a0-4f71-b31c-32477ce442c7', 2, 1, '2026-01-02T03:04:05.011000000Z', X'6861FD2F6E630C79A7E0B604A1E926C41EB775903BA731752023F294A62BA11C7EA3E40A863FC5D2FAEDE867F2');
INSERT INTO config_versions VALUES ('ed429a67-24b4-4fe0-be6f-2f4f329b3d01', '7873a74e-f2e6-49a6-bff5-5a260b56c34a', 1, 0, '2026-01-02T03:04:05.018000000Z', NULL);
INSERT INTO dyno_stops VALUES ('c849843c-f4a0-4f71-b31c-32477ce442c7', 'dyno-1', 'web', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-1', 'c849843c-f4a0-4f71-b31c-32477ce442c7', 'web', NULL, 2, 'gp1', 9000, NULL, 0, NULL, NULL, NULL, 0, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-2', 'c849843c-f4a0-4f71-b31c-32477ce442c7', 'migrate', NULL, 0, 'gp2', NULL, NULL, 1, NULL, X'213D3A8406BA3F0F7761C5DF204064A1B3BB0131AFC9AE91A12C208012BB5D66A3CE20FCBECC70BFEE12B823A0D8B800BEE6E7AA811E4CC9', NULL, 0, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO favorites VALUES ('root', 'c849843c-f4a0-4f71-b31c-32477ce442c7', '2026-01-02T03:04:05.000000000Z');
INSERT INTO meta VALUES ('installation', 'd3cae8b0-2af2-4781-b5ee-6e76c5d669d3');
INSERT INTO meta VALUES ('key_check', '0453277b5c777bca028c31f74242ab68d2955e38c4476a649169a9b9547abf718372b4221f9ac6');
INSERT INTO notes VALUES ('c849843c-f4a0-4f71-b31c-32477ce442c7', 'COLOR', 1, NULL);
INSERT INTO releases VALUES ('7d24c838-44fa-4bb8-b9fc-da0574dded6b', 'c849843c-f4a0-4f71-b31c-32477ce442c7', 1, '9bea2047-26a0-46ae-a374-fbec59d262be', '47ed143a-68b0-47d5-b6f7-a55fdef23f88', 'failed', NULL, 'superseded by v2', NULL, NULL, '2026-01-02T03:04:06.000000000Z', '2026-01-02T03:04:05.011000000Z');
INSERT INTO releases VALUES ('380cb3e7-173a-465b-9cc5-856b758a50b2', 'c849843c-f4a0-4f71-b31c-32477ce442c7', 2, '9bea2047-26a0-46ae-a374-fbec59d262be', '003dd27f-2b92-4a00-bee3-52efe45032c7', 'succeeded', NULL, NULL, NULL, NULL, '2026-01-02T03:04:07.000000000Z', '2026-01-02T03:04:05.012000000Z');
INSERT INTO schema_migrations VALUES (1, '2026-01-02T03:04:05.002000000Z');
INSERT INTO schema_migrations VALUES (2, '2026-01-02T03:04:05.003000000Z');
INSERT INTO spaces VALUES ('dcb48127-be30-4d16-b1b1-72d108c04252', 'default', NULL, NULL, '2026-01-02T03:04:05.004000000Z', '2026-01-02T03:04:05.004000000Z', NULL);
INSERT INTO spaces VALUES ('space-1', 'blue', NULL, 'b', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL);
