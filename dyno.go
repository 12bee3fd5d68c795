package dynomad

import "time"

// DynoState is what a dyno is doing; exactly one holds at a time.
type DynoState string

// The states of a dyno, as in the Akkeris documentation.
//
//	waiting ──> pending ──> running <──> probe-failure
//	              │            │  │
//	              v            v  └──> stopping ──> stopped
//	       start-failure   app-crashed
const (
	StateStopped      DynoState = "stopped"       // told to stop, or a finished one-off, and its processes have ended
	StateStopping     DynoState = "stopping"      // told to stop, processes not ended yet
	StateStartFailure DynoState = "start-failure" // could not start: image, driver or set-up failure
	StateAppCrashed   DynoState = "app-crashed"   // its process ended by itself and has not been up long enough since
	StateWaiting      DynoState = "waiting"       // wanted, but not placed or held
	StatePending      DynoState = "pending"       // placed, being prepared
	StateProbeFailure DynoState = "probe-failure" // running, but its health check fails
	StateRunning      DynoState = "running"       // running
)

// DynoStates lists every state, in the order in which the first match wins.
func DynoStates() []DynoState {
	return []DynoState{
		StateStopped, StateStopping, StateStartFailure, StateAppCrashed,
		StateWaiting, StatePending, StateProbeFailure, StateRunning,
	}
}

// Dyno is one running instance of a dyno type, or of a command that runs once: on Nomad, an allocation.
type Dyno struct {
	ID             string // the allocation's UUID; derived for one that is not placed yet
	Name           string // ten digits, a dash, five lower-case letters or digits; of a run as TypeN
	TypeN          string // "web.1": allocation index + 1; shared by two dynos while one replaces the other
	Run            bool   // it runs once: see Run. Its id, and the N of its name, are its own
	AllocID        string // the allocation; "" for one that is not placed yet
	AppID          string
	AppName        string
	Type           string
	Command        *string
	Size           string
	ReleaseID      string
	ReleaseVersion int // the release that it runs
	State          DynoState
	Ready          bool
	Restarts       int
	ExitCode       *int // of one that has ended
	AdditionalInfo string
	Node           string
	NomadURL       string
	CreatedAt      time.Time
	UpdatedAt      time.Time
}
