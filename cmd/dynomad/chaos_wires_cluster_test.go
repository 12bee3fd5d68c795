//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// wireFaultLasts is longer than the lease of the lock and than a call to Nomad: whatever waits for an answer has given up, or waits for ever.
const wireFaultLasts = 25 * time.Second

// TestCluster_wires has the wires between the daemon and Nomad or Consul be slow, cut, or half open for a while. Writes are answered at once all the
// time, visitors notice nothing, and soon after the end the view is right and what was written is done.
func TestCluster_wires(t *testing.T) {
	t.Parallel()
	if guarded() || !soak() {
		t.Skip("a part of make chaos")
	}
	cluster := shared.Cluster(t)
	nomad, consul := wireTo(t, cluster.NomadAddr()), wireTo(t, cluster.ConsulAddr())
	d := startDaemon(t, append(quick(), "DYNOMAD_DRAIN=6s", "NOMAD_ADDR=http://"+nomad.Addr(), "CONSUL_HTTP_ADDR="+consul.Addr())...)
	d.do(http.MethodPost, "/apps", `{"name":"wires"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/wires-default/formation", `{"type":"web","quantity":2,"healthcheck":"/health"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/wires-default/builds", `{"url":"`+cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitRelease("wires-default", 1, "succeeded")
	d.waitSettled("wires-default", 2)
	d.page("wires-default", "/")
	n, version := served{d, "wires-default"}, 1
	for _, f := range slices.Concat(wireFaults("nomad", nomad), wireFaults("consul", consul)) {
		version++
		n.step(t.Context(), t, f.what, func(_ context.Context, t *testing.T, n served) { testWire(t, n, f, version) })
	}
}

// testWire releases and scales while a wire is bad.
func testWire(t *testing.T, n served, f fault, version int) {
	visits := n.load(2)
	if err := f.begin(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for _, w := range [][2]string{
		{"/config-vars", fmt.Sprintf(`{"A":"%d"}`, version)},
		{"/formation/web", fmt.Sprintf(`{"quantity":%d}`, 2+version%2)},
	} {
		start := time.Now()
		n.do(http.MethodPatch, "/apps/"+n.app+w[0], w[1], http.StatusOK, nil)
		if took := time.Since(start); took > writeWithin {
			t.Errorf("a write took %s", took)
		}
	}
	for time.Since(begun) < wireFaultLasts {
		start := time.Now()
		n.look()
		if took := time.Since(start); took > writeWithin {
			t.Errorf("a read took %s", took)
		}
		time.Sleep(200 * time.Millisecond) // between two looks of a client
	}
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	healed := time.Now()
	n.right(rightWithin)
	t.Logf("the view was right %s after the wire was", time.Since(healed).Round(10*time.Millisecond))
	n.waitRelease(n.app, version, "succeeded")
	n.waitSettled(n.app, 2+version%2)
	t.Logf("all was done %s after the wire was well", time.Since(healed).Round(10*time.Millisecond))
	n.right(rightWithin)
	visits.wantNone(t)
}
