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
INSERT INTO applied VALUES ('7980018b-0232-4fa1-a6b8-de5677df6448', 'spec', 12, NULL, 0, NULL, NULL, '2026-01-02T03:04:05.000000000Z');
INSERT INTO apps VALUES ('7980018b-0232-4fa1-a6b8-de5677df6448', 'shop-blue', 'shop', 'space-1', NULL, NULL, NULL, 0, 1, NULL, NULL, '23692b90-d5f3-4552-8068-664a99896638', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL, NULL);
INSERT INTO apps VALUES ('dde82b8f-deaa-4a02-b0f3-0bbcae81e042', 'gone-default', 'gone', 'db9a5f14-2a57-46e8-a747-703e815e5227', NULL, NULL, NULL, 0, 1, NULL, NULL, 'bc1c6786-2791-4b48-b9ac-55791b970ece', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.017000000Z', '2026-01-02T03:04:05.017000000Z', NULL);
INSERT INTO audits VALUES (1, 'f9a58607-beec-4f31-912d-732ac214e5ac', NULL, NULL, 'space-1', 'blue', 'space.create', 'Did space.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (2, 'c9ff920c-c6e8-41ce-83ff-9be4742b2f7a', '7980018b-0232-4fa1-a6b8-de5677df6448', 'shop-blue', 'space-1', 'blue', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (3, 'ec8505ff-f799-4199-93be-2c59a45a34e6', '7980018b-0232-4fa1-a6b8-de5677df6448', 'shop-blue', 'space-1', 'blue', 'release.finish', 'Did release.finish.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (4, 'ee4b6628-c56b-429c-9690-81e3a1077e3f', '7980018b-0232-4fa1-a6b8-de5677df6448', 'shop-blue', 'space-1', 'blue', 'config.notes', 'Did config.notes.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (5, 'd06f9915-b3f7-4bf8-9a9c-ffc09c5dab76', 'dde82b8f-deaa-4a02-b0f3-0bbcae81e042', 'gone-default', 'db9a5f14-2a57-46e8-a747-703e815e5227', 'default', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (6, 'c994be6a-c3d1-4cf2-8c37-d839ffe212bb', 'dde82b8f-deaa-4a02-b0f3-0bbcae81e042', 'gone-default', 'db9a5f14-2a57-46e8-a747-703e815e5227', 'default', 'app.delete', 'Did app.delete.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO authorizations VALUES ('root', NULL, NULL, 'global', NULL, NULL, NULL, 'hash', NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO builds VALUES ('38b9ba2b-998a-4b67-9ef3-d0e53bddd96e', '7980018b-0232-4fa1-a6b8-de5677df6448', 1, 'shop:1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'succeeded', NULL, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO config_versions VALUES ('7fe69a4a-b397-448a-bd78-28d126c6537f', '7980018b-0232-4fa1-a6b8-de5677df6448', 1, 0, '2026-01-02T03:04:05.006000000Z', X'F00A6A1EE27154F145D86DC294C9B58F29B0F274D4950D313F7530446338');
INSERT INTO config_versions VALUES ('23692b90-d5f3-4552-8068-664a99896638', '7980018b-0232-4fa1-a6b8-de5677df6448', 2, 1, '2026-01-02T03:04:05.009000000Z', X'8BD4F36919376E39468EE7AC2F0E91449F16E37037F21244C8BC479AE589F98CE1D88E570FB8ABF6241A9FD51F');
INSERT INTO config_versions VALUES ('bc1c6786-2791-4b48-b9ac-55791b970ece', 'dde82b8f-deaa-4a02-b0f3-0bbcae81e042', 1, 0, '2026-01-02T03:04:05.016000000Z', NULL);
INSERT INTO dyno_types VALUES ('type-1', '7980018b-0232-4fa1-a6b8-de5677df6448', 'web', NULL, 2, 'gp1', 9000, NULL, 0, NULL, NULL, NULL, 0, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-2', '7980018b-0232-4fa1-a6b8-de5677df6448', 'migrate', NULL, 0, 'gp2', NULL, NULL, 1, NULL, X'310E800FA47666416A29209183D8F9440593066197184599AF735D2D3FB5C7FBA4B76AC853C3ED426FF2D47BD6A51319CBF73844260F5BE2', NULL, 0, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO favorites VALUES ('root', '7980018b-0232-4fa1-a6b8-de5677df6448', '2026-01-02T03:04:05.000000000Z');
INSERT INTO meta VALUES ('installation', 'b511d0aa-9ddf-4177-9ffe-469b1647fb1c');
INSERT INTO meta VALUES ('key_check', 'b585042f4bf42a854dd1132d05c42213f62e101079d15a2e4886a3b8c47c42873936170003ee66');
INSERT INTO notes VALUES ('7980018b-0232-4fa1-a6b8-de5677df6448', 'COLOR', 1, NULL);
INSERT INTO releases VALUES ('32b0b7ae-0c3a-4b24-a945-a72e79fbf19d', '7980018b-0232-4fa1-a6b8-de5677df6448', 1, '38b9ba2b-998a-4b67-9ef3-d0e53bddd96e', '7fe69a4a-b397-448a-bd78-28d126c6537f', 'failed', NULL, 'superseded by v2', NULL, NULL, '2026-01-02T03:04:06.000000000Z', '2026-01-02T03:04:05.009000000Z');
INSERT INTO releases VALUES ('bfa16a99-c4a3-4914-b5ca-5f51daf4d8bf', '7980018b-0232-4fa1-a6b8-de5677df6448', 2, '38b9ba2b-998a-4b67-9ef3-d0e53bddd96e', '23692b90-d5f3-4552-8068-664a99896638', 'succeeded', NULL, NULL, NULL, NULL, '2026-01-02T03:04:07.000000000Z', '2026-01-02T03:04:05.010000000Z');
INSERT INTO schema_migrations VALUES (1, '2026-01-02T03:04:05.002000000Z');
INSERT INTO spaces VALUES ('db9a5f14-2a57-46e8-a747-703e815e5227', 'default', NULL, NULL, '2026-01-02T03:04:05.003000000Z', '2026-01-02T03:04:05.003000000Z', NULL);
INSERT INTO spaces VALUES ('space-1', 'blue', NULL, 'b', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL);
