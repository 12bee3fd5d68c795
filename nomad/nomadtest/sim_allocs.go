package nomadtest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// encodedAlloc is an allocation's row in lists, and what it was made of: making a hundred thousand at each list would be
// counted as the daemon's time.
type encodedAlloc struct {
	of   jobs.Alloc
	text []byte
}

// stub gives an allocation's row in lists. s.mu is held.
func (s *Sim) stub(a *fakeAlloc) []byte {
	if known := s.stubs[a.ID]; known.of == a.Alloc {
		return known.text
	}
	text, _ := json.Marshal(api.AllocationListStub{ //nolint:errchkjson // it is plain data
		ID: a.ID, EvalID: a.ID, Name: allocName(a), Namespace: a.Namespace, NodeID: a.NodeID, NodeName: a.NodeName,
		JobID: a.JobID, JobType: typeOf(a), JobVersion: a.JobVersion, TaskGroup: a.Group,
		DesiredStatus: a.Desired, DesiredDescription: a.DesiredText, ClientStatus: a.Client, ClientDescription: a.ClientText,
		TaskStates: taskStates(a), DeploymentStatus: deploymentStatusOf(a),
		CreateIndex: a.created, ModifyIndex: a.ModifyIndex, CreateTime: a.Created, ModifyTime: a.Modified,
	})
	s.stubs[a.ID] = encodedAlloc{of: a.Alloc, text: text}
	return text
}

// whole gives an allocation as events tell of it: without its job.
func whole(a *fakeAlloc) *api.Allocation {
	return &api.Allocation{
		ID: a.ID, EvalID: a.ID, Name: allocName(a), Namespace: a.Namespace, NodeID: a.NodeID, NodeName: a.NodeName,
		JobID: a.JobID, TaskGroup: a.Group, Metrics: &api.AllocationMetric{NodesEvaluated: simNodes},
		DesiredStatus: a.Desired, DesiredDescription: a.DesiredText, ClientStatus: a.Client, ClientDescription: a.ClientText,
		TaskStates: taskStates(a), DeploymentStatus: deploymentStatusOf(a),
		CreateIndex: a.created, ModifyIndex: a.ModifyIndex, CreateTime: a.Created, ModifyTime: a.Modified,
	}
}

func allocName(a *fakeAlloc) string { return fmt.Sprintf("%s.%s[%d]", a.JobID, a.Group, a.Index) }

func typeOf(a *fakeAlloc) string {
	if a.Batch {
		return api.JobTypeBatch
	}
	return api.JobTypeService
}

func deploymentStatusOf(a *fakeAlloc) *api.AllocDeploymentStatus {
	if a.Health == jobs.HealthUndecided {
		return nil
	}
	return &api.AllocDeploymentStatus{Healthy: new(a.Health == jobs.Healthy), ModifyIndex: a.ModifyIndex}
}

// taskStates gives the state of an allocation's task, with the events by which Nomad would have told of it.
func taskStates(a *fakeAlloc) map[string]*api.TaskState {
	t := a.Task
	if t == (jobs.TaskSummary{}) {
		return nil
	}
	state := &api.TaskState{
		State: t.State, Failed: t.Failed, Restarts: uint64(t.Restarts), StartedAt: moment(t.Started), FinishedAt: moment(t.Finished),
	}
	add := func(kind string, at int64, message string, details map[string]string) {
		state.Events = append(state.Events, &api.TaskEvent{Type: kind, Time: at, DisplayMessage: message, Details: details})
	}
	add(api.TaskReceived, a.Created, "Task received by client", nil)
	add(api.TaskSetup, a.Created, "Building Task Directory", map[string]string{"message": "Building Task Directory"})
	if t.Missing {
		add("Template", a.Created, "Missing: nomad.var.block(dynomad)", nil)
	}
	if t.Failure != "" {
		add(api.TaskDriverFailure, a.Created, t.Failure, nil)
	}
	if t.Exit.At != 0 {
		if t.Exit.ByOrder {
			add(api.TaskKilling, t.Exit.At, "Sent interrupt", nil)
		}
		add(api.TaskTerminated, t.Exit.At, fmt.Sprintf("Exit Code: %d", t.Exit.Code), map[string]string{
			"exit_code": strconv.Itoa(int(t.Exit.Code)), "signal": strconv.Itoa(int(t.Exit.Signal)), "oom_killed": strconv.FormatBool(t.Exit.OOM),
		})
	}
	if t.Started != 0 && (t.Exit.At == 0 || t.Started > t.Exit.At) {
		add(api.TaskStarted, t.Started, "Task started by client", nil)
	}
	return map[string]*api.TaskState{a.Group: state}
}

func moment(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// Crash has the process of an allocation end with an exit code, and Nomad start it again at once. It reports false if there is
// no such allocation that is up.
func (s *Sim) Crash(allocID string, code int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.feed.allocs[allocID]
	if a == nil || a.Stopping() || a.Ended() {
		return false
	}
	at := s.nanos()
	a.Task.Exit = jobs.Exit{At: at, Code: code, Up: at - a.Task.Started}
	a.Task.Started, a.Task.Restarts = at+1, a.Task.Restarts+1
	s.tellAlloc(a)
	return true
}

// AllocIDs gives the ids of a job's allocations that are up, oldest first.
func (s *Sim) AllocIDs(namespace, jobID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	s.live(fakeKey(namespace, jobID), func(a *fakeAlloc) { ids = append(ids, a.ID) })
	return ids
}

// Warm makes the rows of all allocations, so that the first list of them takes no longer than the next.
func (s *Sim) Warm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.feed.allocs {
		s.stub(a)
	}
}
