package dynomad

import (
	"fmt"
	"strings"
)

// Definition is what of a dyno type makes new dynos when it changes. A quantity does not.
type Definition struct {
	Command     *string `json:"command,omitempty"`
	Size        string  `json:"size"`
	Port        int     `json:"port,omitempty"`
	Healthcheck *string `json:"healthcheck,omitempty"`
	RestartID   string  `json:"restart_id,omitempty"`
}

// Equal reports whether two definitions are the same.
func (d Definition) Equal(other Definition) bool {
	return d.Size == other.Size && d.Port == other.Port && d.RestartID == other.RestartID &&
		equalText(d.Command, other.Command) && equalText(d.Healthcheck, other.Healthcheck)
}

// String says what users know of it.
func (d Definition) String() string {
	parts := []string{"the image's command"}
	if d.Command != nil {
		parts[0] = "command " + quoted(*d.Command)
	}
	parts = append(parts, "size "+d.Size)
	if d.Port != 0 {
		parts = append(parts, fmt.Sprintf("port %d", d.Port))
	}
	if d.Healthcheck != nil {
		parts = append(parts, "health check "+quoted(*d.Healthcheck))
	}
	return strings.Join(parts, ", ")
}

// TypeRecord is what rollouts have found of a dyno type's definitions.
type TypeRecord struct {
	TypeID   string
	Good     *Definition // the last one that was rolled out well; nil if none ever was
	Failed   *Definition // one whose rollout failed: not rendered again until the type is changed; nil if none
	FailedIn string      // id of the release on trial in the same rollout: the failure is taken back if that fails too; "" if none
	Reason   string      // why it failed, in a sentence
	State    DynoState   // what its dyno was in
}

// Definition gives what is wanted of the type.
func (t DynoType) Definition() Definition {
	return Definition{Command: t.Command, Size: t.Size, Port: t.Port, Healthcheck: t.Healthcheck, RestartID: t.RestartID}
}

// With gives the type with another definition.
func (t DynoType) With(d Definition) DynoType {
	t.Command, t.Size, t.Port, t.Healthcheck, t.RestartID = d.Command, d.Size, d.Port, d.Healthcheck, d.RestartID
	return t
}

// Failed reports whether the rollout of what is wanted of the type has failed.
func (t DynoType) Failed() bool {
	return t.Record.Failed != nil && t.Record.Failed.Equal(t.Definition())
}

// Proven reports whether dynos of a definition of the type were rolled out well.
func (t DynoType) Proven(d Definition) bool { return t.Record.Good != nil && t.Record.Good.Equal(d) }

// Runs gives the type as it is to run: as wanted or, while the rollout of that has failed, at its last good definition. It
// is false if there is none: the type is left out.
func (t DynoType) Runs() (DynoType, bool) {
	switch {
	case !t.Failed():
		return t, true
	case t.Record.Good != nil:
		return t.With(*t.Record.Good), true
	}
	return t, false
}

// Notice says what a user should know of the type; "" if nothing.
func (t DynoType) Notice() string {
	switch {
	case !t.Failed():
		return ""
	case t.Record.Good != nil:
		return fmt.Sprintf("held at the last good definition: %s. %s", t.Record.Good, t.Record.Reason)
	}
	return "left out until it is changed: " + t.Record.Reason
}
