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
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// foreignJob is a job of somebody else's that has the name of an app's.
func foreignJob(meta map[string]string) *api.Job {
	return &api.Job{
		ID: new(job1), Name: new(job1), Meta: meta,
		TaskGroups: []*api.TaskGroup{{Name: new("db"), Count: new(1), Tasks: []*api.Task{{Name: "db", Config: map[string]any{"image": "db:1"}}}}},
	}
}

// TestPass_foreignJob finds the app's name taken: the release fails and says so, and the job is never touched.
func TestPass_foreignJob(t *testing.T) {
	metas := map[string]map[string]string{
		"unmarked":                nil,
		"of another installation": {"dynomad": "other", "dynomad_app_id": "9"},
		"of an unknown app":       {"dynomad": installation, "dynomad_app_id": "nobody"},
	}
	for name, meta := range metas {
		inWorldNamed(t, name, func(w *world) {
			w.cluster.Put(foreignJob(meta))
			before := w.cluster.Spec(job1)
			w.deploy("1")
			w.start()
			w.settle()
			if r := w.status("1", 1, dynomad.ReleaseFailed); !strings.Contains(r.AdditionalInfo, job1) {
				t.Errorf("it failed with %q, want the job's name", r.AdditionalInfo)
			}
			time.Sleep(time.Hour)
			if diff := cmp.Diff(w.cluster.Spec(job1), before); diff != "" {
				t.Errorf("the job was touched (-now +before):\n%s", diff)
			}
			w.change("1", func(r *record) { r.types = nil })
			w.settle()
			w.change("1", func(r *record) { r.deleted = true })
			w.settle()
			w.gone("1")
			if diff := cmp.Diff(w.cluster.Spec(job1), before); diff != "" {
				t.Errorf("deleting the app touched the job (-now +before):\n%s", diff)
			}
			if n := w.cluster.Calls("Register", "StopJob", "Purge"); n != 0 {
				t.Errorf("%d writes", n)
			}
		})
	}
}

// TestPass_foreignJobAsksNothing waits for a foreign job to go: seen from memory, at no cost.
func TestPass_foreignJobAsksNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.Put(foreignJob(nil))
		w.deploy("1")
		w.start()
		time.Sleep(time.Minute)
		before := w.cluster.Calls()
		time.Sleep(time.Hour)
		if n := w.cluster.Calls() - before; n != 0 {
			t.Errorf("%d requests in an hour", n)
		}
		w.cluster.PurgeByHand(job1)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		w.running("1", "good:1", 1)
	})
}

// TestPass_tookTheName has somebody else register a job of the name between the look at the app's own and its end: theirs stays.
func TestPass_tookTheName(t *testing.T) {
	for _, at := range []string{"StopJob", "Purge"} {
		inWorldNamed(t, at, func(w *world) {
			w.deploy("1")
			w.start()
			w.settle()
			taken := false
			w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
				if c.Name == at && !c.Done && !taken {
					taken = true
					w.cluster.PurgeByHand(job1)
					w.cluster.Put(foreignJob(nil))
				}
				return nil
			})
			w.change("1", func(r *record) { r.deleted = true })
			w.settle()
			if job := w.cluster.Spec(job1); !taken || job == nil || *job.Stop || len(job.Meta) > 0 {
				t.Errorf("taken: %t, the job is %+v; want the other one, running", taken, job)
			}
			w.gone("1")
		})
	}
}

func TestPass_foreignService(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.PutService(job1, "other")
		w.deploy("1")
		w.start()
		w.settle()
		if r := w.status("1", 1, dynomad.ReleaseFailed); !strings.Contains(r.AdditionalInfo, job1) {
			t.Errorf("it failed with %q, want the service's name", r.AdditionalInfo)
		}
		if w.cluster.Spec(job1) != nil {
			t.Error("the app was registered beside it")
		}
		w.cluster.DropService(job1)
		time.Sleep(16 * time.Second)
		synctest.Wait()
		w.running("1", "good:1", 1)
	})
}

// TestPass_ownService registers anew beside instances of its own that still drain.
func TestPass_ownService(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.PutService(job1, installation)
		w.deploy("1")
		w.start()
		w.settle()
		w.running("1", "good:1", 1)
	})
}

// TestPass_delete ends the job first, then what it reads, then the record.
func TestPass_delete(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		calls := w.record()
		w.change("1", func(r *record) { r.deleted = true })
		w.settle()
		var order []string
		for _, call := range calls() {
			if !slices.Contains(order, call) {
				order = append(order, call)
			}
		}
		if diff := cmp.Diff(order, []string{"Job", "StopJob", "Purge", "DeleteVariable", "VariablePaths"}); diff != "" {
			t.Errorf("calls (-got +want):\n%s", diff)
		}
		w.gone("1")
		w.variables()
		before := w.cluster.Calls()
		time.Sleep(time.Hour)
		if n := w.cluster.Calls() - before; n != 0 {
			t.Errorf("%d requests for an app that is gone", n)
		}
	})
}

// TestPass_deleteDrains has dynos that take a while to end: the job, and what it reads, stay until they have.
func TestPass_deleteDrains(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.cluster.Linger()
		w.change("1", func(r *record) { r.deleted = true })
		w.settle()
		if job := w.cluster.Spec(job1); job == nil || !*job.Stop {
			t.Errorf("the job is not stopped and kept: %+v", job)
		}
		w.variables("dynomad/" + job1 + "/c1-1")
		w.cluster.EndStopping()
		w.settle()
		w.gone("1")
		w.variables()
	})
}

// TestPass_deletedBeforeItIsSeen deletes an app whose register the view has not heard of yet.
func TestPass_deletedBeforeItIsSeen(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.Hold(true)
		w.deploy("1")
		w.start()
		w.settle()
		w.running("1", "good:1", 1)
		w.change("1", func(r *record) { r.deleted = true })
		w.settle()
		if w.cluster.Spec(job1) != nil {
			t.Error("the record was closed, and the job runs on")
		}
		w.gone("1")
	})
}

// TestPass_recreated deletes an app and makes another of the same name, while the loop runs or is dead.
func TestPass_recreated(t *testing.T) {
	for name, dead := range map[string]bool{"running": false, "dead": true} {
		inWorldNamed(t, name, func(w *world) {
			w.deploy("1")
			w.start()
			w.settle()
			if dead {
				w.end()
			}
			w.change("1", func(r *record) { r.deleted = true })
			w.app("2").app.Name = job1
			w.release("2", "good:9")
			if dead {
				w.crash()
				w.start()
			}
			w.settle()
			w.gone("1")
			if job := w.cluster.Spec(job1); job == nil || job.Meta["dynomad_app_id"] != "2" || *job.Version != 0 {
				t.Errorf("the job is not the new app's: %+v", job)
			}
			w.status("2", 1, dynomad.ReleaseSucceeded)
			w.variables("dynomad/" + job1 + "/c1-2")
			if n := w.cluster.Calls("Purge"); n != 1 {
				t.Errorf("%d ends of jobs, want 1", n)
			}
		})
	}
}

// TestPass_recreatedAtOnce registers the next app's job as soon as the one of the app before is gone.
func TestPass_recreatedAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		var purged, registered time.Time
		w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
			if c.Name == "Purge" && c.Done {
				purged = time.Now()
			} else if c.Name == "Register" && c.Done {
				registered = time.Now()
			}
			return nil
		})
		w.change("1", func(r *record) { r.deleted = true })
		w.app("2").app.Name = job1
		time.Sleep(time.Second) // its own looks are a second off
		w.release("2", "good:9")
		w.settle()
		if gap := registered.Sub(purged); purged.IsZero() || gap != 0 {
			t.Errorf("registered %s after the purge, want at once", gap)
		}
	})
}

// TestPass_leftover finds the job of an app that was deleted and cleaned up long ago, as after a restored backup of Nomad.
func TestPass_leftover(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		old := w.cluster.Spec(job1)
		w.change("1", func(r *record) { r.deleted = true })
		w.settle()
		w.gone("1")
		w.end()
		w.cluster.Put(old)
		w.app("2").app.Name = job1
		w.release("2", "good:9")
		w.crash()
		w.start()
		w.settle()
		if job := w.cluster.Spec(job1); job == nil || job.Meta["dynomad_app_id"] != "2" {
			t.Errorf("the job is not the new app's: %+v", job)
		}
	})
}

// TestPass_emptyStore starts on a store that knows nothing: nothing is stopped.
func TestPass_emptyStore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.end()
		w.store.apps = map[string]*record{}
		w.crash()
		w.start()
		time.Sleep(time.Hour)
		if job := w.cluster.Spec(job1); job == nil || *job.Stop {
			t.Error("the job was stopped")
		}
		// An older store knows the app, but not that it runs anything.
		w.app("1")
		w.loop.Wake("1")
		w.settle()
		if job := w.cluster.Spec(job1); job == nil || *job.Stop {
			t.Error("the job was stopped by an older store")
		}
	})
}
