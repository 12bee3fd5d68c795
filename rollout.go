package dynomad

import "time"

// AppliedState is what the loop recorded of an app after it last wrote its job.
type AppliedState struct {
	SpecHash    string // of the rendering that was registered; never sent to Nomad
	ModifyIndex uint64 // Nomad's JobModifyIndex after it
	EvalID      string // the evaluation that the register started
	RollingOut  bool   // its rollout was not seen to end yet
	FailedHash  string // of the last rendering whose rollout failed: not registered again as it is
	Problem     string // why the cluster does not match, in one sentence; "" if it does
	Rollout     Rollout
	UpdatedAt   time.Time
}

// IsZero reports whether nothing was ever registered.
func (a AppliedState) IsZero() bool { return a.SpecHash == "" && a.ModifyIndex == 0 }

// Rollout is what was registered last, and what is known of how it goes. It outlives the daemon.
type Rollout struct {
	ReleaseID string         `json:"release_id,omitempty"`
	Version   int            `json:"version,omitempty"` // of the release
	Types     []RenderedType `json:"types,omitempty"`   // by type
	Trial     bool           `json:"trial,omitempty"`   // a release or a definition is in it that has yet to prove good
	Lowered   bool           `json:"lowered,omitempty"` // only counts were lowered, for another register to follow
	StartedAt time.Time      `json:"started_at,omitzero"`
	Troubles  []Trouble      `json:"troubles,omitempty"` // why it is being failed
	Tries     int            `json:"tries,omitempty"`    // how often it was tried again
	Mark      int            `json:"mark,omitempty"`     // what the job bears of that: it stays when a try has succeeded
	RetryAt   time.Time      `json:"retry_at,omitzero"`  // when to try again; zero is never
}

// RenderedType is one dyno type of a rendering.
type RenderedType struct {
	TypeID     string     `json:"type_id"`
	Type       string     `json:"type"`
	Definition Definition `json:"definition"`
	Count      int        `json:"count"`
}

// Trouble is why a type's dynos fail a rollout.
type Trouble struct {
	Type  string    `json:"type"`
	State DynoState `json:"state"`
	Info  string    `json:"info"` // a sentence
}

// Type finds a type of the rendering.
func (r Rollout) Type(name string) (RenderedType, bool) {
	for _, t := range r.Types {
		if t.Type == name {
			return t, true
		}
	}
	return RenderedType{}, false
}

// RolloutEnd is all that the end of a rollout changes, in one transaction.
type RolloutEnd struct {
	Applied AppliedState
	Records []TypeRecord // new states of types' records; those of types that are gone are passed over
	Release *ReleaseEnd  // nil if no release ends with it
	Audits  []Audit
}

// ReleaseEnd is what becomes of a release.
type ReleaseEnd struct {
	ID     string
	From   string // the status that it must have; else nothing becomes of it
	Status string
	Info   string // why it failed
	Audit  Audit  // written if it was
}
