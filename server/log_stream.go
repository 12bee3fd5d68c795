package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/dynomad/dynomad"
)

// Times of a stream of lines.
const (
	logHeartbeat = 20 * time.Second // between signs of life to clients that read events
	logCheck     = 5 * time.Second  // between looks whether the client may still read
	logSendTime  = 30 * time.Second // a client may take for what is sent to it in one go
)

// streamLogs sends an app's lines as they come, until there are no more, the client goes away or may no longer read.
func (s *Server) streamLogs(w http.ResponseWriter, r *http.Request, key string, o dynomad.LogOptions) error {
	out := &logWriter{w: w, control: http.NewResponseController(w), events: wantsEvents(r.Header.Values("Accept"))}
	if last := r.Header.Get("Last-Event-ID"); out.events && len(last) <= 100 {
		o.After = last
	}
	leave, err := s.ofToken.enter(dynomad.PrincipalFrom(r.Context()).TokenID)
	if err != nil {
		return err
	}
	defer leave()
	app, reader, err := s.platform.Logs(r.Context(), key, o)
	if err != nil {
		return err
	}
	defer reader.Close()
	if r.Method == http.MethodHead {
		out.begin(http.StatusOK)
		return nil
	}
	if o.Tail || o.After == "" {
		out.begin(http.StatusOK)
	}
	err = s.sendLogs(r.Context(), out, reader, app.ID)
	if err == nil {
		// A client that has all of what was there is told so: to an empty stream it would connect again and again.
		out.begin(http.StatusNoContent)
	}
	return err
}

// sendLogs sends lines until there are no more, or the client may not read them any longer.
func (s *Server) sendLogs(ctx context.Context, out *logWriter, reader dynomad.LogReader, appID string) error {
	for checked := time.Now(); ; {
		lines, err := nextLines(ctx, reader)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && (ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded)):
			return dynomad.Wrap(dynomad.Canceled, err, "The stream of lines was cut off.")
		}
		if err := out.send(lines); err != nil {
			return dynomad.Wrap(dynomad.Canceled, err, "The client did not read its lines.")
		}
		if time.Since(checked) < logCheck {
			continue
		}
		if checked = time.Now(); s.barred(ctx, appID) {
			return nil
		}
	}
}

// barred reports whether a client that reads an app's logs may no longer do so. What cannot be found out bars nobody.
func (s *Server) barred(ctx context.Context, appID string) bool {
	kind := dynomad.KindOf(s.platform.MayReadLogs(ctx, appID))
	return kind == dynomad.NotFound || kind == dynomad.Unauthenticated
}

// nextLines waits for lines, but not longer than until it is to be checked whether the client may read them.
func nextLines(ctx context.Context, reader dynomad.LogReader) ([]dynomad.LogLine, error) {
	ctx, cancel := context.WithTimeout(ctx, logCheck)
	defer cancel()
	return reader.Next(ctx)
}

// logWriter writes lines to a client: as text, or as server-sent events.
type logWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	events  bool
	begun   bool
	sent    time.Time
	buffer  bytes.Buffer
}

// begin sends the status and headers, unless they are sent.
func (l *logWriter) begin(status int) {
	if l.begun {
		return
	}
	l.begun, l.sent = true, time.Now()
	h := l.w.Header()
	h.Set("X-Accel-Buffering", "no") // nginx would keep lines back
	if l.events {
		h.Set("Content-Type", "text/event-stream")
	} else {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	_ = l.control.SetWriteDeadline(time.Now().Add(logSendTime)) // writers without deadlines have none
	l.w.WriteHeader(status)
	_ = l.control.Flush()
}

// send sends lines at once. If there are none it sends a sign of life to a client that expects one and has had none for long.
func (l *logWriter) send(lines []dynomad.LogLine) error {
	l.buffer.Reset()
	for _, line := range lines {
		l.add(line)
	}
	if len(lines) == 0 && l.events && time.Since(l.sent) >= logHeartbeat {
		l.buffer.WriteString(":\n\n")
	}
	if l.buffer.Len() == 0 {
		return nil
	}
	l.begin(http.StatusOK)
	l.sent = time.Now()
	_ = l.control.SetWriteDeadline(l.sent.Add(logSendTime)) // writers without deadlines have none
	if _, err := l.w.Write(l.buffer.Bytes()); err != nil {
		return err
	}
	return l.control.Flush()
}

// returnSign stands for a carriage return in an event, where a real one would end the field.
const returnSign = "\u240d"

// add adds a line: "2026-11-22T01:02:03.456Z app[web.1]: text".
func (l *logWriter) add(line dynomad.LogLine) {
	b := &l.buffer
	text := line.Text
	if l.events {
		b.WriteString("id: " + line.ID + "\ndata: ")
		text = strings.ReplaceAll(text, "\r", returnSign)
	}
	b.WriteString(stamp(line.At) + " " + string(line.Source) + "[" + line.Proc + "]: ")
	b.WriteString(text)
	b.WriteByte('\n')
	if l.events {
		b.WriteByte('\n')
	}
}

// wantsEvents reports whether Accept headers ask for server-sent events.
func wantsEvents(accept []string) bool {
	for _, entry := range strings.Split(strings.Join(accept, ","), ",") {
		if kind, params, err := mime.ParseMediaType(entry); err == nil && kind == "text/event-stream" && params["q"] != "0" {
			return true
		}
	}
	return false
}
