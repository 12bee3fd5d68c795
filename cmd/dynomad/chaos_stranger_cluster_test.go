//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	nomadapi "github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// strangerID is the job of somebody else.
const strangerID = "a-stranger"

// ofStranger is what there is of a job that is not ours: itself, and what runs of it.
type ofStranger struct {
	job    *nomadapi.Job
	allocs []*nomadapi.AllocationListStub
}

// aStranger registers a job that is not ours, waits until it runs, and gives what wants it untouched.
func (c *chaos) aStranger() (untouched func()) {
	c.tb.Helper()
	nomad := c.cluster.NomadClient().Jobs()
	cpu, memory := 20, 32
	task := nomadapi.NewTask("t", "docker").SetConfig("image", c.image).SetConfig("args", []string{"worker"})
	task.Require(&nomadapi.Resources{CPU: &cpu, MemoryMB: &memory})
	job := nomadapi.NewServiceJob(strangerID, strangerID, "global", 50).AddDatacenter("*").AddTaskGroup(nomadapi.NewTaskGroup("g", 1).AddTask(task))
	if _, _, err := nomad.Register(job, nil); err != nil {
		c.tb.Fatal(err)
	}
	c.tb.Cleanup(func() {
		if _, _, err := nomad.Deregister(strangerID, true, nil); err != nil {
			c.tb.Error(err)
		}
	})
	var before ofStranger
	nomadtest.Eventually(c.tb, time.Minute, func(ctx context.Context) (err error) {
		if before, err = c.readStranger(ctx); err != nil {
			return err
		}
		if runs := before.runs(); len(runs) != 1 || !strings.Contains(runs[0], " t running since ") {
			return fmt.Errorf("of the job %s runs %q", strangerID, runs)
		}
		return nil
	})
	return func() {
		c.tb.Helper()
		// Of a client that was killed it may not be known yet that all runs on it as before; what was touched never looks as before.
		err := nomadtest.Await(c.tb.Context(), 30*time.Second, func(ctx context.Context) error {
			after, err := c.readStranger(ctx)
			return errors.Join(err, touched(before, after))
		})
		if err != nil {
			c.tb.Error(err)
		}
	}
}

func (c *chaos) readStranger(ctx context.Context) (ofStranger, error) {
	opts := (&nomadapi.QueryOptions{}).WithContext(ctx)
	job, _, err := c.cluster.NomadClient().Jobs().Info(strangerID, opts)
	if err != nil {
		return ofStranger{}, err
	}
	allocs, _, err := c.cluster.NomadClient().Jobs().Allocations(strangerID, true, opts)
	return ofStranger{job, allocs}, err
}

// runs are the allocations that do not wait any more, each with since when its task runs and how often that was started again.
func (s ofStranger) runs() []string {
	var all []string
	for _, a := range s.allocs {
		text := a.ID + " " + a.DesiredStatus + " " + a.ClientStatus
		for name, task := range a.TaskStates {
			text += fmt.Sprintf(" %s %s since %s, restarted %d times", name, task.State, task.StartedAt.UTC().Format(time.RFC3339Nano), task.Restarts)
		}
		if a.ClientStatus != nomadapi.AllocClientStatusPending {
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return all
}

// touched tells whether somebody registered or stopped a job, or replaced, stopped or restarted what runs of it.
func touched(before, after ofStranger) error {
	if after.job == nil {
		return nil // it could not be read, which is said
	}
	if was, is := before.job, after.job; *was.JobModifyIndex != *is.JobModifyIndex || *was.Version != *is.Version || *is.Stop {
		return fmt.Errorf("a job that is not ours was touched: it is version %d at %d, and was %d at %d",
			*is.Version, *is.JobModifyIndex, *was.Version, *was.JobModifyIndex)
	}
	if was, is := before.runs(), after.runs(); len(before.allocs) != len(after.allocs) || !slices.Equal(was, is) {
		return fmt.Errorf("of a job that is not ours runs %q, and ran %q", is, was)
	}
	return nil
}
