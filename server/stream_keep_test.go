package server_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/client/stream"
	"github.com/dynomad/dynomad/server"
)

// lostClient is a dyno whose client wanted it to run on and is gone.
type lostClient struct {
	*world
	url string       // of its server
	id  string       // the dyno's
	end chan<- error // how its command is to end: nil is with exit code 7
}

// loseClient talks with a dyno as a client that wants it to run on, and goes. The command has found the end of its input then.
func loseClient(t *testing.T) lostClient {
	t.Helper()
	w, base := newStreams(t, func(c *server.Config) { c.TokenStreams = 1 })
	began, alone, end := make(chan struct{}), make(chan error, 1), make(chan error)
	w.exec.talk = func(ctx context.Context, in dynomad.Session) (int, error) {
		close(began)
		_, err := io.ReadAll(in.Terminal.Stdin)
		_, out := io.WriteString(in.Terminal.Stdout, strings.Repeat("x", 1<<20))
		alone <- errors.Join(err, out)
		select {
		case err := <-end:
			return 7, err
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	url, id := w.attached(t, base)
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	reader, writer := io.Pipe()
	t.Cleanup(func() { _ = writer.Close() })
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = stream.Talk(ctx, url, stream.Terminal{Stdin: reader, Keep: true})
	}()
	<-began
	hangUp()
	<-gone
	if err := <-alone; err != nil {
		t.Fatalf("without its client the command meets %v", err)
	}
	return lostClient{world: w, url: base, id: id, end: end}
}

// TestStream_keep has a command run on without its client, up to its own end. Until then it counts.
func TestStream_keep(t *testing.T) {
	t.Parallel()
	lost := loseClient(t)
	dyno := "/apps/api-default/dynos/" + lost.id
	equal(t, "alone", lost.must(200, "GET", dyno, "").object(t), map[string]any{"state": "running", "exit_code": nil})
	next, _ := lost.attached(t, "")
	if a := lost.ask("", "GET", next, "", upgrade...); a.status != 429 {
		t.Errorf("another stream of the token: %d %s", a.status, a.body)
	}
	lost.end <- nil
	lost.eventually(t, dyno, map[string]any{"state": "stopped", "exit_code": 7.0, "additional_info": "Its command ended with exit code 7."})
	lost.exec.mu.Lock()
	lost.exec.talk = func(context.Context, dynomad.Session) (int, error) { return 3, nil }
	lost.exec.mu.Unlock()
	for { // the stream ends a moment after its dyno
		var refused *stream.Error
		code, err := stream.Talk(t.Context(), lost.url+next, stream.Terminal{})
		if errors.As(err, &refused) && refused.ID == "rate_limit" {
			continue
		}
		if code != 3 || err != nil {
			t.Errorf("the next: %d, %v", code, err)
		}
		break
	}
}

// TestStream_keepEnds ends commands that run on without their clients.
func TestStream_keepEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(lost lostClient)
		info string
	}{
		{"the daemon stops", func(lost lostClient) { _ = lost.server.StopStreams(t.Context()) }, "The daemon was stopped."},
		{"it is stopped by request", func(lost lostClient) {
			lost.must(202, "POST", "/apps/api-default/dynos/run.1001/actions/stop", "")
			lost.end <- nil
		}, "It was stopped by request."},
		{"the dyno cannot be reached", func(lost lostClient) {
			lost.end <- dynomad.Errorf(dynomad.Unavailable, "The connection to the dyno was lost.")
		}, "The connection to the dyno was lost."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lost := loseClient(t)
			tt.end(lost)
			lost.eventually(t, "/apps/api-default/dynos/"+lost.id, map[string]any{"state": "stopping", "additional_info": tt.info, "exit_code": nil})
		})
	}
}

// TestStream_wishes refuses what is neither 1 nor 0, and names it. The secret stays good.
func TestStream_wishes(t *testing.T) {
	t.Parallel()
	w, base := newStreams(t)
	url, _ := w.attached(t, "")
	for _, field := range []string{"tty", "keep"} {
		for _, said := range []string{"yes", "2", "-1", "TRUE", "%00"} {
			a := w.ask("", "GET", url+"&"+field+"="+said, "", upgrade...)
			if a.status != 422 || a.object(t)["field"] != field || a.object(t)["message"] != "The "+field+" must be 1 or 0." {
				t.Errorf("%s=%s: %d %s", field, said, a.status, a.body)
			}
		}
	}
	if code, err := stream.Talk(t.Context(), base+url, stream.Terminal{TTY: true, Keep: true}); code != 0 || err != nil {
		t.Errorf("after all this: %d, %v", code, err)
	}
}
