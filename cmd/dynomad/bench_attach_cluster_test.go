//go:build integration

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// attachRuns is how many commands are run in a dyno, each way.
const attachRuns = 40

// benchAttach runs a short command in a dyno, by turns through the daemon and through Nomad's own API.
func benchAttach(b *testing.B, found *board) {
	d := benchDaemon(b)
	d.do(http.MethodPost, "/apps", `{"name":"attach"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/attach-default/formation", `{"type":"worker","command":"sleep 100000"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/attach-default/builds", `{"url":"`+d.cluster.Image(b, "busybox")+`"}`, http.StatusCreated, nil)
	y := d.waitDynos("attach-default", "worker", time.Minute, allReady(1))[0]
	d.waitRelease("attach-default", 1, "succeeded")
	alloc, _, err := d.cluster.NomadClient().Allocations().Info(y.ID, nil)
	if err != nil {
		b.Fatal(err)
	}
	var ours, theirs []time.Duration
	for range attachRuns {
		start := time.Now()
		// Signal 0 is sent to nobody.
		if a := d.attach("/apps/attach-default/dynos/worker.1/actions/attach", `{"command":["sh","-c","kill -0 -1"]}`); *a.ExitCode != 0 {
			b.Fatalf("attach: %+v, exit code %d", a, *a.ExitCode)
		}
		ours = append(ours, time.Since(start))
		start = time.Now()
		d.exec(b, alloc, "kill -0 -1")
		theirs = append(theirs, time.Since(start))
	}
	row := func(name string, took []time.Duration) []string {
		return []string{name, short(median(took)), short(quantile(took, 0.9)), short(quantile(took, 1))}
	}
	fmt.Printf("%s\n", table([][]string{{fmt.Sprintf("%d short commands", attachRuns), "median", "p90", "longest"}, row("dynomad: attach", ours), row("nomad: exec", theirs)}))
	found.note("attach, median (of nomad's exec)", fmt.Sprintf("%s (%.2f)", short(median(ours)), median(ours).Seconds()/median(theirs).Seconds()))
}

// exec runs a shell's command through Nomad's API.
func (d *daemon) exec(b *testing.B, alloc *api.Allocation, command string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	words := []string{"sh", "-c", command}
	code, err := d.cluster.NomadClient().Allocations().Exec(ctx, alloc, "worker", false, words, strings.NewReader(""), &out, &out, nil, nil)
	if err != nil || code != 0 {
		b.Fatalf("exec: %d %v %s", code, err, out.String())
	}
}
