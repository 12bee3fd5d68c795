package client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/dynomad/dynomad/client"
)

// say is a daemon that answers everything with the same.
type say struct {
	status int
	header http.Header
	body   string
}

func (s say) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: s.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: s.header, Request: r,
		Body: io.NopCloser(strings.NewReader(s.body)), ContentLength: int64(len(s.body)),
	}, nil
}

// FuzzAnswers has a daemon, or what stands in its place, answer anything. The client gives what it can, or an error without its token.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []struct {
		status uint16
		retry  string
		body   string
	}{
		{200, "", `[{"id":"x","name":"web.1","release":{"version":2},"created_at":"2026-01-02T03:04:05.000Z"}]`},
		{200, "", `{}`},
		{200, "", `null`},
		{200, "", `[null]`},
		{200, "", ``},
		{204, "", ``},
		{302, "", `<html>`},
		{401, "", `{"id":"unauthorized","message":"no"}`},
		{422, "", `{"id":"invalid_params","message":"x","field":7}`},
		{429, "99999999999999999999", `{"id":1}`},
		{503, "-1", "\xff\xfe\x00"},
		{500, "", strings.Repeat("x", 1000)},
		{200, "", `{"created_at":"yesterday"}`},
		{100, "", `{"quantity":1e99}`},
	} {
		f.Add(seed.status, seed.retry, seed.body)
	}
	f.Fuzz(func(t *testing.T, status uint16, retry, body string) {
		answer := say{status: 100 + int(status)%900, header: http.Header{"Request-Id": {"r"}}, body: body}
		if answer.status != http.StatusServiceUnavailable { // which is waited for
			answer.header.Set("Retry-After", retry)
		}
		c, err := client.New(client.Config{URL: "http://daemon.example", Token: "very-secret-token", HTTP: &http.Client{Transport: answer}})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		errs := make([]error, 12)
		_, errs[0] = c.Apps(ctx)
		_, errs[1] = c.App(ctx, "a")
		_, errs[2] = c.Formation(ctx, "a")
		_, errs[3] = c.Dynos(ctx, "a")
		_, errs[4] = c.ConfigVars(ctx, "a")
		_, errs[5] = c.Releases(ctx, "a")
		_, errs[6] = c.CreateBuild(ctx, "a", client.NewBuild{URL: "x:1"})
		_, errs[7] = c.Authorizations(ctx)
		_, errs[8] = c.Spaces(ctx)
		_, errs[9] = c.CreateLogSession(ctx, "a", client.LogOptions{})
		_, errs[10] = c.Ready(ctx)
		lines, err := c.Logs(ctx, "a", client.LogOptions{})
		if errs[11] = err; err == nil {
			_ = lines.Close()
		}
		for i, err := range errs {
			if err == nil {
				continue
			}
			var e *client.Error
			if strings.Contains(err.Error(), "very-secret-token") && !strings.Contains(body, "very-secret-token") {
				t.Errorf("the error has the token: %v", err)
			}
			if errors.As(err, &e) && (e.Status != answer.status && i != 10 || e.RetryAfter < 0) {
				t.Errorf("%d with Retry-After %q: %+v", answer.status, retry, e)
			}
		}
	})
}
