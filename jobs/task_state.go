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
	Ran     bool   // one of its processes ended as an init never does that cannot execute the command
	UpMost  int64  // the longest that one of its processes, of those that have ended by themselves, was up
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
	ByOrder bool  // Nomad ended it
	Up      int64 // how long the process was up; 0 if its start is forgotten
}

// Exit codes by which init says that it could not execute the command, and shells that they could not execute one.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// sigKill is the signal by which the kernel ends what is out of memory, and Docker what does not end in time.
const sigKill = 9

// summarize reads a task's state. Its events come oldest first.
func summarize(s *api.TaskState) TaskSummary {
	if s == nil {
		return TaskSummary{}
	}
	t := TaskSummary{
		State: intern(s.State), Failed: s.Failed, Restarts: uint32(min(s.Restarts, 1<<32-1)),
		Started: nanos(s.StartedAt), Finished: nanos(s.FinishedAt),
	}
	var began int64 // the last start before the event
	for _, e := range s.Events {
		if e == nil {
			continue
		}
		if e.Type == api.TaskStarted {
			began = e.Time
		}
		t.apply(e, began)
	}
	if t.State == taskRunning {
		t.Failure, t.Missing = "", false
	}
	return t
}

// apply takes in the next event. The process that it is about began at a time, 0 if that event is forgotten.
func (t *TaskSummary) apply(e *api.TaskEvent, began int64) {
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
		if began != 0 {
			t.Exit.Up = e.Time - began
		}
		if !t.Exit.ByOrder {
			t.Ran = t.Ran || !t.Exit.mayBeInits()
			t.UpMost = max(t.UpMost, t.Exit.Up)
		}
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

// signalled reports whether a signal ended the process. One that came while the process was about to start is not known to be an order.
func (e Exit) signalled() bool { return e.Signal != 0 || e.Code > 128 && e.Code <= 128+64 }

// Lost reports whether the task's process was lost with its node's memory of it, and the node is about to start another. (Of a task
// that is never restarted there is no other way back to pending.)
func (t TaskSummary) Lost() bool { return t.Started != 0 && t.Exit.At == 0 && t.State == taskPending }

// mayBeInits reports whether the exit can be that of an init which could not execute the command.
func (e Exit) mayBeInits() bool {
	return (e.Code == exitNotExecutable || e.Code == exitNotFound) && !e.OOM && e.Signal == 0
}

// notExecuted reports whether the task's command cannot be executed: every process of it that is known of ended with one of
// init's exit codes, and none was up for as long as healthy takes. Docker starts init, which is always there, so that Nomad
// knows a missing command only as an exit. It comes within milliseconds, but Nomad notices late on a node that is short of CPU
// (more than 5 s were seen), so that a tighter bound would be wrong. A command that did anything else even once exists: an
// application which itself ends with such a code later, or in a later run, has crashed. One that does so soon and always cannot
// be told apart: a shell whose command is not found, a program whose libraries are. It could not start either.
func (t TaskSummary) notExecuted(healthy time.Duration) bool {
	return t.Exit.At != 0 && !t.Exit.ByOrder && t.Exit.mayBeInits() && !t.Ran && t.UpMost < int64(healthy)
}

// mergeTasks gives the later summary, with the last exit that only the earlier one has still seen.
func mergeTasks(earlier, later TaskSummary) TaskSummary {
	if later.Exit.At < earlier.Exit.At {
		later.Exit = earlier.Exit
	}
	later.Started = max(later.Started, earlier.Started)
	later.Restarts = max(later.Restarts, earlier.Restarts)
	later.Ran = later.Ran || earlier.Ran
	later.UpMost = max(later.UpMost, earlier.UpMost)
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
func (t TaskSummary) crashed(now *Moment, healthy time.Duration) bool {
	if t.Exit.At == 0 || t.Exit.ByOrder {
		return false
	}
	up := t.State == taskRunning && t.Started >= t.Exit.At
	return !up || !now.passed(t.Started, healthy)
}
