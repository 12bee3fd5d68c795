package nomadtest

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// forever is a command that runs until it is told to end.
const forever = "exec sleep 3600"

func testAbsent(t *testing.T, c *contract) {
	info, ok, err := c.Cluster.Job(t.Context(), "", c.id)
	if err != nil || ok || info != (jobs.JobInfo{}) {
		t.Errorf("got %+v, %t, %v; want none", info, ok, err)
	}
	if err := c.Cluster.Evaluate(t.Context(), "", c.id); err != nil {
		t.Errorf("evaluating it: %v", err)
	}
	for range 2 {
		if ended, err := c.Cluster.StopJob(t.Context(), "", c.id, 7); err != nil || !ended {
			t.Errorf("ending it: %t, %v", ended, err)
		}
		if err := c.Cluster.Purge(t.Context(), "", c.id, 7); err != nil {
			t.Errorf("purging it: %v", err)
		}
	}
}

func testCheckAndSet(t *testing.T, c *contract) {
	c.conflicts(c.job(0, forever), 7) // there is none
	applied := c.register(c.job(0, forever), 0)
	if got := c.index(); got != applied.ModifyIndex || got == 0 {
		t.Errorf("got index %d, want %d", got, applied.ModifyIndex)
	}
	other := c.job(0, "true")
	c.conflicts(other, 0)
	c.conflicts(other, applied.ModifyIndex-1)
	c.conflicts(other, applied.ModifyIndex+1)
	if got := c.index(); got != applied.ModifyIndex {
		t.Errorf("a lost race moved the index from %d to %d", applied.ModifyIndex, got)
	}
	if c.register(other, applied.ModifyIndex).ModifyIndex <= applied.ModifyIndex {
		t.Error("another job did not move the index")
	}
}

func testIdentical(t *testing.T, c *contract) {
	first := c.register(c.job(1, forever), 0)
	again := c.register(c.job(1, forever), first.ModifyIndex)
	if again.ModifyIndex != first.ModifyIndex {
		t.Errorf("index moved from %d to %d", first.ModifyIndex, again.ModifyIndex)
	}
	if got := c.ends(again); got.State != jobs.RolloutSucceeded { // as for a daemon that died after the first
		t.Errorf("rollout: got %+v, want success", got)
	}
	if got := c.index(); got != first.ModifyIndex {
		t.Errorf("the rollout's end moved the index from %d to %d", first.ModifyIndex, got)
	}
}

func testMoves(t *testing.T, c *contract) {
	applied := c.register(c.job(0, forever), 0)
	c.Edit(c.id, func(job *api.Job) { job.TaskGroups[0].Meta = map[string]string{"edited": "yes"} })
	edited := c.index()
	if edited <= applied.ModifyIndex {
		t.Errorf("after an edit: index %d, was %d", edited, applied.ModifyIndex)
	}
	c.Stop(c.id)
	info, ok, err := c.Cluster.Job(t.Context(), "", c.id)
	if err != nil || !ok || !info.Stopped || info.ModifyIndex <= edited {
		t.Errorf("after a stop: %+v, %t, %v; want it stopped, index over %d", info, ok, err, edited)
	}
	back := c.register(c.job(0, forever), info.ModifyIndex)
	if info, _, err := c.Cluster.Job(t.Context(), "", c.id); err != nil || info.Stopped || info.ModifyIndex != back.ModifyIndex {
		t.Errorf("registered again: %+v, %v", info, err)
	}
}

func testStop(t *testing.T, c *contract) {
	applied := c.register(c.job(1, forever), 0)
	c.ends(applied)
	Eventually(c, contractWithin, c.stopped)
	info, ok, err := c.Cluster.Job(t.Context(), "", c.id)
	if err != nil || !ok || !info.Stopped || info.ModifyIndex <= applied.ModifyIndex {
		t.Errorf("after it: %+v, %t, %v; want it stopped, index over %d", info, ok, err, applied.ModifyIndex)
	}
}

func testStopChanged(t *testing.T, c *contract) {
	found := c.register(c.job(0, forever), 0).ModifyIndex
	c.Edit(c.id, func(job *api.Job) { job.TaskGroups[0].Meta = map[string]string{"edited": "yes"} })
	if ended, err := c.Cluster.StopJob(t.Context(), "", c.id, found); ended || dynomad.KindOf(err) != dynomad.Conflict {
		t.Errorf("ending it as it was before: %t, %v; want a conflict", ended, err)
	}
	c.Stop(c.id)
	if err := c.Cluster.Purge(t.Context(), "", c.id, found); dynomad.KindOf(err) != dynomad.Conflict {
		t.Errorf("purging it as it was before: %v, want a conflict", err)
	}
	if info, ok, err := c.Cluster.Job(t.Context(), "", c.id); err != nil || !ok || !info.Stopped {
		t.Errorf("after it: %+v, %t, %v; want it there", info, ok, err)
	}
}

func testPurge(t *testing.T, c *contract) {
	before := c.register(c.job(0, forever), 0)
	created, _, err := c.Cluster.Job(t.Context(), "", c.id)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.remove(t.Context())
	}
	c.conflicts(c.job(0, forever), before.ModifyIndex)
	c.register(c.job(0, forever), 0)
	info, _, err := c.Cluster.Job(t.Context(), "", c.id)
	if err != nil || info.CreateIndex <= created.CreateIndex || info.Stopped {
		t.Errorf("after a purge: got %+v, %v; was %+v", info, err, created)
	}
}

func testInvalid(t *testing.T, c *contract) {
	job := c.job(0, forever)
	job.TaskGroups = nil
	if _, err := c.Cluster.Register(t.Context(), job, 0); dynomad.KindOf(err) != dynomad.Invalid {
		t.Errorf("got %v, want an invalid job", err)
	}
}

func testNothingToRollOut(t *testing.T, c *contract) {
	if got := c.ends(c.register(c.job(0, forever), 0)); got.State != jobs.RolloutSucceeded {
		t.Errorf("got %+v, want success", got)
	}
}

func testRolloutSucceeds(t *testing.T, c *contract) {
	applied := c.register(c.job(1, forever), 0)
	if got := c.ends(applied); got.State != jobs.RolloutSucceeded || got.Reason != "" {
		t.Errorf("got %+v, want success", got)
	}
	info, _, err := c.Cluster.Job(t.Context(), "", c.id)
	if err != nil || info.Index <= applied.ModifyIndex || info.ModifyIndex != applied.ModifyIndex {
		t.Errorf("the end is no write of the job, or one of its specification: %+v, %v; registered at %d", info, err, applied.ModifyIndex)
	}
	more := c.register(c.job(2, forever), applied.ModifyIndex)
	if got := c.ends(more); got.State != jobs.RolloutSucceeded {
		t.Errorf("scaled: got %+v, want success", got)
	}
	if got := c.ends(applied); got.State != jobs.RolloutSucceeded {
		t.Errorf("the earlier rollout: got %+v, want success", got)
	}
}

// testEvaluate has the scheduler look at a job that is as it should be, and then at one that wants a dyno more: nothing else comes of it.
func testEvaluate(t *testing.T, c *contract) {
	applied := c.register(c.job(1, forever), 0)
	c.ends(applied)
	before := c.Allocs(c.id)
	if err := c.Cluster.Evaluate(t.Context(), "", c.id); err != nil {
		t.Fatal(err)
	}
	if got := c.index(); got != applied.ModifyIndex {
		t.Errorf("it moved the index from %d to %d", applied.ModifyIndex, got)
	}
	more := c.register(c.job(2, forever), applied.ModifyIndex)
	c.ends(more) // evaluated after the other
	after := c.Allocs(c.id)
	if len(after) != 2 || after[0].ID != before[0].ID || after[0].Ended() || after[0].Stopping() {
		t.Errorf("got %+v, want %s to run on and one more", after, before[0].ID)
	}
}

// testRenew renews a job: each time it is rolled out once more, and no dyno is replaced.
func testRenew(t *testing.T, c *contract) {
	applied := c.register(c.job(1, forever), 0)
	c.ends(applied)
	before := c.Allocs(c.id)[0]
	if _, err := c.Cluster.Renew(t.Context(), "", c.id, applied.ModifyIndex-1); dynomad.KindOf(err) != dynomad.Conflict {
		t.Errorf("renewed at another index: got %v, want a conflict", err)
	}
	for range 2 {
		answer, err := c.Cluster.Renew(t.Context(), "", c.id, applied.ModifyIndex)
		if err != nil || answer.ModifyIndex <= applied.ModifyIndex {
			t.Fatalf("got index %d after %d, %v", answer.ModifyIndex, applied.ModifyIndex, err)
		}
		applied = dynomad.AppliedState{ModifyIndex: answer.ModifyIndex, EvalID: answer.EvalID}
		if got := c.ends(applied); got.State != jobs.RolloutSucceeded {
			t.Errorf("got %+v, want success", got)
		}
	}
	if after := c.Allocs(c.id); len(after) != 1 || after[0].ID != before.ID || after[0].Ended() || after[0].Task.Restarts != 0 {
		t.Errorf("got %+v, want %s to run on", after, before.ID)
	}
	if again := c.register(c.job(1, forever), applied.ModifyIndex); c.ends(again).State != jobs.RolloutSucceeded {
		t.Error("what was renewed could not be registered as it was")
	}
}

// testRouse has a dyno that runs, and one that there is not, looked at again.
func testRouse(t *testing.T, c *contract) {
	applied := c.register(c.job(1, forever), 0)
	c.ends(applied)
	before := c.Allocs(c.id)[0]
	for _, id := range []string{before.ID, uuid.NewString()} {
		if err := c.Cluster.Rouse(t.Context(), "", id); err != nil {
			t.Errorf("rousing %s: %v", id, err)
		}
	}
	if got := c.index(); got != applied.ModifyIndex {
		t.Errorf("it moved the index from %d to %d", applied.ModifyIndex, got)
	}
	if after := c.Allocs(c.id); len(after) != 1 || after[0].ID != before.ID || after[0].Ended() || after[0].Task.Restarts != 0 {
		t.Errorf("got %+v, want %s to run on", after, before.ID)
	}
}

func testRolloutFails(t *testing.T, c *contract) {
	good := c.register(c.job(2, forever), 0)
	c.ends(good)
	bad := c.register(c.job(1, "exit 3"), good.ModifyIndex)
	if got := c.ends(bad); got.State != jobs.RolloutFailed || got.Reason == "" {
		t.Errorf("got %+v, want a failure with its reason", got)
	}
	reverted := c.index()
	if reverted <= bad.ModifyIndex {
		t.Errorf("index %d after the failure, was %d", reverted, bad.ModifyIndex)
	}
	group := c.Spec(c.id).TaskGroups[0]
	if *group.Count != 2 || fmt.Sprint(group.Tasks[0].Config["args"]) != fmt.Sprint([]string{"-c", forever}) {
		t.Errorf("put back was a count of %d and %v, want the last good job whole", *group.Count, group.Tasks[0].Config["args"])
	}
	// What Nomad put back is what was registered before: to register it once more changes nothing.
	again := c.register(c.job(2, forever), reverted)
	if again.ModifyIndex != reverted {
		t.Errorf("the good job once more moved the index from %d to %d", reverted, again.ModifyIndex)
	}
	if got := c.ends(again); got.State != jobs.RolloutSucceeded {
		t.Errorf("the good job once more: got %+v, want success", got)
	}
}

func testPurgedRollout(t *testing.T, c *contract) {
	applied := c.register(c.job(0, forever), 0)
	c.ends(applied)
	c.remove(t.Context())
	if got, err := c.Cluster.Rollout(t.Context(), "", c.id, applied); err != nil || got.State != jobs.RolloutRunning {
		t.Errorf("got %+v, %v; want that it runs", got, err)
	}
}

func testVariables(t *testing.T, c *contract) {
	ctx, path := t.Context(), "dynomad/"+c.id+"/v1"
	has := func(want bool) {
		t.Helper()
		if got, err := c.Cluster.HasVariable(ctx, "", path); err != nil || got != want {
			t.Errorf("has it: got %t, %v; want %t", got, err, want)
		}
	}
	has(false)
	items := map[string]string{"A": "1", "B": "ä \"q\"\n${x} {{ y }}"}
	for range 2 { // a second time is harmless
		if err := c.Cluster.PutVariable(ctx, "", path, items); err != nil {
			t.Fatal(err)
		}
	}
	has(true)
	for prefix, want := range map[string][]string{"dynomad/" + c.id + "/": {path}, "dynomad/" + c.id + "/w": nil} {
		got, err := c.Cluster.VariablePaths(ctx, "", prefix)
		if diff := cmp.Diff(got, want, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("paths from %s on: %v (-got +want):\n%s", prefix, err, diff)
		}
	}
	if diff := cmp.Diff(c.Variable(path), items); diff != "" {
		t.Errorf("items (-got +want):\n%s", diff)
	}
	for range 2 {
		if err := c.Cluster.DeleteVariable(ctx, "", path); err != nil {
			t.Fatal(err)
		}
		has(false)
	}
}

// everyCall makes each of the calls of a port.
func everyCall(ctx context.Context, c *contract, port contractPort) map[string]error {
	_, _, job := port.Job(ctx, "", c.id)
	_, register := port.Register(ctx, c.job(0, forever), 0)
	_, rollout := port.Rollout(ctx, "", c.id, dynomad.AppliedState{ModifyIndex: 1, EvalID: "e"})
	_, has := port.HasVariable(ctx, "", "dynomad/x")
	_, paths := port.VariablePaths(ctx, "", "dynomad/x")
	_, stop := port.StopJob(ctx, "", c.id, 1)
	return map[string]error{
		"job": job, "register": register, "rollout": rollout, "has": has, "paths": paths,
		"stop": stop, "purge": port.Purge(ctx, "", c.id, 1),
		"put":      port.PutVariable(ctx, "", "dynomad/x", map[string]string{"A": "1"}),
		"delete":   port.DeleteVariable(ctx, "", "dynomad/x"),
		"evaluate": port.Evaluate(ctx, "", c.id),
		"rouse":    port.Rouse(ctx, "", c.id),
	}
}

func testAway(t *testing.T, c *contract) {
	for call, err := range everyCall(t.Context(), c, c.Away) {
		if dynomad.KindOf(err) != dynomad.Unavailable {
			t.Errorf("%s: got %v, want unavailable", call, err)
		}
	}
}

func testCanceled(t *testing.T, c *contract) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for call, err := range everyCall(ctx, c, c.Cluster) {
		if dynomad.KindOf(err) != dynomad.Canceled {
			t.Errorf("%s: got %v, want cancelled", call, err)
		}
	}
}
