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

CREATE TABLE type_records (
    type_id    TEXT PRIMARY KEY REFERENCES dyno_types (id) ON DELETE CASCADE,
    good       TEXT, -- the last that was rolled out well
    failed     TEXT, -- one whose rollout failed
    failed_in  TEXT, -- the release that was on trial in it
    reason     TEXT,
    state      TEXT,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO applied VALUES ('e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 'spec', 12, NULL, 0, NULL, NULL, '2026-01-02T03:04:05.000000000Z', '{}');
INSERT INTO apps VALUES ('e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 'shop-blue', 'shop', 'space-1', NULL, NULL, NULL, 0, 1, NULL, NULL, '460c6e9c-810b-4f56-be89-a47f6fabff95', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL, NULL);
INSERT INTO apps VALUES ('83bdc5d7-7c07-4447-acd1-c322ab509449', 'gone-default', 'gone', '8b5ac460-49ee-4ea2-bced-0f4b6ca744e8', NULL, NULL, NULL, 0, 1, NULL, NULL, 'a64866f9-d39a-44c8-ab3b-eaa4cb69d831', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.020000000Z', '2026-01-02T03:04:05.020000000Z', NULL);
INSERT INTO audits VALUES (1, '6e532b63-f815-4ec1-9612-9408ffc3dc5b', NULL, NULL, 'space-1', 'blue', 'space.create', 'Did space.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (2, '98d26f26-442e-4d5e-b68d-8194efbbe7a1', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 'shop-blue', 'space-1', 'blue', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (3, 'ef930bb9-d2c9-4dce-b52e-15461b15fe60', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 'shop-blue', 'space-1', 'blue', 'release.finish', 'Did release.finish.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (4, 'f269ada3-3780-41eb-abaa-9dab85cd488b', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 'shop-blue', 'space-1', 'blue', 'config.notes', 'Did config.notes.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (5, 'c0e5f107-6ce6-47fa-b423-490e3b708495', '83bdc5d7-7c07-4447-acd1-c322ab509449', 'gone-default', '8b5ac460-49ee-4ea2-bced-0f4b6ca744e8', 'default', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (6, 'bdb16dbd-53be-4762-9193-3b56d826dbab', '83bdc5d7-7c07-4447-acd1-c322ab509449', 'gone-default', '8b5ac460-49ee-4ea2-bced-0f4b6ca744e8', 'default', 'app.delete', 'Did app.delete.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO authorizations VALUES ('root', NULL, NULL, 'global', NULL, NULL, NULL, 'hash', NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO builds VALUES ('377f22b0-e2e0-4e42-8b48-bfa69089c2fe', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 1, 'shop:1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'succeeded', NULL, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO config_versions VALUES ('9dd7f189-661c-4e27-82da-a9add1049e08', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 1, 0, '2026-01-02T03:04:05.008000000Z', X'03FE2AE3A0989FECAAD86B9FDD4F653BAC6DA512F260C89274905F5513DE');
INSERT INTO config_versions VALUES ('460c6e9c-810b-4f56-be89-a47f6fabff95', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 2, 1, '2026-01-02T03:04:05.012000000Z', X'CB2456E078D8DAC252ECA21604574249D8E1D380A0A87B7E86726EE990CE607F5EF7DB3D93CC78A75051DF5493');
INSERT INTO config_versions VALUES ('a64866f9-d39a-44c8-ab3b-eaa4cb69d831', '83bdc5d7-7c07-4447-acd1-c322ab509449', 1, 0, '2026-01-02T03:04:05.019000000Z', NULL);
INSERT INTO dyno_stops VALUES ('e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 'dyno-1', 'web', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-1', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 'web', NULL, 2, 'gp1', 9000, NULL, 0, NULL, NULL, NULL, 0, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-2', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 'migrate', NULL, 0, 'gp2', NULL, NULL, 1, NULL, X'32CEB5621931ED5780464774FDE7E105DE6E49CF61978DA5E67F8190D9AA98BCCC79848B570A8ED5EAB891562A754A72B95C5FBBDCC63D95', NULL, 0, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO favorites VALUES ('root', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', '2026-01-02T03:04:05.000000000Z');
INSERT INTO meta VALUES ('installation', '5f9df96c-b39f-4717-8ab5-948f6e30d1bb');
INSERT INTO meta VALUES ('key_check', '3c9d05e1cbe4aeecb2a5fa6c7e413247a03d3968a23cc0bb3916c8ff021bedcd812b639680903d');
INSERT INTO notes VALUES ('e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 'COLOR', 1, NULL);
INSERT INTO releases VALUES ('9090a916-e344-4e23-b12c-d223c53ef5d3', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 1, '377f22b0-e2e0-4e42-8b48-bfa69089c2fe', '9dd7f189-661c-4e27-82da-a9add1049e08', 'failed', NULL, 'superseded by v2', NULL, NULL, '2026-01-02T03:04:06.000000000Z', '2026-01-02T03:04:05.012000000Z');
INSERT INTO releases VALUES ('ecabbbbb-fd42-459d-807c-0cdabf7ba48d', 'e4e9f5b8-0f67-4b8a-acd8-a6aff7c9fd9d', 2, '377f22b0-e2e0-4e42-8b48-bfa69089c2fe', '460c6e9c-810b-4f56-be89-a47f6fabff95', 'succeeded', NULL, NULL, NULL, NULL, '2026-01-02T03:04:07.000000000Z', '2026-01-02T03:04:05.013000000Z');
INSERT INTO schema_migrations VALUES (1, '2026-01-02T03:04:05.002000000Z');
INSERT INTO schema_migrations VALUES (2, '2026-01-02T03:04:05.003000000Z');
INSERT INTO schema_migrations VALUES (3, '2026-01-02T03:04:05.004000000Z');
INSERT INTO spaces VALUES ('8b5ac460-49ee-4ea2-bced-0f4b6ca744e8', 'default', NULL, NULL, '2026-01-02T03:04:05.005000000Z', '2026-01-02T03:04:05.005000000Z', NULL);
INSERT INTO spaces VALUES ('space-1', 'blue', NULL, 'b', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL);
INSERT INTO type_records VALUES ('type-1', '{"size":"gp1","port":9000}', NULL, NULL, NULL, NULL, '2026-01-02T03:04:05.013000000Z');
