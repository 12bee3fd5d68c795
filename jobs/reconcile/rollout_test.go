package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// serving has an app of some web dynos whose first release succeeded, and whose rollouts from now on are ended by the test.
func (w *world) serving(quantity int) {
	w.deploy("1").types[0].Quantity = quantity
	w.start()
	w.settle()
	w.status("1", 1, dynomad.ReleaseSucceeded)
	w.cluster.Outcome(nil)
}

func (w *world) scale(quantity int) {
	w.change("1", func(r *record) { r.types[0].Quantity = quantity })
	w.settle()
}

func succeed() jobs.Rollout { return jobs.Rollout{State: jobs.RolloutSucceeded} }

// TestRollout_crash fails a rollout at the first new dyno that is unhealthy, long before its time is over.
func TestRollout_crash(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(2)
		w.release("1", "bad:2")
		w.settle()
		w.status("1", 2, dynomad.ReleasePending)
		w.cluster.Sicken(job1, dynomad.Web, 3)
		w.settle()
		r := w.status("1", 2, dynomad.ReleaseFailed)
		if !strings.HasPrefix(r.AdditionalInfo, "web is app-crashed: ") || !strings.Contains(r.AdditionalInfo, "exit code 3") {
			t.Errorf("the release failed with %q", r.AdditionalInfo)
		}
		if n := w.cluster.Calls("FailDeployment"); n != 1 {
			t.Errorf("%d deployments were failed, want 1", n)
		}
		w.running("1", "good:1", 2)
		last := w.store.audits[len(w.store.audits)-1]
		if last.Action != "release.failed" || last.ID == "" || last.UserEmail != dynomad.RootEmail {
			t.Errorf("the audit is %+v", last)
		}
	})
}

// TestRollout_heard records the end of a rollout when the view hears of it, and does not wait for its next look.
func TestRollout_heard(t *testing.T) {
	for status, end := range map[string]jobs.Rollout{
		dynomad.ReleaseSucceeded: succeed(), dynomad.ReleaseFailed: {State: jobs.RolloutFailed, Reason: "Deployment marked as failed"},
	} {
		inWorldNamed(t, status, func(w *world) {
			w.cluster.Outcome(nil)
			w.deploy("1") // the first release: its end changes no dyno
			w.start()
			w.settle()
			w.status("1", 1, dynomad.ReleasePending)
			w.cluster.Finish(job1, end)
			synctest.Wait()
			w.status("1", 1, status)
		})
	}
}

// TestRollout_deadline fails a rollout of which nothing is heard, also if the daemon was dead for most of its time.
func TestRollout_deadline(t *testing.T) {
	for name, dead := range map[string]bool{"alive": false, "dead for a while": true} {
		inWorldNamed(t, name, func(w *world) {
			w.serving(1)
			w.release("1", "slow:2")
			synctest.Wait()
			if dead {
				w.crash()
			}
			time.Sleep(59 * time.Second)
			if dead {
				w.start()
			}
			synctest.Wait()
			w.status("1", 2, dynomad.ReleasePending)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if r := w.status("1", 2, dynomad.ReleaseFailed); !strings.Contains(r.AdditionalInfo, "1m0s") {
				t.Errorf("the release failed with %q", r.AdditionalInfo)
			}
			w.running("1", "good:1", 1)
		})
	}
}

// TestRollout_clockSet sets the clock while a release rolls out: that neither ends its time nor makes it longer.
func TestRollout_clockSet(t *testing.T) {
	for name, by := range map[string]time.Duration{"forward": 3 * time.Hour, "back": -3 * time.Hour} {
		inWorldNamed(t, name, func(w *world) {
			w.serving(1)
			w.release("1", "slow:2")
			synctest.Wait()
			w.step.Add(int64(by))
			time.Sleep(57 * time.Second)
			synctest.Wait()
			w.status("1", 2, dynomad.ReleasePending)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			w.status("1", 2, dynomad.ReleaseFailed)
			w.running("1", "good:1", 1)
		})
	}
}

// TestRollout_scaleMeanwhile scales up and down while a release rolls out well or badly.
func TestRollout_scaleMeanwhile(t *testing.T) {
	for image, outcome := range map[string]jobs.Rollout{"good:2": succeed(), "bad:2": {State: jobs.RolloutFailed, Reason: "Its dynos ended."}} {
		inWorldNamed(t, image, func(w *world) {
			w.serving(2)
			w.release("1", image)
			w.settle()
			w.scale(4) // waits: it would start the new dynos anew
			w.running("1", image, 2)
			w.scale(1) // at once
			w.running("1", image, 1)
			w.scale(3)
			w.running("1", image, 1)
			w.cluster.Finish(job1, outcome)
			w.settle()
			w.cluster.Finish(job1, succeed())
			w.settle()
			want := image
			if outcome.State == jobs.RolloutFailed {
				want = "good:1"
			}
			w.running("1", want, 3)
			w.scale(0)
			w.running("1", want, 0)
		})
	}
}

// TestRollout_scaleBefore scales up just before a release that fails: what Nomad puts back has the old count.
func TestRollout_scaleBefore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(2)
		w.change("1", func(r *record) { r.types[0].Quantity = 4 })
		w.release("1", "bad:2")
		w.settle()
		w.cluster.Finish(job1, jobs.Rollout{State: jobs.RolloutFailed, Reason: "Its dynos ended."})
		w.settle()
		w.status("1", 2, dynomad.ReleaseFailed)
		w.running("1", "good:1", 4)
	})
}

// TestRollout_lowerFirst lowers a count and releases in one go: two registers, and Nomad places the first before the second.
func TestRollout_lowerFirst(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(4)
		calls := w.record()
		w.edit("1", func(r *record) { r.types[0].Quantity = 2 })
		w.release("1", "good:2")
		w.settle()
		w.running("1", "good:2", 2)
		if diff := cmp.Diff(calls()[:5], []string{"Job", "Lower", "Evaluated", "Job", "PutVariable"}); diff != "" {
			t.Errorf("calls (-got +want):\n%s", diff)
		}
	})
}

// withWorker adds a worker of a command to app 1.
func (w *world) withWorker(command string) {
	w.change("1", func(r *record) {
		r.types = append(r.types, dynomad.DynoType{ID: "t-worker", AppID: "1", Type: "worker", Quantity: 1, Size: "gp1", Command: &command})
	})
	w.settle()
}

// worker gives what a worker runs; "" if there is none.
func (w *world) worker() string {
	job := w.cluster.Spec(job1)
	for _, tg := range job.TaskGroups {
		if *tg.Name == "worker" {
			return strings.Join(words(tg), " ")
		}
	}
	return ""
}

func words(tg *api.TaskGroup) []string {
	list, _ := tg.Tasks[0].Config["entrypoint"].([]any)
	out := make([]string, len(list))
	for i, word := range list {
		out[i], _ = word.(string)
	}
	return out
}

func (w *world) web() string {
	job := w.cluster.Spec(job1)
	i := slices.IndexFunc(job.TaskGroups, func(tg *api.TaskGroup) bool { return *tg.Name == dynomad.Web })
	image, _ := job.TaskGroups[i].Tasks[0].Config["image"].(string)
	return image
}

// end ends the rollout that runs: a type's dynos crash, or none do.
func (w *world) endRollout(crashing string) {
	w.Helper()
	if crashing == "" {
		w.cluster.Finish(job1, succeed())
	} else {
		w.cluster.Sicken(job1, crashing, 1)
	}
	w.settle()
}

// TestRollout_badWorker breaks a worker's command: it is held at the last good one, and the next release goes on without it.
func TestRollout_badWorker(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(1)
		w.withWorker("work")
		w.endRollout("")
		w.change("1", func(r *record) { r.types[1].Command = new("broken") })
		w.settle()
		if got := w.worker(); got != "broken" {
			t.Fatalf("the worker runs %q", got)
		}
		w.endRollout("worker")
		if got := w.worker(); got != "work" {
			t.Errorf("the worker runs %q, want its last good command", got)
		}
		worker := w.get("1").types[1]
		if got := worker.Notice(); !strings.HasPrefix(got, `held at the last good definition: command "work", size gp1. `) {
			t.Errorf("the notice is %q", got)
		}
		w.endRollout("")
		w.release("1", "good:2")
		w.settle()
		w.endRollout("")
		w.status("1", 2, dynomad.ReleaseSucceeded)
		if got := w.web() + " " + w.worker(); got != "good:2 work" {
			t.Errorf("what runs is %s", got)
		}
		w.change("1", func(r *record) { r.types[1].Command = new("mended") })
		w.settle()
		w.endRollout("")
		worker = w.get("1").types[1]
		if got := w.worker() + worker.Notice(); got != "mended" {
			t.Errorf("the worker runs %s", got)
		}
	})
}

// TestRollout_newBadWorker adds a type that crashes: it is left out, and the next release goes on without it.
func TestRollout_newBadWorker(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(1)
		w.withWorker("broken")
		w.endRollout("worker")
		if got := w.worker(); got != "" {
			t.Errorf("the worker runs %q, want it left out", got)
		}
		w.endRollout("")
		w.release("1", "good:2")
		w.settle()
		w.endRollout("")
		w.status("1", 2, dynomad.ReleaseSucceeded)
		if got := w.web() + w.worker(); got != "good:2" {
			t.Errorf("what runs is %s", got)
		}
	})
}

// TestRollout_whoIsToBlame changes a worker's command and releases before that has rolled out. The worker is tried without its
// new command first; when the release fails then too, the command has its chance with the release before.
func TestRollout_whoIsToBlame(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(1)
		w.withWorker("work")
		w.endRollout("")
		w.edit("1", func(r *record) { r.types[1].Command = new("changed") })
		w.release("1", "bad:2")
		w.settle()
		w.endRollout("worker")
		w.status("1", 2, dynomad.ReleasePending)
		if got := w.web() + " " + w.worker(); got != "bad:2 work" {
			t.Errorf("what rolls out is %s", got)
		}
		w.endRollout("worker")
		w.status("1", 2, dynomad.ReleaseFailed)
		if got := w.web() + " " + w.worker(); got != "good:1 changed" {
			t.Errorf("what rolls out is %s", got)
		}
		w.endRollout("")
		if got := w.get("1").types[1].Notice(); got != "" {
			t.Errorf("the worker is %s", got)
		}
	})
}

// TestRollout_scaleFails has dynos fail that are only more of what runs: nothing is to blame, and it is tried again.
func TestRollout_scaleFails(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(2)
		w.scale(4)
		w.cluster.Finish(job1, jobs.Rollout{State: jobs.RolloutFailed, Reason: "Its dynos ended."})
		synctest.Wait()
		w.status("1", 1, dynomad.ReleaseSucceeded)
		w.running("1", "good:1", 2) // as Nomad put it back
		time.Sleep(11 * time.Second)
		synctest.Wait()
		w.running("1", "good:1", 4)
		w.cluster.Finish(job1, succeed())
		w.settle()
		if got := w.get("1").applied; got.Problem != "" || got.Rollout.Tries != 0 {
			t.Errorf("recorded is %+v", got)
		}
	})
}

// TestRollout_firstFailsThenRuns has a first release that fails, and runs when it is tried again.
func TestRollout_firstFailsThenRuns(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.Outcome(badImage)
		w.app("1")
		w.release("1", "bad:1")
		w.start()
		w.settle()
		time.Sleep(time.Second) // the second try fails too
		w.status("1", 1, dynomad.ReleaseFailed)
		w.cluster.Outcome(func(*api.Job) jobs.Rollout { return succeed() })
		time.Sleep(time.Minute)
		synctest.Wait()
		w.status("1", 1, dynomad.ReleaseSucceeded)
		w.running("1", "bad:1", 1)
		w.version(job1, 2) // the second try: what runs now is not replaced by the same without the number of tries
	})
}

// TestRollout_nomadTries has Nomad try again by itself what failed, each time just before the loop would have. Nothing is tried beside that, and
// the loop goes on when Nomad does not.
func TestRollout_nomadTries(t *testing.T) {
	inWorld(t, func(w *world) {
		w.app("1")
		w.release("1", "bad:1")
		w.start()
		synctest.Wait()
		w.status("1", 1, dynomad.ReleaseFailed)
		for try := range 3 {
			time.Sleep(jobs.RetryPause(try) - 100*time.Millisecond)
			w.cluster.PlaceAnew(job1)
			time.Sleep(13 * time.Second)
			synctest.Wait()
			w.version(job1, 0)
			w.cluster.FailAgain(job1)
			synctest.Wait()
		}
		time.Sleep(jobs.RetryPause(3))
		w.version(job1, 0)
		w.cluster.Outcome(func(*api.Job) jobs.Rollout { return succeed() })
		time.Sleep(time.Second)
		synctest.Wait()
		w.version(job1, 1)
		w.status("1", 1, dynomad.ReleaseSucceeded)
		if got := w.cluster.Spec(job1).TaskGroups[0].Meta["dynomad_retry"]; got != "4" {
			t.Errorf("the group is marked as try %q, want 4", got)
		}
	})
}

// TestRollout_nomadTriesLong has Nomad try by itself what does not get well and does not end either. It is waited for as long as for a rollout.
func TestRollout_nomadTriesLong(t *testing.T) {
	inWorld(t, func(w *world) {
		w.app("1")
		w.release("1", "bad:1")
		w.start()
		synctest.Wait()
		time.Sleep(9 * time.Second)
		w.cluster.PlaceAnew(job1)
		w.cluster.Outcome(func(*api.Job) jobs.Rollout { return succeed() })
		time.Sleep(settings().DeployTimeout - time.Second)
		synctest.Wait()
		w.version(job1, 0)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		w.version(job1, 1)
		w.status("1", 1, dynomad.ReleaseSucceeded)
	})
}

// TestPass_variableDeleted has somebody delete a variable with config vars. It is put back once, and not while the loop's own
// write may only not be in the list yet.
func TestPass_variableDeleted(t *testing.T) {
	inWorld(t, func(w *world) {
		const path = "dynomad/" + job1 + "/c1-1"
		w.view.Variables("default", map[string]bool{})
		w.deploy("1")
		w.start()
		synctest.Wait()
		if n := w.cluster.Calls("PutVariable"); n != 1 {
			t.Errorf("%d writes of the variable, want 1", n)
		}
		w.view.Variables("default", map[string]bool{path: true})
		w.settle()
		if err := w.cluster.DeleteVariable(w.Context(), "", path); err != nil {
			t.Fatal(err)
		}
		w.view.Variables("default", map[string]bool{})
		synctest.Wait()
		w.view.Variables("default", map[string]bool{path: true})
		time.Sleep(time.Hour)
		if n := w.cluster.Calls("PutVariable"); n != 2 {
			t.Errorf("%d writes of the variable, want 2", n)
		}
		if last := w.store.audits[len(w.store.audits)-1]; last.Action != "config.repair" || !strings.Contains(last.Details, path) {
			t.Errorf("the audit is %+v", last)
		}
		w.view.VariablesLost("default")
		time.Sleep(time.Hour)
		if n := w.cluster.Calls("PutVariable"); n != 2 {
			t.Errorf("%d writes of the variable, want 2", n)
		}
	})
}

// TestPass_variableThere scales an app. The variable with its config vars is written before the register unless the release was registered with
// it and the view, which is not old, shows it.
func TestPass_variableThere(t *testing.T) {
	inWorld(t, func(w *world) {
		const first, second = "dynomad/" + job1 + "/c1-1", "dynomad/" + job1 + "/c2-1"
		w.view.Variables("default", map[string]bool{})
		w.serving(1)
		w.cluster.Outcome(func(*api.Job) jobs.Rollout { return succeed() })
		image := "good:1"
		scale := func(what string, n, writes int) {
			t.Helper()
			before := w.cluster.Calls("PutVariable")
			w.scale(n)
			w.running("1", image, n)
			if got := w.cluster.Calls("PutVariable") - before; got != writes {
				t.Errorf("%s: %d writes of the variable, want %d", what, got, writes)
			}
		}
		scale("not seen yet", 2, 1)
		w.view.Variables("default", map[string]bool{first: true})
		scale("there", 3, 0)
		w.view.VariablesLost("default")
		scale("perhaps there", 4, 1)
		w.view.Variables("default", map[string]bool{first: true, second: true})
		before := w.cluster.Calls("PutVariable")
		image = "good:2"
		w.release("1", image)
		w.settle()
		if got := w.cluster.Calls("PutVariable") - before; got != 1 {
			t.Errorf("of a release that was never registered the variable was written %d times, want 1", got)
		}
		scale("there, of the second release", 5, 0)
	})
}

// TestPass_variableNotListed has a token that may not list variables: Nomad's list is empty then. What is there is not written, and
// not said to have been deleted, again and again.
func TestPass_variableNotListed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.view.Variables("default", map[string]bool{})
		w.deploy("1")
		w.start()
		w.settle()
		time.Sleep(time.Hour)
		if n := w.cluster.Calls("PutVariable"); n != 1 {
			t.Errorf("%d writes of the variable, want 1", n)
		}
		for _, a := range w.store.audits {
			if a.Action == "config.repair" {
				t.Fatalf("the audits have %+v", a)
			}
		}
	})
}
