package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// vanishedLimit is by when the kernel has ended a connection of a client that has vanished, whether something was on its way to it or not: the
// daemon asks for two minutes, which the kernel looks at with each probe, every 15 s.
const vanishedLimit = 2*time.Minute + 2*15*time.Second

// halfOpenManners are what clients were at when they vanished, by when the daemon has let go of them.
func halfOpenManners(a *alone) []manner {
	auth := " HTTP/1.1\r\nHost: x\r\nAuthorization: " + a.token + "\r\n"
	return []manner{
		{name: "had connected", clients: 40, within: headerLimit},
		{name: "sent headers", clients: 40, send: "GET /apps" + auth, within: headerLimit},
		{name: "sent a body", clients: 40, send: "POST /apps" + auth + "Content-Length: 1000\r\n\r\n{", within: bodyLimit, long: true},
		{name: "read long answers", clients: 40, send: strings.Repeat("GET /openapi.json"+auth+"\r\n", 20), within: sendLimit, long: true},
		{name: "had an answer", clients: 40, send: "GET /apps" + auth + "\r\n", answers: 1, within: idleLimit, long: true},
		{name: "read logs", clients: 30, send: "GET /apps/kept-default/logs?tail=1" + auth + "\r\n", answers: 1, within: vanishedLimit, long: true},
	}
}

// TestHalfOpenClients has clients vanish without a word, in the middle of all that they may be at: nothing that is sent to them is answered any
// more, not by their kernel either. The daemon serves others meanwhile, lets go of each within its limit, and ends as soon as it is told to.
func TestHalfOpenClients(t *testing.T) {
	t.Parallel()
	a := newAlone(t, t.TempDir())
	a.start()
	k := newKeeper(a)
	before, held, start := a.holds(), 0, time.Now()
	all := halfOpenManners(a)
	for _, m := range all {
		for range m.clients {
			vanish(t, a, m)
			held++
		}
	}
	k.write("") // is told to those who read logs: it stays on its way
	gone := time.Now()
	t.Logf("%d clients vanished within %s", held, gone.Sub(start).Round(10*time.Millisecond))
	if during := a.holds(); during.files < before.files+held*9/10 {
		t.Fatalf("the daemon holds %+v with %d clients, and %+v without", during, held, before)
	}
	for _, m := range all {
		held -= m.clients
		if m.long && !soak() {
			continue
		}
		k.add("")
		nomadtest.Eventually(t, time.Until(gone.Add(m.within+limitSlack)), func(context.Context) error { return stillHeld(a.holds(), before, held) })
		t.Logf("of clients that %s nothing was left after %s", m.name, time.Since(gone).Round(100*time.Millisecond))
	}
	k.intact()
	told := time.Now()
	a.stop()
	if took := time.Since(told); took > 10*time.Second {
		t.Errorf("the daemon took %s to end", took)
	}
}

// stillHeld wants no more to be held than before and what so many clients need who may still be there.
func stillHeld(now, before holding, clients int) error {
	const each = 3 // goroutines of a connection: its own, one that reads on, and one more of a stream
	before.files += clients
	before.goroutines += each * clients
	return leaks(now, before)
}

// vanish connects a client, has it send what it does and read the head of its answer, if it waits for one, and takes it off the network: its
// socket's filter drops whatever comes, before TCP sees it.
func vanish(t *testing.T, a *alone, m manner) {
	t.Helper()
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(t.Context(), "tcp", a.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err = io.WriteString(conn, m.send); err != nil {
		t.Fatal(err)
	}
	if m.answers > 0 {
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // it is closed with the connection
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("a client that %s: %v %v", m.name, answer, err)
		}
	}
	if err := dropAll(conn); err != nil {
		t.Fatal(err)
	}
}

func dropAll(conn net.Conn) error {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	nothing := []syscall.SockFilter{{Code: syscall.BPF_RET | syscall.BPF_K}} // of each packet no byte is kept
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = syscall.AttachLsf(int(fd), nothing) //nolint:staticcheck // deprecated for golang.org/x/net/bpf, which attaches nothing
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("dropping what comes: %w", failed)
	}
	return err
}

// TestHalfOpenClients_notices has a daemon hold on to clients that it should have let go of.
func TestHalfOpenClients_notices(t *testing.T) {
	t.Parallel()
	before := holding{goroutines: 100, files: 50}
	if err := stillHeld(holding{220, 90}, before, 40); err != nil {
		t.Error(err)
	}
	for what, now := range map[string]holding{"connections are held": {220, 130}, "goroutines are left": {300, 90}} {
		if stillHeld(now, before, 40) == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}
