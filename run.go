package dynomad

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// Run is a dyno that runs once: a one-off dyno, or one run of a scheduled dyno type. It has a Nomad job of its own, of type batch. It is
// kept in the store, since Nomad forgets.
type Run struct {
	ID        string    // the dyno's id, from the first answer on; a UUID
	AppID     string    //
	Number    int       // of Name; no two runs of an installation have the same
	Type      string    // RunType, or the one-off or scheduled dyno type that it is a run of
	TypeID    string    // of that type; "" for RunType
	Scheduled time.Time // the minute of the schedule that it is for; zero for one that was asked for

	Command  *string    // nil is the image's own
	Shell    bool       // Command is run as /bin/sh -c <command>, as Heroku's clients mean it; else it is split into words
	Image    string     // a reference with a tag or digest
	Size     string     // name of a size
	Attach   bool       // a client is to connect to its terminal; what Nomad starts is a holder
	HasEnv   bool       // Env is not empty
	Env      ConfigVars // what its own environment adds to the config vars; only read for the loop
	Deadline time.Time  // its time to live is over then; zero if it has none

	ReleaseID      string // "" if it runs before the first release
	ReleaseVersion int
	ConfigID       string // the config version whose vars it has

	CreatedAt  time.Time
	Registered bool   // Nomad has, or had, its job
	AllocID    string // the one allocation that may run it; "" before it was placed
	StopReason string // why it is to end, in a sentence; "" while it is not
	Ended      *RunEnd
}

// AppRuns is what the loop has to see to of an app's runs.
type AppRuns struct {
	App     App
	Deleted bool  // the app was: its runs are to end, and their jobs to go
	Runs    []Run // by number, whole; those that have ended until they are removed
}

// RunEnd is what became of a run.
type RunEnd struct {
	At       time.Time // when its process ended, or when it was found that there will be none
	State    DynoState // stopped, or start-failure if it never ran
	ExitCode *int      // nil if no process ended
	Info     string    // why, in a plain sentence
	Node     string    // where it ran; "" if nowhere
	AllocID  string    // of its allocation, by which its logs are found; "" if there was none
}

// Name is the dyno's name and its "type.N" at once: "run.1234".
func (r Run) Name() string { return r.Type + "." + strconv.Itoa(r.Number) }

// RunListed is how long a run that has ended is listed, and how long its job is kept, so that its logs can be read.
const RunListed = time.Hour

// RunKept is how long the record of a run is kept after its end.
const RunKept = 30 * 24 * time.Hour

// MaxOpenRuns is how many runs of one app may be under way at a time.
const MaxOpenRuns = 500

// TimeToLive gives how long the run may take from when it was asked for; 0 is for ever.
func (r Run) TimeToLive() time.Duration {
	if r.Deadline.IsZero() {
		return 0
	}
	return r.Deadline.Sub(r.CreatedAt)
}

// TimeIsOver says that its time to live is.
func (r Run) TimeIsOver() string {
	return fmt.Sprintf("Its time to live of %s is over.", r.TimeToLive())
}

// Dyno gives the run as a dyno of which the cluster has told nothing yet, or which has ended.
func (r Run) Dyno(app App) Dyno {
	d := Dyno{
		ID: r.ID, Name: r.Name(), TypeN: r.Name(), AppID: app.ID, AppName: app.Name, Type: r.Type, Command: r.Command,
		Size: r.Size, ReleaseID: r.ReleaseID, ReleaseVersion: r.ReleaseVersion, Run: true, AllocID: r.AllocID,
		State: StateWaiting, AdditionalInfo: "Nomad has not placed it yet.", CreatedAt: r.CreatedAt, UpdatedAt: r.CreatedAt,
	}
	switch {
	case r.Ended != nil:
		d.State, d.AdditionalInfo, d.ExitCode = r.Ended.State, r.Ended.Info, r.Ended.ExitCode
		d.Node, d.UpdatedAt = r.Ended.Node, r.Ended.At
	case r.StopReason != "":
		d.State, d.AdditionalInfo = StateStopping, r.StopReason
	}
	return d
}

// NewRun is what a client sends to run a dyno once. A field that is absent or null is the type's, or the usual one.
type NewRun struct {
	Type       string // "" is RunType
	Command    Optional[string]
	Shell      bool // Command is for /bin/sh
	Attach     bool
	Size       Optional[string]
	Env        map[string]string
	TimeToLive Optional[int] // seconds
	Image      string
}

// Bounds of a run's time to live, in seconds (Heroku has the same). A run that a client attaches to has the longest unless it names one.
const (
	MinTimeToLive = 1
	MaxTimeToLive = 24 * 60 * 60
)

// NewRun makes a run of a request, for an app as it is now. What only the platform gives, as its id, is left out.
func (r Rules) NewRun(s AppState, n NewRun) (Run, error) {
	run := Run{AppID: s.App.ID, Type: RunType, Size: r.DefaultSize, Attach: n.Attach, Env: ConfigVars{}}
	if n.Type != "" && n.Type != RunType {
		t, err := s.runnable(n.Type)
		if err != nil {
			return Run{}, err
		}
		run = run.of(t, s.ProcessTypes())
	}
	var err error
	if run.Command, run.Shell, err = n.command(run); err != nil {
		return Run{}, err
	}
	if run.Attach && run.Command == nil {
		return Run{}, Invalidf("command", "The command is missing: the image's own cannot be attached to.")
	}
	if run, err = r.applyRun(run, n); err != nil {
		return Run{}, err
	}
	return run.on(s)
}

// applyRun lays what the request says over what the type says.
func (r Rules) applyRun(run Run, n NewRun) (Run, error) {
	if n.Size.HasValue() {
		if _, ok := r.Sizes.Find(n.Size.Value); !ok {
			return run, Invalidf("size", "The size %s is not known; the sizes are %s.", quoted(n.Size.Value), strings.Join(r.Sizes.Names(), ", "))
		}
		run.Size = n.Size.Value
	}
	for name, value := range n.Env {
		if err := validVar("env", name, value); err != nil {
			return run, err
		}
		run.Env[name] = value
	}
	if run.Env.bytes() > MaxConfigBytes {
		return run, Invalidf("env", "The names and values of env must not be longer than %d bytes together; these are %d.", MaxConfigBytes, run.Env.bytes())
	}
	run.HasEnv = len(run.Env) > 0
	if n.Image != "" {
		image, err := ParseImage("image", n.Image)
		if err != nil {
			return run, err
		}
		run.Image = image
	}
	if ttl := n.TimeToLive; ttl.HasValue() && (ttl.Value < MinTimeToLive || ttl.Value > MaxTimeToLive) {
		return run, Invalidf("time_to_live", "The time_to_live must be from %d to %d seconds, not %d.", MinTimeToLive, MaxTimeToLive, ttl.Value)
	}
	return run, nil
}

// timeToLive gives how long the run may take; 0 is for ever.
func (n NewRun) timeToLive() time.Duration {
	switch {
	case n.TimeToLive.HasValue():
		return time.Duration(n.TimeToLive.Value) * time.Second
	case n.Attach:
		return MaxTimeToLive * time.Second
	}
	return 0
}

// runnable finds a dyno type that is run by request or schedule.
func (s AppState) runnable(name string) (DynoType, error) {
	t, ok := s.Type(name)
	if !ok {
		return t, Invalidf("type", "The dyno type %s does not exist; leave the type out to run a command.", quoted(name))
	}
	if t.KeptUp() {
		return t, Invalidf("type", "Dynos of the type %s are kept up; only one-off and scheduled types can be run by request.", t.Type)
	}
	return t, nil
}

// of makes the run one of a dyno type.
func (r Run) of(t DynoType, processTypes map[string]string) Run {
	r.Type, r.TypeID, r.Size, r.Command = t.Type, t.ID, t.Size, t.CommandIn(processTypes)
	if t.Options != nil {
		r.Image = t.Options.Image
		for name, value := range t.Options.Env {
			r.Env[name] = value
		}
	}
	return r
}

// command gives the command of a run, and whether a shell is to run it. Only a run of a type can do without one of its own.
func (n NewRun) command(run Run) (*string, bool, error) {
	if !n.Command.HasValue() || strings.TrimSpace(n.Command.Value) == "" {
		if run.Type == RunType {
			return nil, false, Invalidf("command", "The command is missing: what to run, or a one-off type that has one.")
		}
		return run.Command, false, nil
	}
	if n.Shell {
		return &n.Command.Value, true, validScript("command", n.Command.Value)
	}
	_, err := SplitCommand("command", n.Command.Value)
	return &n.Command.Value, false, err
}

// validScript checks a command that a shell is to read.
func validScript(field, script string) error {
	switch {
	case len(script) > MaxCommand:
		return Invalidf(field, "The command must not be longer than %d bytes.", MaxCommand)
	case strings.ContainsRune(script, 0) || !validUTF8(script):
		return Invalidf(field, "The command must be UTF-8 text without NUL.")
	case !norm.NFC.IsNormalString(script): // as in SplitCommand
		return Invalidf(field, "The command has letters with separate accents; write them composed (Unicode NFC).")
	}
	return nil
}

// on has the run use what the app's dynos run now: the wanted release's image and config vars. With an image of its own it needs no
// release.
func (r Run) on(s AppState) (Run, error) {
	r.ConfigID = s.ConfigID
	if s.Wanted != nil {
		r.ReleaseID, r.ReleaseVersion, r.ConfigID = s.Wanted.ID, s.Wanted.Version, s.Wanted.ConfigID
	}
	switch {
	case r.Image != "":
	case s.Build == nil:
		return Run{}, Errorf(Conflict, "The app %s has no release to run yet: make a build first, or name an image.", s.App.Name)
	default:
		r.Image = s.Build.Image
	}
	if open := s.OpenRuns(); open >= MaxOpenRuns {
		return Run{}, Errorf(Conflict, "The app %s has %d one-off dynos under way, the most that it may have.", s.App.Name, open)
	}
	return r, nil
}

// OpenRuns counts the runs that have not ended.
func (s AppState) OpenRuns() int {
	n := 0
	for _, r := range s.Runs {
		if r.Ended == nil {
			n++
		}
	}
	return n
}

// Run finds a run that is listed, by id.
func (s AppState) Run(id string) (Run, bool) {
	for _, r := range s.Runs {
		if r.ID == id {
			return r, true
		}
	}
	return Run{}, false
}
