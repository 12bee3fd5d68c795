//go:build integration

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// logEvent is a line as it came.
type logEvent struct {
	id, from, text string    // from is "app[web.1]"
	stamp          time.Time // that the line has
	at             time.Time // when it came
}

// logTail reads server-sent events in a goroutine of its own.
type logTail struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	events []logEvent
	err    error
}

// tail starts to read an address of the daemon's, after an event if that is not "".
func (d *daemon) tail(tb testing.TB, path, after string) *logTail {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+strings.TrimPrefix(path, d.url), nil)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if strings.HasPrefix(path, "/apps/") {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // the goroutine below closes it
	if err != nil {
		tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("GET %s: %s", path, resp.Status)
	}
	l := &logTail{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		defer resp.Body.Close() //nolint:errcheck // only read
		l.read(bufio.NewReaderSize(resp.Body, 64<<10))
	}()
	tb.Cleanup(l.close)
	return l
}

func (l *logTail) close() { l.cancel(); <-l.done }

func (l *logTail) read(r *bufio.Reader) {
	id := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "id: "):
			id = line[len("id: "):]
		case strings.HasPrefix(line, "data: "):
			l.add(id, line[len("data: "):])
		case line != "" && line != ":":
			l.fail("no event: %q", line)
		}
	}
}

func (l *logTail) add(id, line string) {
	stamp, rest, _ := strings.Cut(line, " ")
	from, text, ok := strings.Cut(rest, ": ")
	at, err := time.Parse("2006-01-02T15:04:05.000Z", stamp)
	if !ok || err != nil || id == "" {
		l.fail("no line: %q", line)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, logEvent{id: id, from: from, text: text, stamp: at, at: time.Now()})
}

func (l *logTail) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = fmt.Errorf(format, args...)
}

func (l *logTail) all(tb testing.TB) []logEvent {
	tb.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		tb.Error(l.err)
	}
	return slices.Clone(l.events)
}

// wait waits until a line has come that satisfies a pattern, as "from: text".
func (l *logTail) wait(tb testing.TB, within time.Duration, pattern string) {
	tb.Helper()
	re := regexp.MustCompile(pattern)
	nomadtest.Eventually(tb, within, func(context.Context) error {
		all := l.all(tb)
		if slices.ContainsFunc(all, func(e logEvent) bool { return re.MatchString(e.from + ": " + e.text) }) {
			return nil
		}
		return fmt.Errorf("no line like %q in %d, at last %+v", pattern, len(all), all[max(0, len(all)-10):])
	})
}

// countedLines checks that numbered lines ("word 7") of each origin and word come in order without a gap, and gives the last numbers by
// "from word".
func countedLines(tb testing.TB, events []logEvent) map[string]int {
	tb.Helper()
	last := map[string]int{}
	for _, e := range events {
		fields := strings.Fields(e.text)
		if !strings.HasPrefix(e.from, "app[") || len(fields) < 2 {
			continue
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		key := e.from + " " + fields[0]
		if before, ok := last[key]; ok && n != before+1 {
			tb.Errorf("%s %d came after %d", key, n, before)
		}
		last[key] = n
	}
	return last
}

func asJSON(tb testing.TB, v any) string {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}
