package dynomad

import "time"

// Audit is one line of who changed what, when. It never holds a config value.
type Audit struct {
	ID        string
	AppID     string
	AppName   string // as it was then; apps are deleted, their audits stay
	Space     string
	Seq       int64  // its number in the order that the store took them in; set by the store
	Action    string // "app.create", "formation.update", "release.create" …
	Details   string // one sentence
	UserID    string
	UserEmail string
	CreatedAt time.Time
}
