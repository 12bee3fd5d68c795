package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// talkative has a daemon that was not started yet run its apps on a simulated cluster, whose dynos write more than any buffer holds once they are
// told to begin.
func (a *alone) talkative(t *testing.T) (begin func()) {
	t.Helper()
	begun := make(chan struct{})
	sim := nomadtest.NewSim()
	t.Cleanup(sim.Close)
	target, err := url.Parse(sim.NomadURL())
	if err != nil {
		t.Fatal(err)
	}
	others := httputil.NewSingleHostReverseProxy(target)
	others.FlushInterval = -1 // events are passed on at once
	nomad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/client/fs/logs/"):
			talk(w, r, begun)
		case strings.HasPrefix(r.URL.Path, "/v1/client/fs/ls/"):
			http.Error(w, "no files yet", http.StatusNotFound)
		default:
			others.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { nomad.CloseClientConnections(); nomad.Close() })
	a.command.Env = append(a.command.Env, "NOMAD_ADDR="+nomad.URL, "CONSUL_HTTP_ADDR="+sim.ConsulURL())
	return sync.OnceFunc(func() { close(begun) })
}

// talk is a dyno's output as Nomad sends it: from when it begins 6 MB of lines in some seconds, and then one a second. There is nothing on stderr.
func talk(w http.ResponseWriter, r *http.Request, begun <-chan struct{}) {
	text := bytes.Repeat([]byte(strings.Repeat("x", 199)+"\n"), 320)
	const atOnce = 20 * time.Millisecond // between two pieces
	for pieces := 96; r.Context().Err() == nil; {
		frame, pause := api.StreamFrame{}, time.Second // a heartbeat
		if isClosed(begun) && r.URL.Query().Get("type") == "stdout" {
			frame = api.StreamFrame{File: "alloc/logs/web.stdout.0", Data: text[:200]}
			if pieces > 0 {
				frame.Data, pause = text, atOnce
				pieces--
			}
		}
		if err := json.NewEncoder(w).Encode(frame); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		if r.URL.Query().Get("follow") != "true" {
			return
		}
		select {
		case <-r.Context().Done():
		case <-time.After(pause):
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// waitUp waits until the app's dyno runs.
func (k *keeper) waitUp() {
	k.tb.Helper()
	nomadtest.Eventually(k.tb, time.Minute, func(context.Context) error {
		var dynos []struct {
			State   string
			Release struct{ Version int }
		}
		k.get("/apps/kept-default/dynos", &dynos)
		up := 0
		for _, y := range dynos {
			if y.State == "running" && y.Release.Version == k.acked.Releases {
				up++
			}
		}
		if up != 1 {
			return fmt.Errorf("dynos: %+v", dynos)
		}
		return nil
	})
}

// unsent gives how many bytes wait in the kernel's buffer of each of a listener's connections, by the port of the other end.
func unsent(table string, addr string) (map[int]int, error) {
	_, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, err
	}
	found := map[int]int{}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 5 || !strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
			continue
		}
		_, other, _ := strings.Cut(fields[2], ":")
		waits, _, _ := strings.Cut(fields[4], ":")
		client, err := strconv.ParseInt(other, 16, 32)
		if err != nil {
			return nil, err
		}
		bytes, err := strconv.ParseInt(waits, 16, 64)
		if err != nil {
			return nil, err
		}
		found[int(client)] = int(bytes)
	}
	return found, nil
}

// waitFull waits until lines wait in the buffer of every client that does not read its logs, which from now on does not do what is wanted.
func (c *crowd) waitFull(t *testing.T, addr string) {
	t.Helper()
	for _, s := range c.clients {
		if s.logs {
			s.mu.Lock()
			s.since = time.Now()
			s.mu.Unlock()
		}
	}
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		table, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			return err
		}
		waits, err := unsent(string(table), addr)
		if err != nil {
			return err
		}
		full, all := 0, 0
		for _, s := range c.clients {
			if s.logs {
				all++
				if waits[s.conn.LocalAddr().(*net.TCPAddr).Port] >= fullBuffer {
					full++
				}
			}
		}
		if full != all || all == 0 {
			return fmt.Errorf("of %d clients that do not read their logs %d have %d bytes waiting", all, full, fullBuffer)
		}
		return nil
	})
}

// fullBuffer is more than all that is sent when nobody writes anything.
const fullBuffer = 100 << 10

// TestSlowLogs_notices reads the kernel's table of connections.
func TestSlowLogs_notices(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 2 0 100 0 0 10 0
   1: 0100007F:1388 0100007F:9C0F 01 00020000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0100007F:9C0F 0100007F:1388 01 00000000:00000001 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 0100007F:1388 0100007F:9C10 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0
`
	waits, err := unsent(table, "127.0.0.1:5000")
	if err != nil || len(waits) != 3 || waits[0x9C0F] != 0x20000 || waits[0x9C10] != 0 {
		t.Errorf("got %v, %v", waits, err)
	}
	if _, err := unsent(table, "nowhere"); err == nil {
		t.Error("an address that is none: not noticed")
	}
}
