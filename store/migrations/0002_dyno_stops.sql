-- Dynos that a user wants replaced and that the loop has not seen to yet.
CREATE TABLE dyno_stops (
    app_id       TEXT NOT NULL REFERENCES apps (id),
    dyno_id      TEXT NOT NULL, -- the allocation's
    type         TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    PRIMARY KEY (app_id, dyno_id)
) STRICT, WITHOUT ROWID;
