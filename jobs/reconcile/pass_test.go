package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

const job1 = "app1-default"

func TestPass_firstDeploy(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := w.record()
		w.deploy("1")
		w.start()
		w.settle()
		w.running("1", "good:1", 1)
		w.status("1", 1, dynomad.ReleaseSucceeded)
		items := map[string]string{"N": "1", "DYNOMAD_APP": job1, "DYNOMAD_SPACE": "default"}
		if diff := cmp.Diff(w.cluster.Variables(), map[string]map[string]string{"dynomad/" + job1 + "/c1-1": items}); diff != "" {
			t.Errorf("variables (-got +want):\n%s", diff)
		}
		// The variable is there before the job that reads it.
		if diff := cmp.Diff(calls()[:4], []string{"Job", "Foreign", "PutVariable", "Register"}); diff != "" {
			t.Errorf("calls (-got +want):\n%s", diff)
		}
		want := dynomad.AppliedState{ModifyIndex: *w.cluster.Spec(job1).JobModifyIndex}
		got := w.get("1").applied
		if got.SpecHash == "" || got.ModifyIndex != want.ModifyIndex || got.RollingOut || got.Problem != "" {
			t.Errorf("recorded %+v, want index %d", got, want.ModifyIndex)
		}
		if len(w.store.audits) != 1 || w.store.audits[0].Action != "release.succeeded" || w.store.audits[0].AppID != "1" {
			t.Errorf("audits: %+v", w.store.audits)
		}
	})
}

// TestPass_drift changes the job by hand in every way: it is put back, with one register.
func TestPass_drift(t *testing.T) {
	drifts := map[string]func(f *nomadtest.Fake){
		"edited":  func(f *nomadtest.Fake) { f.Edit(job1, func(j *api.Job) { j.TaskGroups[0].Count = new(9) }) },
		"stopped": func(f *nomadtest.Fake) { f.Stop(job1) },
		"purged":  func(f *nomadtest.Fake) { f.PurgeByHand(job1) },
	}
	for name, drift := range drifts {
		inWorldNamed(t, name, func(w *world) {
			w.deploy("1")
			w.start()
			w.settle()
			registers := w.cluster.Calls("Register")
			drift(w.cluster)
			synctest.Wait()
			w.running("1", "good:1", 1)
			w.settle()
			time.Sleep(time.Hour)
			if got := w.cluster.Calls("Register") - registers; got != 1 {
				t.Errorf("%d registers, want 1", got)
			}
			w.status("1", 1, dynomad.ReleaseSucceeded)
		})
	}
}

// TestPass_failedRollout fails a release after a good one, with a quantity changed since.
func TestPass_failedRollout(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.Outcome(badImage)
		w.deploy("1")
		w.start()
		w.settle()
		w.change("1", func(r *record) { r.types[0].Quantity = 3 })
		w.settle()
		bad := w.registersOf("bad:2")
		w.release("1", "bad:2")
		w.settle()
		if r := w.status("1", 2, dynomad.ReleaseFailed); r.AdditionalInfo != "Its dynos ended." {
			t.Errorf("it failed with %q", r.AdditionalInfo)
		}
		w.running("1", "good:1", 3)
		w.change("1", func(r *record) { r.types[0].Quantity = 2 })
		w.cluster.Edit(job1, func(j *api.Job) { j.TaskGroups[0].Count = new(9) })
		w.settle()
		w.crash()
		w.start()
		time.Sleep(time.Hour)
		w.running("1", "good:1", 2)
		if got := bad(); got != 1 {
			t.Errorf("what failed was registered %d times, want once", got)
		}
	})
}

// TestPass_failedFirstRelease has no good one to go back to: the failed one stays for the user to look at, and is tried again.
func TestPass_failedFirstRelease(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.Outcome(badImage)
		w.app("1")
		w.release("1", "bad:1")
		var at []time.Time
		w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
			if c.Name == "Register" && c.Done {
				at = append(at, time.Now())
			}
			return nil
		})
		w.start()
		time.Sleep(15*time.Minute + 20*time.Second)
		w.status("1", 1, dynomad.ReleaseFailed)
		w.running("1", "bad:1", 1)
		var pauses []string
		for i := 1; i < len(at); i++ {
			pauses = append(pauses, at[i].Sub(at[i-1]).Truncate(10*time.Second).String())
		}
		if diff := cmp.Diff(pauses, []string{"10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"}); diff != "" {
			t.Errorf("pauses between tries (-got +want):\n%s", diff)
		}
		if got := w.cluster.Spec(job1).TaskGroups[0].Meta["dynomad_retry"]; got != "7" {
			t.Errorf("the group is marked as try %q, want 7", got)
		}
		if got := w.get("1").applied.Problem; got != "Its dynos ended." {
			t.Errorf("problem: %q", got)
		}
		w.release("1", "good:2")
		w.settle()
		w.running("1", "good:2", 1)
		w.status("1", 2, dynomad.ReleaseSucceeded)
		if got := w.get("1").applied.Problem; got != "" {
			t.Errorf("problem of a good release: %q", got)
		}
	})
}

// TestPass_revertedBetweenLooks has the rollout fail, and Nomad put back the last good job, between the loop's look at the
// rollout and its look at the job. That is no drift: what failed is not put back.
func TestPass_revertedBetweenLooks(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.cluster.Outcome(nil)
		looks, registers := 0, 0
		w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
			switch {
			case c.Done && imageOf(c.Job) == "bad:2":
				registers++
			case c.Name == "Rollout" && c.Done && imageOf(w.cluster.Spec(job1)) == "bad:2":
				if looks++; looks == 2 {
					w.cluster.Finish(job1, jobs.Rollout{State: jobs.RolloutFailed, Reason: "Its dynos ended."})
				}
			}
			return nil
		})
		w.release("1", "bad:2")
		w.settle()
		w.status("1", 2, dynomad.ReleaseFailed)
		w.running("1", "good:1", 1)
		if registers != 1 {
			t.Errorf("what failed was registered %d times, want once", registers)
		}
	})
}

// TestPass_failedOnceMoreWanted changes a quantity and changes it back while a release fails: what failed is wanted again.
func TestPass_failedOnceMoreWanted(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.cluster.Outcome(nil)
		w.release("1", "bad:2")
		synctest.Wait()
		w.edit("1", func(r *record) { r.types[0].Quantity = 5 })
		w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
			if c.Name == "Register" && !c.Done { // the failed one's end was recorded: back again, before anything else is registered
				w.edit("1", func(r *record) { r.types[0].Quantity = 1 })
				return errInjected
			}
			return nil
		})
		w.cluster.Finish(job1, jobs.Rollout{State: jobs.RolloutFailed, Reason: "Its dynos ended."})
		synctest.Wait()
		w.cluster.OnCall(nil)
		w.settle()
		w.settle()
		w.status("1", 2, dynomad.ReleaseFailed)
		w.running("1", "good:1", 1)
	})
}

// TestPass_newerReleaseSupersedes releases again while a rollout runs.
func TestPass_newerReleaseSupersedes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.cluster.Outcome(nil)
		w.release("1", "good:2")
		w.settle()
		w.status("1", 2, dynomad.ReleasePending)
		w.release("1", "good:3")
		w.settle()
		w.running("1", "good:3", 1)
		w.cluster.Finish(job1, jobs.Rollout{State: jobs.RolloutSucceeded})
		w.settle()
		w.status("1", 2, dynomad.ReleaseFailed)
		w.status("1", 3, dynomad.ReleaseSucceeded)
	})
}

// TestPass_nothingToRun drops the only type while its release rolls out: the release has nothing left to wait for.
func TestPass_nothingToRun(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.Outcome(nil)
		w.deploy("1")
		w.start()
		w.settle()
		w.change("1", func(r *record) { r.types = nil })
		w.settle()
		if w.cluster.Spec(job1) != nil {
			t.Error("the job is still there")
		}
		w.status("1", 1, dynomad.ReleaseSucceeded)
	})
}

// TestPass_nothingToRunMeanwhile drops the only type of an app while a release rolls out, and adds one again before the dynos have ended. They end
// by order, however long that takes: the release has not failed, and nobody else has stopped the job.
func TestPass_nothingToRunMeanwhile(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(1)
		w.release("1", "good:2")
		w.settle()
		w.cluster.Linger()
		types := w.get("1").types
		w.change("1", func(r *record) { r.types = nil })
		w.settle()
		if job := w.cluster.Spec(job1); job == nil || !*job.Stop {
			t.Fatalf("the job is not stopped and kept: %+v", job)
		}
		time.Sleep(2 * settings().DeployTimeout)
		synctest.Wait()
		w.status("1", 2, dynomad.ReleasePending)
		w.change("1", func(r *record) { r.types = types })
		w.settle()
		w.running("1", "good:2", 1)
		w.status("1", 2, dynomad.ReleasePending)
		w.cluster.Finish(job1, jobs.Rollout{State: jobs.RolloutSucceeded})
		w.settle()
		w.status("1", 2, dynomad.ReleaseSucceeded)
		for _, a := range w.store.audits {
			if a.Action == "job.repair" || a.Action == "release.failed" {
				t.Errorf("audited: %s: %s", a.Action, a.Details)
			}
		}
		w.cluster.EndStopping()
	})
}

// TestPass_configsRemoved keeps a config version for as long as a dyno of its release lives.
func TestPass_configsRemoved(t *testing.T) {
	inWorld(t, func(w *world) {
		old, fresh := "dynomad/"+job1+"/c1-1", "dynomad/"+job1+"/c2-1"
		w.deploy("1")
		w.start()
		w.settle()
		w.cluster.Outcome(nil)
		w.cluster.Linger()
		w.release("1", "good:2")
		w.settle()
		w.variables(old, fresh) // the rollout runs
		w.cluster.Finish(job1, jobs.Rollout{State: jobs.RolloutSucceeded})
		w.settle()
		w.status("1", 2, dynomad.ReleaseSucceeded)
		w.variables(old, fresh) // the old dyno drains
		w.cluster.EndStopping()
		synctest.Wait()
		w.variables(fresh)
		if got := w.get("1").written; !slices.Equal(got, []string{"c2-1"}) {
			t.Errorf("recorded as written: %v", got)
		}
	})
}

// TestPass_configsKeptOutOfSight removes no config version while the view does not follow the cluster.
func TestPass_configsKeptOutOfSight(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.view.Lost("default")
		w.release("1", "good:2")
		w.settle()
		w.status("1", 2, dynomad.ReleaseSucceeded)
		w.variables("dynomad/"+job1+"/c1-1", "dynomad/"+job1+"/c2-1")
	})
}

// TestPass_unrenderable has a size that the operator has taken away.
func TestPass_unrenderable(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.edit("1", func(r *record) { r.types[0].Size = "gone" })
		w.release("1", "good:2")
		w.settle()
		if r := w.status("1", 2, dynomad.ReleaseFailed); !strings.Contains(r.AdditionalInfo, `"gone"`) {
			t.Errorf("it failed with %q", r.AdditionalInfo)
		}
		w.running("1", "good:1", 1)
		w.change("1", func(r *record) { r.types[0].Size = "gp1" })
		w.settle()
		if got := w.get("1").applied.Problem; got != "" {
			t.Errorf("all is as wanted, but the problem is %q", got)
		}
	})
}

// record has the names of the calls to the cluster kept, in order.
func (w *world) record() func() []string {
	var names []string
	w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
		if c.Done {
			names = append(names, c.Name)
		}
		return nil
	})
	return func() []string { return names }
}

// registersOf counts how often the loop registers an image.
func (w *world) registersOf(image string) func() int {
	n := 0
	w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
		if c.Done && imageOf(c.Job) == image {
			n++
		}
		return nil
	})
	return func() int { return n }
}

// imageOf gives what a job of one type runs; "" if there is none.
func imageOf(job *api.Job) string {
	if job == nil {
		return ""
	}
	image, _ := job.TaskGroups[0].Tasks[0].Config["image"].(string)
	return image
}
