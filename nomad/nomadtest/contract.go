package nomadtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// contractWithin bounds what is waited for in a cluster. With the Fake nothing is.
const contractWithin = 2 * time.Minute

// contractHealthy is how long a dyno must run to count as healthy. On a busy machine half a second passes before Nomad hears
// that a process has ended; taken for healthy and then failed, it holds its deployment up until the progress deadline.
const contractHealthy = 3 * time.Second

// contractPort is a cluster as the loop uses it.
type contractPort interface {
	Job(ctx context.Context, namespace, id string) (jobs.JobInfo, bool, error)
	Register(ctx context.Context, job *api.Job, modifyIndex uint64) (jobs.Registered, error)
	StopJob(ctx context.Context, namespace, id string, modifyIndex uint64) (ended bool, err error)
	Purge(ctx context.Context, namespace, id string, modifyIndex uint64) error
	PutVariable(ctx context.Context, namespace, path string, items map[string]string) error
	HasVariable(ctx context.Context, namespace, path string) (bool, error)
	VariablePaths(ctx context.Context, namespace, prefix string) ([]string, error)
	DeleteVariable(ctx context.Context, namespace, path string) error
	Rollout(ctx context.Context, namespace, jobID string, applied dynomad.AppliedState) (jobs.Rollout, error)
	StopAlloc(ctx context.Context, namespace, id string) error
	Evaluate(ctx context.Context, namespace, id string) error
	Renew(ctx context.Context, namespace, id string, modifyIndex uint64) (jobs.Registered, error)
	Rouse(ctx context.Context, namespace, id string) error
}

// ContractCluster is a cluster under test.
type ContractCluster struct {
	Cluster contractPort
	Away    contractPort // a cluster that does not answer
	Image   string       // has sh and sleep

	Edit     func(id string, change func(*api.Job)) // somebody changes a job
	Stop     func(id string)                        // … stops it without a purge
	Spec     func(id string) *api.Job               // what is registered
	Variable func(path string) map[string]string    // what a variable holds; nil if there is none
	Allocs   func(id string) []jobs.Alloc           // of a job, oldest first
	Exit     func(id string, code int32)            // ends a batch job's process as its command would have

	// Follow feeds a sink with what happens in the default namespace, as nomad.Watcher does, until the test ends. Allocations are told of if
	// their job has the mark of the installation.
	Follow func(installation string, sink Sink)
}

// Contract says what the loop may rely on of a cluster. It is run against the Fake, the Sim and Nomad, so that the two cannot
// drift. Each test has jobs of its own, and purges them.
func Contract(t *testing.T, open func(t *testing.T) ContractCluster) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *contract){
		"an absent job is no error":                    testAbsent,
		"registering is check-and-set":                 testCheckAndSet,
		"an identical register moves nothing":          testIdentical,
		"an edit and a stop move the index":            testMoves,
		"a stopped job's dynos end":                    testStop,
		"a job that was changed is not ended":          testStopChanged,
		"a purge makes the index start anew":           testPurge,
		"a job without groups is invalid":              testInvalid,
		"a rollout without dynos succeeds":             testNothingToRollOut,
		"a rollout succeeds":                           testRolloutSucceeds,
		"what is as it should stays when evaluated":    testEvaluate,
		"what runs goes on when its job is renewed":    testRenew,
		"what runs goes on when roused":                testRouse,
		"a failed rollout puts the last good one back": testRolloutFails,
		"what was purged meanwhile has not ended":      testPurgedRollout,
		"a run's allocations wait to be let run":       testRun,
		"what follows a list is told":                  testFollow,
		"variables":                                    testVariables,
		"a cluster that is away is unavailable":        testAway,
		"a call that is cut off is cancelled":          testCanceled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newContract(t, open(t)))
		})
	}
}

// newContract begins a test, whose job is purged when it ends.
func newContract(t *testing.T, cluster ContractCluster) *contract {
	t.Helper()
	c := &contract{T: t, ContractCluster: cluster, id: "contract-" + uuid.NewString()[:8]}
	t.Cleanup(func() { c.remove(context.WithoutCancel(t.Context())) })
	return c
}

// contract is one test.
type contract struct {
	*testing.T
	ContractCluster
	id string // of its job
}

// job makes a job of one group whose dynos run a command.
func (c *contract) job(count int, command string) *api.Job {
	task := api.NewTask("worker", "docker").SetConfig("image", c.Image).SetConfig("command", "sh").
		SetConfig("args", []string{"-c", command}).SetConfig("init", true)
	task.Resources = &api.Resources{CPU: new(20), MemoryMB: new(16)}
	task.KillTimeout = new(time.Second)
	task.LogConfig = &api.LogConfig{MaxFiles: new(1), MaxFileSizeMB: new(1)}
	group := api.NewTaskGroup("worker", count).AddTask(task)
	group.EphemeralDisk = &api.EphemeralDisk{SizeMB: new(10)}
	group.RestartPolicy = &api.RestartPolicy{Attempts: new(0), Mode: new(api.RestartPolicyModeFail)}
	group.ReschedulePolicy = &api.ReschedulePolicy{Attempts: new(0), Interval: new(time.Duration(0)), Unlimited: new(false)}
	group.Update = &api.UpdateStrategy{
		MaxParallel: new(max(count, 1)), Canary: new(max(count, 1)), AutoPromote: new(true), AutoRevert: new(true),
		HealthCheck: new("task_states"), MinHealthyTime: new(contractHealthy), HealthyDeadline: new(30 * time.Second),
		ProgressDeadline: new(45 * time.Second),
	}
	return &api.Job{
		ID: new(c.id), Name: new(c.id), Type: new(api.JobTypeService), Datacenters: []string{"*"},
		Meta: map[string]string{"contract": c.id}, TaskGroups: []*api.TaskGroup{group},
	}
}

// register registers a job and gives what a loop would have recorded.
func (c *contract) register(job *api.Job, index uint64) dynomad.AppliedState {
	c.Helper()
	answer, err := c.Cluster.Register(c.Context(), job, index)
	if err != nil {
		c.Fatalf("registering at %d: %v", index, err)
	}
	return dynomad.AppliedState{ModifyIndex: answer.ModifyIndex, EvalID: answer.EvalID}
}

// remove ends the job and purges it.
func (c *contract) remove(ctx context.Context) {
	c.Helper()
	within, cancel := context.WithTimeout(ctx, contractWithin)
	defer cancel()
	err := poll(within, func(ctx context.Context) error { return c.stopped(ctx) })
	if err == nil {
		err = c.purge(within)
	}
	if err != nil {
		c.Errorf("purging job %s: %v", c.id, err)
	}
}

// stopped ends the job; an error says that its dynos have not ended yet.
func (c *contract) stopped(ctx context.Context) error {
	info, _, err := c.Cluster.Job(ctx, "", c.id)
	if err != nil {
		return err
	}
	ended, err := c.Cluster.StopJob(ctx, "", c.id, info.ModifyIndex)
	if err == nil && !ended {
		err = fmt.Errorf("dynos of %s are up", c.id)
	}
	return err
}

// purge purges the job as it is now.
func (c *contract) purge(ctx context.Context) error {
	info, _, err := c.Cluster.Job(ctx, "", c.id)
	if err != nil {
		return err
	}
	return c.Cluster.Purge(ctx, "", c.id, info.ModifyIndex)
}

// index gives the job's JobModifyIndex.
func (c *contract) index() uint64 {
	c.Helper()
	info, ok, err := c.Cluster.Job(c.Context(), "", c.id)
	if err != nil || !ok {
		c.Fatalf("job %s: %t, %v", c.id, ok, err)
	}
	return info.ModifyIndex
}

// conflicts fails unless registering at an index is a conflict and changes nothing.
func (c *contract) conflicts(job *api.Job, index uint64) {
	c.Helper()
	if _, err := c.Cluster.Register(c.Context(), job, index); dynomad.KindOf(err) != dynomad.Conflict {
		c.Errorf("registering at %d: got %v, want a conflict", index, err)
	}
}

// ends waits for the end of a rollout.
func (c *contract) ends(applied dynomad.AppliedState) jobs.Rollout {
	c.Helper()
	var rollout jobs.Rollout
	Eventually(c, contractWithin, func(ctx context.Context) error {
		var err error
		rollout, err = c.Cluster.Rollout(ctx, "", c.id, applied)
		if err == nil && rollout.State == jobs.RolloutRunning {
			err = fmt.Errorf("the rollout of %s runs", c.id)
		}
		return err
	})
	return rollout
}

// AllocsOf lists a job's allocations, oldest first, as Nomad's API has them.
func AllocsOf(tb testing.TB, raw *api.Client, id string) []jobs.Alloc {
	tb.Helper()
	stubs, _, err := raw.Jobs().Allocations(id, true, nil)
	if err != nil {
		tb.Fatal(err)
	}
	slices.SortFunc(stubs, func(a, b *api.AllocationListStub) int { return cmp.Compare(a.CreateIndex, b.CreateIndex) })
	allocs := make([]jobs.Alloc, len(stubs))
	for i, s := range stubs {
		allocs[i] = jobs.AllocFromStub(s)
	}
	return allocs
}
