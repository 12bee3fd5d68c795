package nomadtest

import (
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// testRun has a run placed twice, as when a node is drained: nothing of it starts until its variable lets one allocation run, and it
// is that one which does.
func testRun(t *testing.T, c *contract) {
	const code = 7
	app, run, job := c.run(fmt.Sprintf("sh -c 'exit %d'", code))
	put := func(path string) {
		t.Helper()
		if err := c.Cluster.PutVariable(t.Context(), "", path, jobs.ConfigItems(app, nil)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Cluster.DeleteVariable(context.WithoutCancel(t.Context()), "", path); err != nil {
				t.Error(err)
			}
		})
	}
	put(jobs.ConfigPath(app.Name, run.ConfigID))
	c.register(job, 0)
	c.conflicts(job, 0)
	first := c.waitAllocs(1)[0]
	if err := c.Cluster.StopAlloc(t.Context(), "", first.ID); err != nil {
		t.Fatal(err)
	}
	second := c.waitAllocs(2)[1]
	for _, a := range c.Allocs(c.id) {
		if a.Task.Started != 0 || a.Task.Exit.At != 0 {
			t.Errorf("an allocation has started: %+v", a)
		}
	}
	put(jobs.GrantPath(app, run, second.ID))
	Eventually(c, contractWithin, func(context.Context) error {
		c.Exit(c.id, code)
		if got := c.Allocs(c.id)[1]; !got.Ended() || got.Task.Exit.Code != code {
			return fmt.Errorf("the second has not ended with %d: %+v", code, got)
		}
		return nil
	})
	all := c.Allocs(c.id)
	if len(all) != 2 || all[0].Task.Started != 0 || !all[1].Batch {
		t.Errorf("in the end there are %+v", all)
	}
}

// run makes a run of the test's job.
func (c *contract) run(command string) (dynomad.App, dynomad.Run, *api.Job) {
	c.Helper()
	app := dynomad.App{ID: c.id, Name: c.id, Space: dynomad.DefaultSpace}
	run := dynomad.Run{ID: c.id, Number: 1, Type: dynomad.RunType, Command: &command, Image: c.Image, Size: "tiny", ConfigID: "c1"}
	settings := jobs.Settings{Installation: c.id, Sizes: dynomad.Sizes{{Name: "tiny", CPU: 20, MemoryMB: 16, MemoryLimitMB: 16}}}
	job, err := jobs.RunSpec(jobs.RunInput{Settings: settings, App: app, Run: run})
	if err != nil {
		c.Fatal(err)
	}
	job.ID, job.Name = new(c.id), new(c.id)
	return app, run, job
}

// waitAllocs waits until the job has so many allocations, and gives them.
func (c *contract) waitAllocs(n int) []jobs.Alloc {
	c.Helper()
	var all []jobs.Alloc
	Eventually(c, contractWithin, func(context.Context) error {
		if all = c.Allocs(c.id); len(all) < n {
			return fmt.Errorf("%d allocations of %d", len(all), n)
		}
		return nil
	})
	return all
}
