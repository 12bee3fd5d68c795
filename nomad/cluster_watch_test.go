//go:build integration

package nomad_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/jobs/view"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_watch follows an app's job over a kill of Nomad: the view is right before, stale meanwhile, and right again.
func TestCluster_watch(t *testing.T) {
	cluster := shared.Cluster(t)
	image := cluster.Image(t, "busybox")
	raw := cluster.NomadClient().Jobs()
	v := view.New(view.Config{Namespace: "default", Now: time.Now, Changed: func(string) {}, Ask: func(string) {}})
	v.ResetHealth(nil)
	w := &nomad.Watcher{
		Client: client(t, cluster.NomadAddr()), Namespace: "default", Installation: "inst", Sink: v, Log: hclog.NewNullLogger(),
	}
	ended := make(chan struct{})
	go func() { w.Run(t.Context()); close(ended) }()
	t.Cleanup(func() { <-ended })

	const id = "fix-default"
	register := func(release string) {
		t.Helper()
		if _, _, err := raw.Register(recordedJob(id, "a1", release, image), nil); err != nil {
			t.Fatal(err)
		}
	}
	follows(t, v)
	register("1")
	t.Cleanup(func() { cluster.RemoveJob(t, id) })
	runs(t, v, id, 1)
	register("2")
	runs(t, v, id, 2)

	if err := cluster.Nomad.Kill(); err != nil {
		t.Fatal(err)
	}
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		if v.StaleFor(time.Now()) == 0 {
			return fmt.Errorf("the view is not stale")
		}
		return nil
	})
	if _, ok, fresh := v.Job("default", id); fresh || ok {
		t.Error("a job is told as fresh while Nomad is away")
	}
	if err := cluster.Nomad.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	follows(t, v)
	runs(t, v, id, 2)
	register("3")
	runs(t, v, id, 3)

	if _, _, err := raw.Deregister(id, false, nil); err != nil {
		t.Fatal(err)
	}
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		if info, ok, fresh := v.Job("default", id); !ok || !fresh || !info.Stopped {
			return fmt.Errorf("a stopped job is %+v, %t, %t", info, ok, fresh)
		}
		return nil
	})
	if _, _, err := raw.Deregister(id, true, nil); err != nil {
		t.Fatal(err)
	}
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		if info, ok, fresh := v.Job("default", id); ok || !fresh {
			return fmt.Errorf("a purged job is %+v, %t, %t", info, ok, fresh)
		}
		return nil
	})
}

// TestCluster_watchCollected has Nomad's garbage collection purge a stopped job.
func TestCluster_watchCollected(t *testing.T) {
	cluster := shared.Cluster(t)
	raw := cluster.NomadClient()
	v := view.New(view.Config{Namespace: "default", Now: time.Now, Changed: func(string) {}, Ask: func(string) {}})
	v.ResetHealth(nil)
	w := &nomad.Watcher{
		Client: client(t, cluster.NomadAddr()), Namespace: "default", Installation: "inst", Sink: v, Log: hclog.NewNullLogger(),
	}
	ended := make(chan struct{})
	go func() { w.Run(t.Context()); close(ended) }()
	t.Cleanup(func() { <-ended })
	follows(t, v)
	if _, _, err := raw.Jobs().Register(emptyJob("gc-default", map[string]string{"dynomad": "inst", "dynomad_app_id": "a9"}), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := raw.Jobs().Deregister("gc-default", false, nil); err != nil {
		t.Fatal(err)
	}
	known := func(want bool) {
		t.Helper()
		nomadtest.Eventually(t, time.Minute, func(ctx context.Context) error {
			if !want {
				if err := raw.System().GarbageCollect(); err != nil {
					return err
				}
			}
			if info, ok, fresh := v.Job("default", "gc-default"); ok != want || !fresh {
				return fmt.Errorf("the job is known: %t, %+v, fresh %t", ok, info, fresh)
			}
			return ctx.Err()
		})
	}
	known(true)
	known(false)
	if _, _, err := raw.Jobs().Info("gc-default", nil); err == nil {
		t.Error("Nomad still has it")
	}
}

func follows(t *testing.T, v *view.View) {
	t.Helper()
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		if d := v.StaleFor(time.Now()); d != 0 {
			return fmt.Errorf("stale for %s", d)
		}
		if _, _, fresh := v.Job("default", "any"); !fresh {
			return fmt.Errorf("not fresh")
		}
		return nil
	})
}

// runs waits until the view says that a job's live dynos run one release.
func runs(t *testing.T, v *view.View, id string, release int) {
	t.Helper()
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		versions, fresh := v.Releases("default", id)
		if !fresh || len(versions) != 1 || !versions[release] {
			return fmt.Errorf("releases %v, fresh %t; want %d", versions, fresh, release)
		}
		return nil
	})
}
