-- Until when the schedules of dyno types have been seen to. What comes due after that has yet to be.
CREATE TABLE type_schedules (
    type_id    TEXT PRIMARY KEY REFERENCES dyno_types (id) ON DELETE CASCADE,
    seen_until TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO type_schedules (type_id, seen_until)
SELECT id, strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000000Z'
FROM dyno_types
WHERE schedule IS NOT NULL;
