package dynomad

import (
	"strconv"
	"time"
)

// Run is a dyno that runs once: a one-off dyno, or one run of a scheduled dyno type. It has a Nomad job of its own, of type batch. It is
// kept in the store, since Nomad forgets.
type Run struct {
	ID        string    // the dyno's id, from the first answer on; a UUID
	AppID     string    //
	Number    int       // of Name; no two runs of an installation have the same
	Type      string    // RunType, or the one-off or scheduled dyno type that it is a run of
	Scheduled time.Time // the minute of the schedule that it is for; zero for one that was asked for

	Command  *string // nil is the image's own
	Shell    bool    // Command is run as /bin/sh -c <command>, as Heroku's clients mean it; else it is split into words
	Image    string  // a reference with a tag or digest
	Size     string  // name of a size
	Attach   bool    // a client is to connect to its terminal; what Nomad starts is a holder
	HasEnv   bool    // Env is not empty
	Env      ConfigVars
	Deadline time.Time // its time to live is over then; zero if it has none

	ReleaseID      string
	ReleaseVersion int
	ConfigID       string // the release's config version

	CreatedAt  time.Time
	Registered bool   // Nomad has, or had, its job
	StopReason string // why it is to end, in a sentence; "" while it is not
	Ended      *RunEnd
}

// RunEnd is what became of a run.
type RunEnd struct {
	At       time.Time // when its process ended, or when it was found that there will be none
	State    DynoState // stopped, app-crashed or start-failure … as its dyno is shown
	ExitCode *int      // nil if no process ended
	Info     string    // why, in a plain sentence
	Node     string    // where it ran; "" if nowhere
	AllocID  string    // of its allocation, by which its logs are found; "" if there was none
}

// Name is the dyno's name and its "type.N" at once: "run.1234".
func (r Run) Name() string { return r.Type + "." + strconv.Itoa(r.Number) }
