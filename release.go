package dynomad

import "time"

// The states of a release.
const (
	ReleasePending   = "pending"   // its rollout has not ended
	ReleaseSucceeded = "succeeded" // its dynos ran, or there were none to run
	ReleaseFailed    = "failed"    // its rollout failed, or a newer release came first
)

// Release is a slug with config vars: one row of an app's ledger, which is only ever appended to.
type Release struct {
	ID             string
	AppID          string
	AppName        string
	Version        int // 1, 2, 3 … in the app
	BuildID        string
	ConfigID       string // the config version
	Status         string
	Current        bool // the newest one that succeeded; filled in when read
	Description    string
	AdditionalInfo string // why it failed
	UserID         string
	UserEmail      string
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// NewRelease is what a client sends to release a slug, or to roll back to a release.
type NewRelease struct {
	Slug        string // id of a build of this app
	Release     string // id or version of a release of this app
	Description string
}

// Validate checks that exactly one of slug and release is named.
func (n NewRelease) Validate() error {
	switch {
	case n.Slug == "" && n.Release == "":
		return Invalidf("slug", "Name a slug to release, or a release to roll back to.")
	case n.Slug != "" && n.Release != "":
		return Invalidf("release", "Name a slug to release or a release to roll back to, not both.")
	}
	return validTexts(textField{"description", n.Description})
}
