package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

const (
	runID  = "run-id"
	runJob = "app1-default_run_1001"
)

// run adds a run to app 1, which has a release, and wakes the loop.
func (w *world) run(change ...func(*dynomad.Run)) {
	const id = "1"
	w.edit(id, func(r *record) {
		n := 1001 + len(r.runs) + len(r.gone)
		command := "echo hi"
		run := dynomad.Run{
			ID: runID, AppID: id, Number: n, Type: dynomad.RunType, Command: &command, Image: "tool:1", Size: "gp1", ConfigID: "c1-" + id,
			ReleaseVersion: 1, CreatedAt: time.Now(), HasEnv: true, Env: dynomad.ConfigVars{"MINE": "secret"},
		}
		if n > 1001 {
			run.ID += "-" + strconv.Itoa(n)
		}
		for _, f := range change {
			f(&run)
		}
		r.runs = append(r.runs, run)
	})
	w.loop.Wake(id)
}

func withTTL(ttl time.Duration) func(*dynomad.Run) {
	return func(r *dynomad.Run) { r.Deadline = r.CreatedAt.Add(ttl) }
}

// stopRun has the first run of app 1 stopped by request.
func (w *world) stopRun() {
	if err := w.store.StopRun(w.Context(), "1", runID, "Enough.", dynomad.Audit{}); err != nil {
		w.Fatal(err)
	}
	w.loop.Wake("1")
}

// theRun gives the first run of app 1, removed or not.
func (w *world) theRun() dynomad.Run {
	r := w.get("1")
	for _, run := range append(slices.Clone(r.gone), r.runs...) {
		if run.ID == runID {
			return run
		}
	}
	w.Fatal("there is no run")
	return dynomad.Run{}
}

// ended fails unless the first run of app 1 has ended so; code -1 is none.
func (w *world) ended(state dynomad.DynoState, code int, info string) {
	w.Helper()
	end := w.theRun().Ended
	if end == nil {
		w.Fatalf("it has not ended: %+v", w.theRun())
	}
	got := -1
	if end.ExitCode != nil {
		got = *end.ExitCode
	}
	if end.State != state || got != code || !strings.HasPrefix(end.Info, info) {
		w.Errorf("it ended %s with %d, %q; want %s with %d, %q", end.State, got, end.Info, state, code, info)
	}
}

// ran fails unless a job's process was started so often, over all that became of it.
func (w *world) ran(times int) {
	w.Helper()
	if got := w.cluster.Started(runJob); got != times {
		w.Errorf("it was run %d times, want %d", got, times)
	}
}

// grants lists the variables that let allocations run.
func (w *world) grants() (paths []string) {
	for path := range w.cluster.Variables() {
		if strings.Contains(path, "/run-") {
			paths = append(paths, path)
		}
	}
	return paths
}

// inRunWorld is inWorld with an app that has a release, and a loop that runs.
func inRunWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	inWorld(t, func(w *world) {
		w.start()
		w.deploy("1")
		w.settle()
		test(w)
	})
}

func TestRuns_exit(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.run()
		w.settle()
		w.ran(1)
		spec := w.cluster.Spec(runJob)
		if *spec.Type != api.JobTypeBatch || spec.Meta["dynomad_run_id"] != runID {
			t.Errorf("the job is %+v", spec)
		}
		if items := w.cluster.StartedWith(runJob); items["MINE"] != "secret" || len(w.grants()) != 0 {
			t.Errorf("it was started with %v, and is left with %v", items, w.grants())
		}
		w.cluster.Exit(runJob, 7)
		w.settle()
		w.ended(dynomad.StateStopped, 7, "Its process ended with exit code 7.")

		time.Sleep(dynomad.RunListed - time.Minute)
		synctest.Wait()
		if w.cluster.Spec(runJob) == nil {
			t.Error("its job went before its hour was over")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if w.cluster.Spec(runJob) != nil || len(w.grants()) != 0 || len(w.get("1").runs) != 0 {
			t.Errorf("left over are %v, %+v", w.grants(), w.get("1").runs)
		}
		w.running("1", "good:1", 1)
		w.ran(1)
	})
}

func TestRuns_stop(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.run()
		w.settle()
		w.stopRun()
		w.settle()
		w.ended(dynomad.StateStopped, 143, "Enough.")
		w.ran(1)
	})
}

func TestRuns_timeToLive(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.run(withTTL(45 * time.Second))
		time.Sleep(44 * time.Second)
		synctest.Wait()
		if w.theRun().StopReason != "" {
			t.Error("it was ended too soon")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		w.ended(dynomad.StateStopped, 143, "Its time to live of 45s is over.")
		if got := w.store.audits[len(w.store.audits)-1]; got.Action != "dyno.stop" || got.ID == "" {
			t.Errorf("the last audit is %+v", got)
		}
	})
}

// A run that Nomad places anew, as when a node is drained, is not run again.
func TestRuns_drained(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.run()
		w.settle()
		w.cluster.Drain(runJob)
		w.settle()
		w.ended(dynomad.StateStopped, 143, "It was ended on Nomad")
		if !*w.cluster.Spec(runJob).Stop {
			t.Error("the allocation that was placed anew is left waiting")
		}
		w.ran(1)
	})
}

// A node that has lost a run's process does not start it again.
func TestRuns_nodeStartedAnew(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.run()
		w.settle()
		w.cluster.Reboot(runJob)
		w.settle()
		w.ended(dynomad.StateStopped, -1, "Its process was lost, as when its node is started anew.")
		if !*w.cluster.Spec(runJob).Stop {
			t.Error("its allocation is left waiting")
		}
		w.ran(1)
	})
}

// One that is drained before it was let run is run where it is placed next.
func TestRuns_drainedBefore(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.cluster.Hold(true)
		w.run()
		w.settle()
		w.cluster.Drain(runJob)
		w.ran(0)
		w.cluster.Hold(false)
		w.settle()
		w.ran(1)
		w.cluster.Exit(runJob, 0)
		w.settle()
		w.ended(dynomad.StateStopped, 0, "Its process ended")
	})
}

func TestRuns_nodeOutOfSight(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.run()
		w.settle()
		w.cluster.Disconnect(runJob, time.Now().UnixNano())
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if w.theRun().Ended != nil {
			t.Error("it was given up too soon")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		w.ended(dynomad.StateStopped, -1, "Its node")
		w.ran(1)
	})
}

// Whatever keeps a run from starting ends it, with the reason.
func TestRuns_startFailures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(w *world)
		run   func(*dynomad.Run)
		info  string
	}{
		"the name is taken": {
			func(w *world) {
				w.cluster.Put(&api.Job{ID: new(runJob), TaskGroups: []*api.TaskGroup{api.NewTaskGroup("x", 0)}})
			},
			func(*dynomad.Run) {}, "It could not start: a job named " + runJob + " exists",
		},
		"Nomad refuses it": {
			func(w *world) {
				w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
					if c.Name == "Register" && !c.Done {
						return dynomad.Errorf(dynomad.Invalid, "Nomad says no.")
					}
					return nil
				})
			},
			func(*dynomad.Run) {}, "It could not start: Nomad says no.",
		},
		"the size is gone": {func(*world) {}, func(r *dynomad.Run) { r.Size = "huge" }, "It cannot be run: "},
	} {
		t.Run(name, func(t *testing.T) {
			inRunWorld(t, func(w *world) {
				tt.spoil(w)
				w.run(tt.run)
				w.settle()
				w.ended(dynomad.StateStartFailure, -1, tt.info)
				w.ran(0)
				time.Sleep(dynomad.RunListed)
				w.settle()
				if len(w.get("1").runs) != 0 {
					t.Error("it is still listed")
				}
				if name == "the name is taken" && w.cluster.Spec(runJob) == nil {
					t.Error("the job of somebody else was removed")
				}
			})
		})
	}
}

func TestRuns_imageMissing(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.cluster.Hold(true)
		w.run()
		w.settle()
		w.cluster.FailStart(runJob, "Failed to pull")
		w.cluster.Hold(false)
		w.settle()
		w.ended(dynomad.StateStartFailure, -1, "It could not start")
		w.ran(0)
	})
}

func TestRuns_purgedByHand(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.run()
		w.settle()
		w.cluster.Linger()
		w.cluster.PurgeByHand(runJob)
		w.settle()
		w.ended(dynomad.StateStopped, -1, "Its job was removed from Nomad by somebody else.")
		w.ran(1)
		w.cluster.EndStopping()
	})
}

// While Nomad is away runs are accepted; they start when it is back.
func TestRuns_away(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.cluster.Away(true)
		w.run()
		w.settle()
		if w.theRun().Registered {
			t.Error("it is registered")
		}
		w.cluster.Away(false)
		w.loop.Wake("1")
		w.settle()
		w.ran(1)
	})
}

// A run of a schedule that cannot be started in time is missed, which is reported; one that can is run.
func TestRuns_scheduledLate(t *testing.T) {
	for late, missed := range map[time.Duration]bool{30 * time.Second: false, 2 * time.Minute: true} {
		t.Run(late.String(), func(t *testing.T) {
			inRunWorld(t, func(w *world) {
				w.cluster.Away(true)
				slot := time.Now().Truncate(time.Minute)
				time.Sleep(time.Until(slot.Add(time.Minute)))
				slot = time.Now()
				w.run(func(r *dynomad.Run) { r.Type, r.TypeID, r.Scheduled = "nightly", "t-n", slot })
				time.Sleep(late)
				w.cluster.Away(false)
				w.loop.Wake("1")
				w.settle()
				job := "app1-default_nightly_" + slot.UTC().Format("200601021504")
				if got := w.cluster.Started(job); (got == 0) != missed || got > 1 {
					t.Errorf("it was run %d times", got)
				}
				last := dynomad.Audit{}
				if n := len(w.store.audits); n > 0 {
					last = w.store.audits[n-1]
				}
				if reported := last.Action == "schedule.missed"; reported != missed {
					t.Errorf("the last audit is %+v", last)
				}
				if missed {
					w.ended(dynomad.StateStartFailure, -1, "It was due at ")
				}
			})
		})
	}
}

// The trouble of the app's own job does not stop runs, nor the other way round.
func TestRuns_apart(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
			if strings.HasSuffix(c.Key, "/app1-default") {
				return errInjected
			}
			return nil
		})
		w.change("1", func(r *record) { r.types[0].Quantity = 2 })
		w.run()
		w.settle()
		w.ran(1)
		w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
			if strings.HasSuffix(c.Key, runJob) {
				return errInjected
			}
			return nil
		})
		w.stopRun()
		time.Sleep(time.Minute)
		synctest.Wait()
		w.running("1", "good:1", 2)
		if w.theRun().Ended != nil {
			t.Error("the run has ended")
		}
	})
}

// Many runs at once all start, end and go, and are bounded in what they ask for.
func TestRuns_many(t *testing.T) {
	inRunWorld(t, func(w *world) {
		const many = 100
		for range many {
			w.run()
		}
		w.settle()
		for i := range many {
			if got := w.cluster.Started(fmt.Sprintf("app1-default_run_%d", 1001+i)); got != 1 {
				t.Errorf("the run %d was run %d times", 1001+i, got)
			}
			w.cluster.Exit(fmt.Sprintf("app1-default_run_%d", 1001+i), 0)
		}
		w.settle()
		before := w.cluster.Calls()
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		if got := w.cluster.Calls() - before; got > 0 {
			t.Errorf("runs that have ended cost %d calls", got)
		}
		time.Sleep(11 * time.Minute)
		w.settle()
		if left := w.cluster.JobIDs(); len(left) != 1 || len(w.grants()) != 0 || len(w.get("1").runs) != 0 {
			t.Errorf("left over are %v, %v", left, w.grants())
		}
	})
}

// An older release's config vars stay for as long as a run may need them.
func TestRuns_oldConfig(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.run()
		w.settle()
		w.release("1", "good:2")
		w.settle()
		w.variables("dynomad/app1-default/c1-1", "dynomad/app1-default/c2-1")
		w.cluster.Exit(runJob, 0)
		w.settle()
		w.loop.Wake("1")
		w.settle()
		w.variables("dynomad/app1-default/c2-1")
	})
}

// TestRuns_killedAnywhere kills the daemon before and after every call that a run needs. Its process is started exactly once, and
// its end is recorded.
func TestRuns_killedAnywhere(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		before func(w *world)
		act    func(w *world)
		check  func(w *world)
	}{
		{
			"to its end", func(*world) {},
			func(w *world) {
				w.run()
				w.settle()
				w.cluster.Exit(runJob, 3)
				w.settle()
			},
			func(w *world) {
				w.cluster.Exit(runJob, 3) // if it had not come so far
				w.settle()
				w.ended(dynomad.StateStopped, 3, "Its process ended with exit code 3.")
				w.ran(1)
			},
		},
		{
			"stopped", func(*world) {},
			func(w *world) {
				w.run()
				w.settle()
				w.edit("1", func(r *record) { r.runs[0].StopReason = "Enough." })
				w.loop.Wake("1")
				w.settle()
			},
			func(w *world) {
				w.settle()
				if end := w.theRun().Ended; end == nil || end.Info != "Enough." {
					w.Errorf("it ended as %+v", end)
				}
				if n := w.cluster.Started(runJob); n > 1 {
					w.Errorf("it was run %d times", n)
				}
			},
		},
		{
			"removed after its hour",
			func(w *world) {
				w.run()
				w.settle()
				w.cluster.Exit(runJob, 0)
				time.Sleep(dynomad.RunListed - 5*time.Second)
			},
			func(w *world) {
				time.Sleep(5 * time.Second)
				w.settle()
			},
			func(w *world) {
				time.Sleep(time.Minute)
				w.settle()
				w.ended(dynomad.StateStopped, 0, "Its process ended with exit code 0.")
				w.ran(1)
				if w.cluster.Spec(runJob) != nil || len(w.grants()) != 0 || len(w.get("1").runs) != 0 {
					w.Errorf("left over are %v, %+v", w.grants(), w.get("1").runs)
				}
			},
		},
		{
			"its app deleted", func(*world) {},
			func(w *world) {
				w.run()
				w.settle()
				w.change("1", func(r *record) {
					r.deleted, r.runs[0].StopReason = true, "The app was deleted."
				})
				w.settle()
			},
			func(w *world) {
				w.settle()
				w.gone("1")
				w.variables()
				if left := w.cluster.JobIDs(); len(left) > 0 || !w.get("1").removed {
					w.Errorf("left over are %v", left)
				}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				blown := false
				killed := func(w *world) {
					w.start()
					w.deploy("1")
					w.settle()
					tt.before(w)
					fuse := w.arm(n)
					tt.act(w)
					blown = fuse.blown()
					fuse.disarm()
					w.crash()
					w.start()
					w.settle()
					w.settle()
					tt.check(w)
				}
				t.Run(strconv.Itoa(n), func(t *testing.T) { inWorldNow(t, killed) })
				if !blown {
					t.Logf("%d steps", n-1)
					if n < 10 {
						t.Error("hardly anything was done")
					}
					return
				}
			}
		})
	}
}
