package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// manner is how a client that takes its time behaves. Each can be held by a daemon for a known time.
type manner struct {
	name    string
	clients int
	// send is what it sends at once; more, if set, one byte a second after.
	send, more string
	// answers are how many it reads before it stops reading; -1 is that it reads on, and only waits.
	answers int
	// within is when it is cut off, from when it stops; 0 is that it need not be.
	within time.Duration
	long   bool // only the long form of the test waits for that
	logs   bool // it reads a log, which fills up
}

// Limits of the API on one client, as server.go has them, and what a busy machine may add.
const (
	headerLimit = 10 * time.Second
	bodyLimit   = 30 * time.Second
	sendLimit   = 90 * time.Second
	idleLimit   = 2 * time.Minute
	logLimit    = 30*time.Second + logFills
	logFills    = 10 * time.Second // until what a dyno writes has filled the buffers of clients that do not read it
	limitSlack  = 8 * time.Second
)

func manners(a *alone) []manner {
	const head = " HTTP/1.1\r\nHost: x\r\nAuthorization: "
	auth := head + a.token + "\r\n"
	return []manner{
		{name: "headers that trickle", clients: 500, send: "GET /apps" + head, more: strings.Repeat("x", 100), answers: -1, within: headerLimit},
		{name: "connected, silent", clients: 300, answers: -1, within: headerLimit},
		{name: "idle after an answer", clients: 770, send: "GET /apps" + auth + "\r\n", answers: -1, within: idleLimit, long: true},
		{name: "a body that does not come", clients: 300, send: "POST /apps" + auth + "Content-Length: 1000\r\n\r\n{", answers: -1, within: bodyLimit, long: true},
		{name: "answers that are not read", clients: 100, send: strings.Repeat("GET /openapi.json"+auth+"\r\n", 20), within: sendLimit, long: true},
		{name: "logs that are not read", clients: 30, send: "GET /apps/kept-default/logs?tail=1" + auth + "\r\n", within: logLimit, long: true, logs: true},
	}
}

// TestSlowClients has 2,000 clients hold connections in every manner that costs them nothing. Others are served as ever meanwhile, the
// limits end what they are to end, and when all have gone nothing is left of them: no goroutine, no open file.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	a := newAlone(t, t.TempDir())
	talk := a.talkative(t)
	a.start()
	k := newKeeper(a)
	k.write("")
	k.waitUp()
	before := a.holds()
	start := time.Now()
	all := manners(a)
	crowd := startCrowd(t, a, all)
	t.Logf("all had connected after %s", time.Since(start).Round(10*time.Millisecond))
	nomadtest.Eventually(t, headerLimit, func(context.Context) error {
		if during := a.holds(); during.files < before.files+len(crowd.clients)*9/10 {
			return fmt.Errorf("the daemon holds %+v with %d clients, and %+v without", during, len(crowd.clients), before)
		}
		return nil
	})
	settle(t, a, all)
	talk()
	crowd.waitFull(t, a.addr)
	t.Logf("what they had asked for was done after %s", time.Since(start).Round(10*time.Millisecond))
	watch, end := time.Now(), headerLimit+limitSlack
	if soak() {
		end = idleLimit + limitSlack
	}
	var took []time.Duration
	for len(took) < 50 || (time.Since(watch) < end && !crowd.ended()) {
		start := time.Now()
		k.get("/apps", new([]any))
		k.get("/apps/kept-default/config-vars", new(map[string]string))
		took = append(took, time.Since(start)/2)
		k.add("")
		time.Sleep(100 * time.Millisecond) // between two requests of an ordinary client
	}
	crowd.check(t)
	slices.Sort(took)
	t.Logf("%d clients; others waited %s (half), %s (99 of 100), %s (all)", len(crowd.clients), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	if slow := took[len(took)*9/10]; slow > time.Second {
		t.Errorf("one request in ten of other clients took %s or more", slow)
	}
	crowd.leave()
	left := time.Now()
	k.intact()
	nomadtest.Eventually(t, 20*time.Second, func(context.Context) error { return leaks(a.holds(), before) })
	t.Logf("nothing was left of them %s after they had gone", time.Since(left).Round(10*time.Millisecond))
}

// settle waits until the daemon has done what the crowd asked for as it came: how others are served is looked at while the crowd holds
// its connections, not while its own requests are worked off. Answers that are not read are done when no more of them fit in.
func settle(t *testing.T, a *alone, all []manner) {
	t.Helper()
	const answered, still = `dynomad_http_request_duration_seconds_count{method="GET",path="%s",status="2xx"}`, time.Second
	idle := all[slices.IndexFunc(all, func(m manner) bool { return m.within == idleLimit })].clients
	before, since := -1, time.Now()
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		lists, unread := a.metric(fmt.Sprintf(answered, "/apps")), a.metric(fmt.Sprintf(answered, "/openapi.json"))
		if unread != before {
			before, since = unread, time.Now()
		}
		if lists < idle || time.Since(since) < still {
			return fmt.Errorf("%d of %d clients that only wait have their answer; %d that are not read, since %s", lists, idle, unread, time.Since(since))
		}
		return nil
	})
}

// holding is what a process holds.
type holding struct{ goroutines, files int }

func (a *alone) holds() holding {
	a.tb.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", a.process.PID()))
	if err != nil {
		a.tb.Fatal(err)
	}
	return holding{a.metric("go_goroutines"), len(files)}
}

// leaks reports what a process holds more than before. A few are of what it does itself.
func leaks(now, before holding) error {
	const own = 15
	if now.goroutines > before.goroutines+own || now.files > before.files+own {
		return fmt.Errorf("it holds %+v, and held %+v before the clients came", now, before)
	}
	return nil
}

// crowd is clients that take their time.
type crowd struct {
	clients []*slowClient
	gone    context.CancelFunc
	done    sync.WaitGroup
}

// slowClient is one of them.
type slowClient struct {
	manner
	conn net.Conn

	mu    sync.Mutex
	since time.Time     // when it stopped doing what is wanted of it
	cut   time.Duration // when it was cut off after that; 0 is not yet
}

func startCrowd(t *testing.T, a *alone, all []manner) *crowd {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &crowd{gone: cancel}
	t.Cleanup(c.leave)
	for _, m := range all {
		for range m.clients {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.addr)
			if err != nil {
				t.Fatalf("client %d cannot connect: %v", len(c.clients), err)
			}
			one := &slowClient{manner: m, conn: conn, since: time.Now()}
			c.clients = append(c.clients, one)
			if err := one.begin(); err != nil {
				t.Fatalf("client %d, %s: %v", len(c.clients), m.name, err)
			}
			c.done.Go(func() { one.linger(ctx) })
		}
	}
	return c
}

func (s *slowClient) begin() error {
	if tcp, ok := s.conn.(*net.TCPConn); ok && s.answers == 0 {
		if err := tcp.SetReadBuffer(4 << 10); err != nil {
			return err
		}
	}
	_, err := s.conn.Write([]byte(s.send))
	return err
}

// linger goes on sending as slowly as it does, until it is cut off or leaves.
func (s *slowClient) linger(ctx context.Context) {
	defer s.conn.Close() //nolint:errcheck // it goes
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Now()) })
	defer stop()
	if s.more != "" {
		go s.trickle(ctx)
	}
	if s.answers == 0 {
		s.lookForReset(ctx)
		return
	}
	_, _ = io.Copy(io.Discard, s.conn) // closed or reset: both are an end
	if ctx.Err() == nil {
		s.isCut()
	}
}

func (s *slowClient) trickle(ctx context.Context) {
	for i := 0; i < len(s.more) && ctx.Err() == nil; i++ {
		if _, err := s.conn.Write([]byte{s.more[i]}); err != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// lookForReset notices the end of a connection that is not read: bytes that are sent on it come back as a reset.
func (s *slowClient) lookForReset(ctx context.Context) {
	for ctx.Err() == nil {
		if _, err := s.conn.Write([]byte("\r\n")); err != nil && ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			s.isCut()
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (s *slowClient) isCut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = time.Since(s.since)
}

// wanted reports whether the client has to be cut off before this test ends.
func (s *slowClient) wanted() bool { return s.within > 0 && (soak() || !s.long) }

// ended reports whether all were cut off that have to be.
func (c *crowd) ended() bool {
	return !slices.ContainsFunc(c.clients, func(s *slowClient) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.wanted() && s.cut == 0
	})
}

// check wants the limits to have held: each client was cut off in its time, and not before.
func (c *crowd) check(t *testing.T) {
	t.Helper()
	wrong := map[string]int{}
	for _, s := range c.clients {
		s.mu.Lock()
		if err := overdue(s.manner, s.cut, s.wanted()); err != nil {
			wrong[err.Error()]++
		}
		s.mu.Unlock()
	}
	for text, n := range wrong {
		t.Errorf("%d clients: %s", n, text)
	}
}

// overdue tells what is wrong with when a client was cut off; 0 is never.
func overdue(m manner, cut time.Duration, wanted bool) error {
	switch {
	case cut == 0 && wanted:
		return fmt.Errorf("%s: not cut off within %s", m.name, m.within)
	case cut == 0:
		return nil
	case m.within == 0:
		return fmt.Errorf("%s: cut off, and need not be", m.name)
	case cut > m.within+limitSlack:
		return fmt.Errorf("%s: cut off only after %s", m.name, cut.Round(time.Second))
	case cut < m.within*8/10:
		return fmt.Errorf("%s: cut off after %s already", m.name, cut.Round(time.Second))
	}
	return nil
}

// leave has all clients go at once.
func (c *crowd) leave() {
	c.gone()
	c.done.Wait()
}

// TestSlowClients_notices plants the faults that the checks above are there for.
func TestSlowClients_notices(t *testing.T) {
	t.Parallel()
	m := manner{name: "trickle", within: 10 * time.Second}
	if overdue(m, 10*time.Second, true) != nil || overdue(m, 0, false) != nil || leaks(holding{100, 50}, holding{100, 50}) != nil {
		t.Error("what is as it should be is said to be wrong")
	}
	for what, err := range map[string]error{
		"never cut off":       overdue(m, 0, true),
		"cut off late":        overdue(m, 20*time.Second, true),
		"cut off early":       overdue(m, 2*time.Second, true),
		"a reader is cut":     overdue(manner{name: "reads"}, time.Second, false),
		"goroutines are left": leaks(holding{goroutines: 2000, files: 50}, holding{100, 50}),
		"files are left":      leaks(holding{goroutines: 100, files: 2000}, holding{100, 50}),
	} {
		if err == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}
