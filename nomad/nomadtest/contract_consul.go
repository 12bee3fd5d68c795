package nomadtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// wireCheck is what nomad/consul reads of a check. Its output is held to nothing: Consul may tell of that minutes after the status.
type wireCheck struct {
	Node, ServiceID, ServiceName, Status, Output string
}

// serve has the test's job, which is also a service, run one dyno that listens or does not, and gives its allocation.
func (w *wire) serve(listens bool) string {
	w.Helper()
	command := map[bool]string{true: "web", false: "silent"}[listens]
	task := api.NewTask("web", "docker").SetConfig("image", w.Web).SetConfig("ports", []string{"http"}).SetConfig("entrypoint", []string{"/app", command})
	task.Env = map[string]string{"PORT": "9000"}
	task.KillTimeout = new(time.Second)
	task.Resources = &api.Resources{CPU: new(20), MemoryMB: new(32)}
	group := api.NewTaskGroup("web", 1).AddTask(task)
	group.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http", To: 9000}}}}
	group.Services = []*api.Service{{
		Name: w.id, PortLabel: "http", Meta: map[string]string{"dynomad": "inst", "dynomad_app_id": "a1"},
		Checks: []api.ServiceCheck{{Type: "tcp", Interval: time.Second, Timeout: time.Second}},
	}}
	job := api.NewServiceJob(w.id, w.id, "global", 50).AddTaskGroup(group)
	job.Datacenters = []string{"*"}
	info, _, err := w.Cluster.Job(w.Context(), "", w.id)
	if err != nil {
		w.Fatal(err)
	}
	before := len(w.Allocs(w.id))
	w.register(job, info.ModifyIndex)
	var alloc string
	Eventually(w, contractWithin, func(context.Context) error {
		up := slices.DeleteFunc(w.Allocs(w.id), func(a jobs.Alloc) bool { return a.Stopping() || a.Ended() })
		if len(w.Allocs(w.id)) <= before || len(up) != 1 {
			return fmt.Errorf("%d allocations are up", len(up))
		}
		alloc = up[0].ID
		return nil
	})
	w.Listens(alloc, listens)
	return alloc
}

// checks lists the checks of a state once the index is above the one given, or the wait is over.
func (w *wire) checks(state string, index uint64, wait time.Duration) (list []wireCheck, next uint64) {
	w.Helper()
	q := &consul.QueryOptions{WaitIndex: index, WaitTime: wait}
	ctx, done := context.WithTimeout(w.Context(), wait+wait/16+wireAnswer)
	defer done()
	meta, err := w.Consul.Raw().Query("/v1/health/state/"+state, &list, q.WithContext(ctx))
	if err != nil {
		w.Fatalf("checks that are %s, after index %d: %v", state, index, err)
	}
	if meta.LastIndex < max(index, 1) {
		w.Errorf("the index of checks that are %s went from %d to %d", state, index, meta.LastIndex)
	}
	return list, meta.LastIndex
}

// follow waits by blocking queries until a dyno's check is among the critical ones, or is not, and gives it and the index of that.
func (w *wire) follow(alloc string, index uint64, critical bool) (wireCheck, uint64) {
	w.Helper()
	for end := time.Now().Add(contractWithin); time.Now().Before(end); {
		list, next := w.checks(consul.HealthCritical, index, 5*time.Second)
		index = next
		i := slices.IndexFunc(list, func(c wireCheck) bool { return strings.HasPrefix(c.ServiceID, "_nomad-task-"+alloc+"-") })
		switch {
		case critical && i >= 0:
			return list[i], index
		case !critical && i < 0:
			return wireCheck{}, index
		}
	}
	w.Fatalf("the check of %s is not critical: %t, within %s", alloc, !critical, contractWithin)
	return wireCheck{}, 0
}

// testCritical has a check fail and pass again.
func testCritical(t *testing.T, w *wire) {
	_, index := w.checks(consul.HealthCritical, 0, 0)
	mute := w.serve(false)
	got, after := w.follow(mute, index, true)
	if got.Status != consul.HealthCritical || got.ServiceName != w.id || got.Node == "" || after <= index {
		t.Errorf("after index %d, at %d: %+v", index, after, got)
	}
	w.holdsBack(mute, after)
	good := w.serve(true)
	_, healed := w.follow(mute, after, false)
	if healed <= after {
		t.Errorf("it passes at index %d, was critical at %d", healed, after)
	}
	w.follow(good, 0, false)
}

// holdsBack has a query wait for a change. An answer that comes before its time is one of a change: of that the index tells.
func (w *wire) holdsBack(critical string, index uint64) {
	w.Helper()
	const wait = 300 * time.Millisecond
	for end := time.Now().Add(contractWithin); time.Now().Before(end); {
		began := time.Now()
		list, next := w.checks(consul.HealthCritical, index, wait)
		took := time.Since(began)
		if !slices.ContainsFunc(list, func(c wireCheck) bool { return strings.Contains(c.ServiceID, critical) }) {
			w.Fatalf("an answer without news of %s has lost its check: %+v", critical, list)
		}
		if next == index {
			if took < wait {
				w.Errorf("an answer without news came after %s", took)
			}
			return
		}
		index = next // other checks have changed
	}
	w.Fatalf("other checks have changed for %s", contractWithin)
}

// testInstances reads a service that there is not, and then is.
func testInstances(t *testing.T, w *wire) {
	read := func() []*consul.ServiceEntry {
		t.Helper()
		entries, _, err := w.Consul.Health().Service(w.id, "", false, (&consul.QueryOptions{}).WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	if entries := read(); len(entries) != 0 {
		t.Errorf("a service that there is not has %d instances", len(entries))
	}
	alloc := w.serve(true)
	var entry *consul.ServiceEntry
	Eventually(t, contractWithin, func(context.Context) error {
		entries := read()
		if len(entries) != 1 || entries[0].Checks.AggregatedStatus() != consul.HealthPassing {
			return fmt.Errorf("%d instances", len(entries))
		}
		entry = entries[0]
		return nil
	})
	if !strings.HasPrefix(entry.Service.ID, "_nomad-task-"+alloc+"-") || entry.Service.Meta["dynomad"] != "inst" || entry.Service.Meta["dynomad_app_id"] != "a1" {
		t.Errorf("the instance of %s: %+v", alloc, entry.Service)
	}
	if len(entry.Checks) != 2 { // the node's is counted against it
		t.Errorf("its checks: %+v", entry.Checks)
	}
	all, _ := w.checks(consul.HealthAny, 0, 0)
	i := slices.IndexFunc(all, func(c wireCheck) bool { return c.ServiceID == entry.Service.ID })
	if i < 0 || all[i].Status != consul.HealthPassing || all[i].ServiceName != w.id || all[i].Node != entry.Node.Node {
		t.Errorf("among all checks, at %d: %+v", i, all)
	}
	w.remove(t.Context())
	Eventually(t, contractWithin, func(context.Context) error {
		if entries := read(); len(entries) != 0 {
			return fmt.Errorf("%d instances of what was removed", len(entries))
		}
		return nil
	})
}
