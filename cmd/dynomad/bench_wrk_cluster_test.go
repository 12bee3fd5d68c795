//go:build integration

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// wrkReport has wrk say in one line what it found, in microseconds (https://github.com/wg/wrk/blob/master/SCRIPTING).
const wrkReport = `done = function(s, l)
  local e = s.errors
  print(string.format("REPORT %d %d %d %d %d", s.requests, s.duration, l:percentile(50), l:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end
`

// rounds is what the rounds of one target came to.
type rounds struct {
	perSecond []float64
	p50, p99  []time.Duration
}

// rate is the median of the rounds' requests a second.
func (r rounds) rate() float64 { return median(r.perSecond) }

// wrk has so many connections ask for a target without pause, and adds what that came to. Its clients are in C: what they take themselves of the
// processors that they share with what they ask is little. An answer other than 200 is an error.
func (r *rounds) wrk(ctx context.Context, tb testing.TB, t target, clients int, over time.Duration) {
	tb.Helper()
	script := filepath.Join(tb.TempDir(), "report.lua")
	if err := os.WriteFile(script, []byte(wrkReport), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "wrk", "-t", fmt.Sprint(min(clients, runtime.NumCPU())), "-c", fmt.Sprint(clients), "-d", fmt.Sprintf("%.0fs", over.Seconds()),
		"-s", script, "-H", "Authorization: Bearer "+t.token)
	if t.gzip {
		cmd.Args = append(cmd.Args, "-H", "Accept-Encoding: gzip")
	}
	cmd.Args = append(cmd.Args, "http://"+t.addr+t.path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("wrk, of Debian's package wrk: %v\n%s", err, out)
	}
	_, report, _ := strings.Cut(string(out), "REPORT ")
	var requests, duration, p50, p99, bad int64
	if _, err := fmt.Sscan(report, &requests, &duration, &p50, &p99, &bad); err != nil || requests == 0 || bad > 0 {
		tb.Fatalf("%s: %d requests, %d of them failed, %v\n%s", t.name, requests, bad, err, out)
	}
	r.perSecond = append(r.perSecond, float64(requests)/(float64(duration)/1e6))
	r.p50 = append(r.p50, time.Duration(p50)*time.Microsecond)
	r.p99 = append(r.p99, time.Duration(p99)*time.Microsecond)
}
