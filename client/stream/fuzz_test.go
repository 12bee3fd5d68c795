package stream_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/dynomad/dynomad/client/stream"
)

// FuzzTalk has a platform send anything, a line a frame, and go. The client ends, with the exit code or an error.
func FuzzTalk(f *testing.F) {
	for _, seed := range []string{
		`{"state":"pending","message":"x"}` + "\n" + `{"stdout":{"data":"aGVs"}}` + "\n" + `{"exited":true,"result":{"exit_code":7}}`, `{"exited":true}`, `{"error":null}`,
		`{"error":{"id":"x","message":""}}`, `{"stdout":null,"stderr":{"data":"!"}}`, `{"result":{"exit_code":"7"},"exited":true}`, `null`, `[]`, ``, "\xff", `{"result":{"exit_code":1e3},"exited":true}`,
	} {
		f.Add(seed)
	}
	var frames atomic.Pointer[string]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow() //nolint:errcheck // it is over
		for frame := range strings.SplitSeq(*frames.Load(), "\n") {
			if conn.Write(r.Context(), websocket.MessageText, []byte(frame)) != nil {
				return
			}
		}
	}))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, text string) {
		frames.Store(&text)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var stdout, stderr bytes.Buffer
		code, err := stream.Talk(ctx, "ws"+strings.TrimPrefix(server.URL, "http")+"/?secret=x", stream.Terminal{
			TTY: true, Stdin: strings.NewReader("x"), Stdout: &stdout, Stderr: &stderr, Progress: func(string, string) {},
		})
		if ctx.Err() != nil || err != nil && err.Error() == "" || code != 0 && !strings.Contains(text, "exit_code") && !strings.Contains(strings.ToLower(text), "exit_code") {
			t.Errorf("%q: %d, %v", text, code, err)
		}
	})
}
