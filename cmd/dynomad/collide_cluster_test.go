//go:build integration

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	nomadapi "github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCollide scales an app while two allocations of a stranger's have the same port of its node, as Nomad lets them for the time that one takes
// to end in whose place the other came. Nomad then wants canaries for what needs none, and would place no dyno ever after. It is asked anew.
func TestCollide(t *testing.T) {
	t.Parallel()
	const app = "collided-default"
	d := startDaemonOn(t, startCluster(t.Context(), t, nomadtest.Config{}), quick()...) // on its node nothing can be placed meanwhile
	before := d.serving("collided", 1)
	d.collide("collider", 12*time.Second)
	d.do(http.MethodPatch, "/apps/"+app+"/formation/web", `{"quantity":2}`, http.StatusOK, nil)
	first := ""
	nomadtest.Eventually(t, 10*time.Second, func(context.Context) error {
		newest, _, err := d.cluster.NomadClient().Jobs().LatestDeployment(app, nil)
		if err != nil {
			return err
		}
		group := newest.TaskGroups["web"]
		if first = newest.ID; newest.Status != "running" || group.DesiredCanaries == 0 || len(group.PlacedCanaries) != 0 {
			return fmt.Errorf("Nomad does not want canaries that it cannot place: %s, %+v", newest.Status, group)
		}
		return nil
	})
	after := ids(d.waitDynos(app, "web", 2*time.Minute, allReady(2)))
	if !slices.Contains(after, before[0]) {
		t.Errorf("dyno %s was replaced: %v", before[0], after)
	}
	d.waitDeployed(app)
	if old, _, err := d.cluster.NomadClient().Deployments().Info(first, nil); err != nil || old.Status != "cancelled" {
		t.Errorf("the rollout that lacked its canaries: %+v, %v; want it cancelled", old, err)
	}
	if n := d.audits(app, "job.repair"); n != 0 {
		t.Errorf("%d audits of a repair", n)
	}
}

// collide runs a job by hand that has two allocations with the same port, one of which takes a while to end. The other waits for that.
func (d *daemon) collide(id string, ends time.Duration) {
	d.tb.Helper()
	_, text, err := net.SplitHostPort(nomadtest.FreeAddr(d.tb))
	if err != nil {
		d.tb.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		d.tb.Fatal(err)
	}
	client := d.cluster.NomadClient()
	d.tb.Cleanup(func() {
		if _, _, err := client.Jobs().Deregister(id, true, nil); err != nil {
			d.tb.Error(err)
		}
	})
	for i := range 2 {
		task := nomadapi.NewTask("t", "docker").SetConfig("image", d.cluster.Image(d.tb, "hello")).SetConfig("args", []string{"silent"})
		task.Env = map[string]string{"N": strconv.Itoa(i)}
		task.ShutdownDelay = ends
		group := nomadapi.NewTaskGroup("g", 1).AddTask(task)
		group.Networks = []*nomadapi.NetworkResource{{ReservedPorts: []nomadapi.Port{{Label: "p", Value: port}}}}
		if _, _, err := client.Jobs().Register(nomadapi.NewServiceJob(id, id, "global", 50).AddDatacenter("*").AddTaskGroup(group), nil); err != nil {
			d.tb.Fatal(err)
		}
		nomadtest.Eventually(d.tb, time.Minute, func(context.Context) error {
			allocs := nomadtest.AllocsOf(d.tb, client, id)
			if len(allocs) != i+1 || allocs[0].Client != nomadapi.AllocClientStatusRunning {
				return fmt.Errorf("allocations of %s: %+v", id, allocs)
			}
			return nil
		})
	}
}
