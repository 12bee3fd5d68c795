// Package client is a Go client of Dynomad's API. It needs nothing but the standard library.
//
//	c, err := client.New(client.Config{URL: "http://127.0.0.1:5000", Token: token})
//	…
//	build, err := c.CreateBuild(ctx, "api-default", client.NewBuild{URL: "registry.example/api:7"})
//
// Apps are named by full name ("api-default") or id; so are spaces, dyno types, releases ("7", "v7") and dynos ("web.1"). A write
// records what is wanted and answers at once: releases and dynos tell how far the cluster has come. Errors of the API are *Error.
// Requests that change nothing are sent again after a 503 that says when; others never are.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config says where the API is and who asks.
type Config struct {
	URL       string       // of the daemon: http://127.0.0.1:5000
	Token     string       // sent with every request
	UserAgent string       // "" is dynomad-client
	HTTP      *http.Client // nil is one of the client's own. Time limits are the context's
}

// Client asks one daemon. It may be used by several goroutines.
type Client struct {
	base  string
	token string
	agent string
	http  *http.Client
}

// New makes a Client.
func New(config Config) (*Client, error) {
	u, err := url.Parse(config.URL)
	if strings.ContainsAny(config.URL, "@?#") && (err != nil || u.User == nil) { // what is there may be a secret
		return nil, fmt.Errorf("the URL of the daemon must be like http://127.0.0.1:5000, with nothing more in it")
	}
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not the URL of a daemon, like http://127.0.0.1:5000", config.URL)
	}
	if u.User != nil {
		return nil, fmt.Errorf("the URL of the daemon must have no user or password in it; the token goes separately")
	}
	c := &Client{base: strings.TrimSuffix(u.String(), "/"), token: config.Token, agent: config.UserAgent, http: config.HTTP}
	if c.agent == "" {
		c.agent = "dynomad-client"
	}
	if c.http == nil {
		c.http = &http.Client{}
	}
	plain := *c.http
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the token goes nowhere else
	c.http = &plain
	return c, nil
}

// URL gives where the daemon is, without a trailing slash.
func (c *Client) URL() string { return c.base }

// request is one request to send.
type request struct {
	method string
	path   string // with escaped keys
	body   any    // nil is none
	accept string // "" is JSON
}

const herokuMedia = "application/vnd.heroku+json; version=3"

// send sends a request and reads its answer into out, unless that is nil.
func (c *Client) send(ctx context.Context, r request, out any) error {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
	}
	text, err := c.try(ctx, r, body)
	for tries := 1; err != nil && tries < maxTries; tries++ {
		wait, again := retry(r.method, err)
		if !again || !sleep(ctx, wait) {
			break
		}
		text, err = c.try(ctx, r, body)
	}
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the answer of %s %s is not what the API promises: %w", r.method, c.base+r.path, err)
	}
	return nil
}

// try sends a request once, and reads its answer.
func (c *Client) try(ctx context.Context, r request, body []byte) ([]byte, error) {
	resp, err := c.open(ctx, r, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s %s: %w", r.method, c.base+r.path, err)
	}
	return text, nil
}

// open sends a request once. An answer that is no success is an *Error; of every other one the caller closes the body.
func (c *Client) open(ctx context.Context, r request, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept", cmp.Or(r.accept, "application/json"))
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return resp, nil
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s %s: %w", r.method, c.base+r.path, err)
	}
	return nil, errorOf(resp, text)
}

// How often a request is sent at most, how long the client waits before it sends it again, and how much of an error it reads.
const (
	maxTries = 3
	maxWait  = 15 * time.Second
	maxError = 1 << 20 // bytes of an answer that is no success
)

// retry reports whether a request may be sent again after an error, and when.
func retry(method string, err error) (time.Duration, bool) {
	var e *Error
	if method != http.MethodGet || !asError(err, &e) || e.Status != http.StatusServiceUnavailable {
		return 0, false
	}
	return e.RetryAfter, e.RetryAfter > 0 && e.RetryAfter <= maxWait
}

// sleep waits, unless the context ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// get asks for something.
func get[T any](ctx context.Context, c *Client, path string, err error) (T, error) {
	return ask[T](ctx, c, http.MethodGet, path, nil, err)
}

// ask sends a request whose path may be at fault.
func ask[T any](ctx context.Context, c *Client, method, path string, body any, err error) (T, error) {
	var out T
	if err == nil {
		err = c.send(ctx, request{method: method, path: path, body: body}, &out)
	}
	return out, err
}

// pathOf makes a path of parts; every second one is a key, which is escaped. An empty key is an error: without it the path would
// name something else, like all dynos instead of one.
func pathOf(parts ...string) (string, error) {
	var path strings.Builder
	for i, part := range parts {
		if i%2 == 1 {
			if part == "" || part == "." || part == ".." {
				return "", &Error{Status: http.StatusUnprocessableEntity, ID: "invalid_params", Message: strconv.Quote(part) + " names nothing."}
			}
			part = url.PathEscape(part)
		}
		path.WriteString(part)
	}
	return path.String(), nil
}
