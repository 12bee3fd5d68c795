package jobs

import (
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
)

// States of a task (nomad/structs, TaskState*).
const (
	taskPending = "pending"
	taskRunning = "running"
)

// taskTemplate is the type of the events by which a task's templates say what they wait for; the client's package has no
// name for it (client/allocrunner/taskrunner/template).
const taskTemplate = "Template"

// TaskSummary is what is kept of a task's state and events.
type TaskSummary struct {
	State    string // "pending", "running" or "dead"
	Failed   bool
	Killing  bool // it is being or was ended by Nomad; its exit is no crash
	Restarts uint32
	Started  int64 // the last time
	Finished int64

	Exit    Exit   // how the process ended last by itself
	Failure string // why it could not be started, in Nomad's words; "" once it was
	Missing bool   // its templates wait for a variable
	Doing   string // the last event's text
}

// Exit is the end of a process.
type Exit struct {
	At      int64 // 0 is none
	Code    int32
	Signal  int32
	OOM     bool
	ByOrder bool // Nomad ended it
}

// summarize reads a task's state. Its events come oldest first.
func summarize(s *api.TaskState) TaskSummary {
	if s == nil {
		return TaskSummary{}
	}
	t := TaskSummary{
		State: intern(s.State), Failed: s.Failed, Restarts: uint32(min(s.Restarts, 1<<32-1)),
		Started: nanos(s.StartedAt), Finished: nanos(s.FinishedAt),
	}
	for _, e := range s.Events {
		if e != nil {
			t.apply(e)
		}
	}
	if t.State == taskRunning {
		t.Failure, t.Missing = "", false
	}
	return t
}

// apply takes in the next event.
func (t *TaskSummary) apply(e *api.TaskEvent) {
	t.Doing = intern(e.DisplayMessage)
	switch e.Type {
	case api.TaskStarted:
		t.Started = max(t.Started, e.Time)
		t.Failure, t.Missing, t.Killing = "", false, false
	case api.TaskKilling, api.TaskRestartSignal:
		t.Killing = true
		if t.Started == 0 && e.Details["kill_reason"] != "" {
			t.Failure = e.DisplayMessage // a template that cannot be rendered ends the task so
		}
	case api.TaskTerminated:
		t.Exit = exitOf(e)
		t.Exit.ByOrder = t.Killing
	case api.TaskDriverFailure, api.TaskSetupFailure, api.TaskFailedValidation, api.TaskArtifactDownloadFailed:
		t.Failure = e.DisplayMessage
	case taskTemplate:
		t.Missing = true
	}
}

// exitOf reads an event of type Terminated; what it tells is in the details, the fields are deprecated.
func exitOf(e *api.TaskEvent) Exit {
	exit := Exit{At: e.Time, Code: int32(e.ExitCode), Signal: int32(e.Signal)} //nolint:gosec // exit codes are small
	if code, err := strconv.ParseInt(e.Details["exit_code"], 10, 32); err == nil {
		exit.Code = int32(code)
	}
	if signal, err := strconv.ParseInt(e.Details["signal"], 10, 32); err == nil {
		exit.Signal = int32(signal)
	}
	exit.OOM = e.Details["oom_killed"] == "true"
	return exit
}

// mergeTasks gives the later summary, with the last exit that only the earlier one has still seen.
func mergeTasks(earlier, later TaskSummary) TaskSummary {
	if later.Exit.At < earlier.Exit.At {
		later.Exit = earlier.Exit
	}
	later.Started = max(later.Started, earlier.Started)
	later.Restarts = max(later.Restarts, earlier.Restarts)
	if later.State == "" {
		later.State = earlier.State
	}
	return later
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// crashed reports whether the process ended by itself and has not been up for as long as healthy takes since.
func (t TaskSummary) crashed(now int64, healthy time.Duration) bool {
	if t.Exit.At == 0 || t.Exit.ByOrder {
		return false
	}
	up := t.State == taskRunning && t.Started >= t.Exit.At
	return !up || now-t.Started < int64(healthy)
}
