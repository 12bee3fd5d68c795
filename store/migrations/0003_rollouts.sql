-- What was registered last and how its rollout goes, as JSON (dynomad.Rollout).
ALTER TABLE applied ADD COLUMN rollout TEXT;

-- What rollouts found of a dyno type's definitions (dynomad.Definition as JSON).
CREATE TABLE type_records (
    type_id    TEXT PRIMARY KEY REFERENCES dyno_types (id) ON DELETE CASCADE,
    good       TEXT, -- the last that was rolled out well
    failed     TEXT, -- one whose rollout failed
    failed_in  TEXT, -- the release that was on trial in it
    reason     TEXT,
    state      TEXT,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What runs when this is applied runs well enough to go back to.
INSERT INTO type_records (type_id, good, updated_at)
SELECT
    t.id,
    json_patch('{}', json_object(
        'command', t.command, 'size', t.size, 'port', t.port, 'healthcheck', t.healthcheck, 'restart_id', t.restart_id
    )),
    t.updated_at
FROM dyno_types AS t
WHERE t.one_off = 0 AND t.schedule IS NULL
AND EXISTS (SELECT 1 FROM releases AS r WHERE r.app_id = t.app_id AND r.status = 'succeeded' AND r.build_id IS NOT NULL);

ALTER TABLE dyno_types DROP COLUMN additional_info;

-- Which releases of each app matter, by version: the newest; the one that should run (the newest with a slug that did not
-- fail, else the newest with a slug, else the newest); and the newest that succeeded.
DROP VIEW heads;
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

DROP INDEX releases_not_failed;
CREATE INDEX releases_not_failed ON releases (app_id, version) WHERE status <> 'failed' AND build_id IS NOT NULL;
CREATE INDEX releases_with_slug ON releases (app_id, version) WHERE build_id IS NOT NULL;
