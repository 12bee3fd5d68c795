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

CREATE INDEX releases_pending ON releases (app_id) WHERE status = 'pending';

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
INSERT INTO applied VALUES ('bda19c78-8f3b-48e3-9cbd-f94370034c1a', 'spec', 12, NULL, 0, NULL, NULL, '2026-01-02T03:04:05.000000000Z');
INSERT INTO apps VALUES ('bda19c78-8f3b-48e3-9cbd-f94370034c1a', 'shop-blue', 'shop', 'space-1', NULL, NULL, NULL, 0, 1, NULL, NULL, '6acb29f3-967e-4bc4-94c2-be1d9b675e34', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL, NULL);
INSERT INTO apps VALUES ('0f87284b-6e94-4a68-926f-f9920ba1a4dc', 'gone-default', 'gone', '2f091d12-b85c-4cea-b99c-013e9f95734f', NULL, NULL, NULL, 0, 1, NULL, NULL, '615049b0-c35e-4a53-8761-5f25602c451d', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.017000000Z', '2026-01-02T03:04:05.017000000Z', NULL);
INSERT INTO audits VALUES (1, '97284334-8574-45f9-8aa6-07404aafcbcc', NULL, NULL, 'space-1', 'blue', 'space.create', 'Did space.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (2, '4c90966c-0aba-42b1-a0cb-31e0f821337d', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', 'shop-blue', 'space-1', 'blue', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (3, '59f381e5-8181-4570-9d33-904e509c257c', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', 'shop-blue', 'space-1', 'blue', 'release.finish', 'Did release.finish.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (4, 'cf411005-763d-4222-8566-0920f259fd7e', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', 'shop-blue', 'space-1', 'blue', 'config.notes', 'Did config.notes.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (5, '8687e7f3-ca76-48a9-91cd-73f03cad2e35', '0f87284b-6e94-4a68-926f-f9920ba1a4dc', 'gone-default', '2f091d12-b85c-4cea-b99c-013e9f95734f', 'default', 'app.create', 'Did app.create.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO audits VALUES (6, '71193dd0-ab91-4fa0-bbe7-17d18e826cbf', '0f87284b-6e94-4a68-926f-f9920ba1a4dc', 'gone-default', '2f091d12-b85c-4cea-b99c-013e9f95734f', 'default', 'app.delete', 'Did app.delete.', 'u', 'u@x', '2026-01-02T03:04:05.000000000Z');
INSERT INTO authorizations VALUES ('root', NULL, NULL, 'global', NULL, NULL, NULL, 'hash', NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO builds VALUES ('b79eda8e-d74e-4933-bbad-3711fa0455fc', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', 1, 'shop:1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'succeeded', NULL, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO config_versions VALUES ('73771b22-98c2-4d3e-9cf6-c87cf128892f', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', 1, 0, '2026-01-02T03:04:05.006000000Z', X'EA25F3DDFB6E4B0E16BE8D75237EC06269F890B8E7ABD49E02A6E5BF0D04');
INSERT INTO config_versions VALUES ('6acb29f3-967e-4bc4-94c2-be1d9b675e34', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', 2, 1, '2026-01-02T03:04:05.009000000Z', X'D71FDC8A0D487580BFFB328AE29733BB41CCF6D73A9FEB5AAAAA2528F2ECE48B1DD43EF450879616F65B3EEEA7');
INSERT INTO config_versions VALUES ('615049b0-c35e-4a53-8761-5f25602c451d', '0f87284b-6e94-4a68-926f-f9920ba1a4dc', 1, 0, '2026-01-02T03:04:05.016000000Z', NULL);
INSERT INTO dyno_types VALUES ('type-1', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', 'web', NULL, 2, 'gp1', 9000, NULL, 0, NULL, NULL, NULL, 0, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO dyno_types VALUES ('type-2', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', 'migrate', NULL, 0, 'gp2', NULL, NULL, 1, NULL, X'5E098AB9C0C8C2E8BAE806E5782581157E74563BB218698582D949AD278B8962F3D47609D74BB938A52A7030A5E1D3D48088E980F2B34E7B', NULL, 0, NULL, '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z');
INSERT INTO favorites VALUES ('root', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', '2026-01-02T03:04:05.000000000Z');
INSERT INTO meta VALUES ('installation', 'f867dc3b-34b8-4c91-83d0-74a78e5694a7');
INSERT INTO meta VALUES ('key_check', 'f2d38115b23934206f515e57bb883553cf242071195c35084c7a5972436b45871da5623392a992');
INSERT INTO notes VALUES ('bda19c78-8f3b-48e3-9cbd-f94370034c1a', 'COLOR', 1, NULL);
INSERT INTO releases VALUES ('fcf6438b-d35f-4fcd-b37d-c76c140a654c', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', 1, 'b79eda8e-d74e-4933-bbad-3711fa0455fc', '73771b22-98c2-4d3e-9cf6-c87cf128892f', 'failed', NULL, 'superseded by v2', NULL, NULL, '2026-01-02T03:04:06.000000000Z', '2026-01-02T03:04:05.009000000Z');
INSERT INTO releases VALUES ('b7c3e5a8-42e0-4eff-a130-92b29ca020e0', 'bda19c78-8f3b-48e3-9cbd-f94370034c1a', 2, 'b79eda8e-d74e-4933-bbad-3711fa0455fc', '6acb29f3-967e-4bc4-94c2-be1d9b675e34', 'succeeded', NULL, NULL, NULL, NULL, '2026-01-02T03:04:07.000000000Z', '2026-01-02T03:04:05.010000000Z');
INSERT INTO schema_migrations VALUES (1, '2026-01-02T03:04:05.002000000Z');
INSERT INTO spaces VALUES ('2f091d12-b85c-4cea-b99c-013e9f95734f', 'default', NULL, NULL, '2026-01-02T03:04:05.003000000Z', '2026-01-02T03:04:05.003000000Z', NULL);
INSERT INTO spaces VALUES ('space-1', 'blue', NULL, 'b', '2026-01-02T03:04:05.000000000Z', '2026-01-02T03:04:05.000000000Z', NULL);
