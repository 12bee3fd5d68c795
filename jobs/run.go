package jobs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// RunInput is all that the job of a run depends on.
type RunInput struct {
	Settings
	App dynomad.App
	Run dynomad.Run
}

// RunJobID gives the id of a run's job: of one that was asked for by its number, of a scheduled one by its type and minute, so that a
// minute has one run whoever starts it.
func RunJobID(app dynomad.App, run dynomad.Run) string {
	if run.Scheduled.IsZero() {
		return fmt.Sprintf("%s_%s_%d", app.Name, dynomad.RunType, run.Number)
	}
	return fmt.Sprintf("%s_%s_%s", app.Name, run.Type, run.Scheduled.UTC().Format("200601021504"))
}

// RunNumber reads a run's number from the id of its job; 0 if it is none of a run that was asked for.
func RunNumber(jobID string) int {
	_, number, _ := strings.Cut(jobID, "_"+dynomad.RunType+"_")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// RunSpec renders a run as a batch job of one dyno, which Nomad neither restarts nor reschedules.
//
// That is not enough to run it once: Nomad places an allocation anew that was drained, or that was pending on a node which it lost. So
// an allocation waits for a variable that names it (see GrantPath). Only one is ever written, and it is removed once the process is up.
func RunSpec(in RunInput) (*api.Job, error) {
	group, err := runGroup(in)
	if err != nil {
		return nil, fmt.Errorf("render the job of %s: %w", in.Run.Name(), err)
	}
	meta := ownerMeta(in.Installation, in.App)
	meta[metaRun] = in.Run.ID
	return &api.Job{
		ID:          ptr(RunJobID(in.App, in.Run)),
		Name:        ptr(RunJobID(in.App, in.Run)),
		Type:        ptr(api.JobTypeBatch),
		Region:      optional(in.Region),
		Namespace:   optional(in.namespace(in.App)),
		Datacenters: datacenters(in.Settings),
		NodePool:    optional(in.NodePool),
		Meta:        meta,
		UI:          &api.JobUIConfig{Description: fmt.Sprintf("%s of the app %s, run once by Dynomad.", in.Run.Name(), in.App.Name)},
		TaskGroups:  []*api.TaskGroup{group},
	}, nil
}

func runGroup(in RunInput) (*api.TaskGroup, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	words, err := runWords(in.Run)
	if err != nil {
		return nil, err
	}
	task, err := dockerTask(in.Settings, in.Run.Type, in.Run.Size, dockerConfig(in.Run.Image, words), runTemplate(in.App, in.Run))
	if err != nil {
		return nil, err
	}
	return &api.TaskGroup{
		Name:             ptr(in.Run.Type),
		Count:            ptr(1),
		Meta:             map[string]string{metaType: in.Run.Type, metaRelease: strconv.Itoa(in.Run.ReleaseVersion)},
		RestartPolicy:    noRestart(),
		ReschedulePolicy: noReschedule(),
		Disconnect:       awaitNode(),
		EphemeralDisk:    disk(),
		Tasks:            []*api.Task{task},
	}, nil
}

// validate checks what RunSpec takes for granted: names end up in a template, where a wrong one would do harm.
func (in RunInput) validate() error {
	switch {
	case in.Installation == "" || in.App.ID == "" || in.Run.ID == "":
		return errors.New("it or its app has no id")
	case in.App.Name == "" || !plain(in.App.Name) || in.Run.Type == "" || !plain(in.Run.Type) || !plain(in.Run.ConfigID):
		return errors.New("its names have characters that names cannot have")
	case in.Run.Image == "":
		return errors.New("it has no image")
	}
	return nil
}

// runWords gives what the container is started with; none is the image's own. One that a client attaches to holds the place for the
// command, which is started when the client has come.
func runWords(run dynomad.Run) ([]string, error) {
	switch {
	case run.Attach:
		return []string{"sleep", strconv.Itoa(int(run.TimeToLive().Seconds()))}, nil
	case run.Shell:
		return []string{"/bin/sh", "-c", *run.Command}, nil
	}
	return commandWords(run.Command)
}

// GrantPath gives the path of the Nomad variable that lets one allocation run a run. It holds the run's own environment.
func GrantPath(app dynomad.App, run dynomad.Run, allocID string) string {
	return grantFolder(app, run) + allocID
}

func grantFolder(app dynomad.App, run dynomad.Run) string {
	return strings.Join([]string{configRoot, app.Name, runMark + strconv.Itoa(run.Number), ""}, "/")
}

// runTemplate makes the environment as configTemplate does. What the run has of its own comes last, and so wins.
func runTemplate(app dynomad.App, run dynomad.Run) *api.Template {
	var b strings.Builder
	writeVariable(&b, strconv.Quote(ConfigPath(app.Name, run.ConfigID)))
	writeVariable(&b, fmt.Sprintf(`(printf "%s%%s" (env "NOMAD_ALLOC_ID"))`, grantFolder(app, run)))
	fmt.Fprintf(&b, "DYNO=%s\n", run.Name())
	if run.ReleaseVersion > 0 {
		fmt.Fprintf(&b, "DYNOMAD_RELEASE=v%d\n", run.ReleaseVersion)
	}
	return envTemplate(b.String())
}

func noRestart() *api.RestartPolicy {
	policy := restart()
	policy.Attempts = ptr(0)
	return policy
}

func noReschedule() *api.ReschedulePolicy {
	return &api.ReschedulePolicy{Attempts: ptr(0), Interval: ptr(time.Duration(0)), Unlimited: ptr(false)}
}

// awaitNode has Nomad wait for a node that is out of sight, and place nothing in its dynos' stead: they may still run there.
func awaitNode() *api.DisconnectStrategy {
	return &api.DisconnectStrategy{
		LostAfter: ptr(lostAfter),
		Replace:   ptr(false),
		Reconcile: ptr(api.ReconcileOption("keep_original")),
	}
}
