package server_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dynomad/dynomad/server"
)

// chaos makes up requests that may or may not make sense.
type chaos struct{ *rand.Rand }

// The words of chaos: names that mean something, and values that mean trouble.
var (
	chaosFields = []string{
		"name", "space", "org", "description", "labels", "maintenance", "nomad_namespace", "type", "quantity", "size", "dyno_size",
		"port", "command", "healthcheck", "removeHealthcheck", "remove-healthcheck", "remove-command", "oneoff", "schedule",
		"options", "env", "image", "updates", "url", "source_blob", "checksum", "version", "sha", "process_types", "slug", "release",
		"enabled", "attach", "time_to_live", "app", "scope", "expires_in", "COLOR", "PORT", "A", "", "\x00", "é", "required", "id", "web", "worker",
	}
	chaosValues = []string{
		`null`, `true`, `false`, `0`, `1`, `-1`, `3.0`, `1e400`, `99999999999999999999`, `""`, `"web"`, `"worker"`, `"gp1"`, `"+1"`,
		`"-1"`, `"2"`, `"\u0000"`, `"\ud800"`, `"é😀"`, `"/health"`, `"nginx:1"`, `"docker://u:p@h/r:1"`, `"a && b"`, `"sh -c 'x'"`,
		`"api-default"`, `"team"`, `"default"`, `"* * * * *"`, `"1"`, `"read"`, `["read"]`, `["global",1]`, `[]`, `{}`, `[[[]]]`,
		`{"A":"x"}`, `{"name":"gp1"}`, `{"id":null}`, `8080`, `"8080"`, `"` + strings.Repeat("x", 300) + `"`, `60`, `"${x}"`,
		`"00000000-0000-4000-8000-000000000203"`, `"v1"`, `1.5`, `-0`, `"fresh"`, `"clock"`, `"\\"`, `"'"`, `"#"`, `"\n"`,
	}
	chaosKeys = []string{
		"api-default", "shop-team", "nothere", "web", "worker", "default", "team", "1", "v2", "web.1", "gp2", "auto-release",
		"00000000-0000-4000-8000-000000000201", "00000000-0000-4000-8000-000000000203", "%00", "%ff", "%2F", "..", "a%20b", "~", "'",
		strings.Repeat("x", 500), "%F0%9F%98%80", "-1", "99999999999999999999",
	}
	chaosHeaders = []string{
		"Range", "version ..; max=1", "Range", "name ]a..z[; order=desc,max=2", "Range", "bytes=0-1", "Range", "]..[", "Accept",
		"application/vnd.heroku+json; version=3", "Accept", "application/vnd.heroku+json; version=9", "Content-Type", "text/plain",
		"Content-Type", "a/b; charset=latin1", "X-Nothing", "x", "X-Nothing", "x", "X-Nothing", "x", "X-Nothing", "x",
	}
)

func pick[T any](c chaos, from []T) T { return from[c.IntN(len(from))] }

// value makes up a JSON value.
func (c chaos) value(depth int) string {
	switch n := c.IntN(10); {
	case n == 0 && depth > 0:
		return c.object(depth - 1)
	case n == 1 && depth > 0:
		return "[" + c.value(depth-1) + "," + c.object(depth-1) + "]"
	}
	return pick(c, chaosValues)
}

// object makes up a JSON object.
func (c chaos) object(depth int) string {
	var fields []string
	for range c.IntN(5) {
		name, err := json.Marshal(pick(c, chaosFields))
		if err != nil {
			panic(err)
		}
		fields = append(fields, string(name)+":"+c.value(depth))
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// body makes up a body: mostly JSON, sometimes the one of the route's example, sometimes damaged.
func (c chaos) body(example string) string {
	body := c.object(2)
	switch c.IntN(8) {
	case 0:
		body = "[" + c.object(2) + "," + c.object(2) + "]"
	case 1:
		body = c.value(3)
	case 2, 3:
		body = example
	}
	if c.IntN(6) == 0 && body != "" {
		at := c.IntN(len(body))
		body = body[:at] + string([]byte{byte(c.IntN(256))}) + body[at+c.IntN(2):]
	}
	return body
}

// path fills a template with made-up keys, mostly that of the app there is.
func (c chaos) path(template string) string {
	parts := strings.Split(template, "/")
	for i, part := range parts {
		switch {
		case part == "{app}" && c.IntN(4) > 0:
			parts[i] = "api-default"
		case strings.HasPrefix(part, "{"):
			parts[i] = pick(c, chaosKeys)
		}
	}
	return strings.Join(parts, "/")
}

// TestRandom sends requests that are made up to every route: none is answered by a 5xx, and none that is refused changes
// anything (check sees to that). Its seed is fixed, so that a failure comes again.
func TestRandom(t *testing.T) {
	t.Parallel()
	requests := 10_000
	if testing.Short() {
		requests = 1000
	}
	c, w := chaos{rand.New(rand.NewPCG(2026, 11))}, newWorld(t) //nolint:gosec // chance, not a secret
	all, statuses := server.Routes(), map[int]int{}
	for i := range requests {
		rt := all[i%len(all)]
		ex := examples[rt.Method+" "+rt.Path]
		path := c.path(rt.Path)
		if c.IntN(3) == 0 {
			path = ex.path
		}
		h := 2 * c.IntN(len(chaosHeaders)/2)
		body := c.body(ex.body)
		a := w.ask(rootToken, rt.Method, path, body, chaosHeaders[h], chaosHeaders[h+1])
		statuses[a.status]++
		if a.status >= 500 {
			t.Errorf("%s %s %s: %d %s", rt.Method, path, body, a.status, a.body)
		}
		// What may take away the app or fill the store starts anew.
		if a.wrote && (rt.Method == "DELETE" || i%500 == 0) {
			logs := w.logs.String()
			if strings.Contains(logs, "[ERROR]") {
				t.Errorf("an error in the log: %s", logs)
			}
			w = newWorld(t)
		}
	}
	for _, status := range []int{200, 201, 400, 404, 406, 409, 415, 416, 422} {
		if statuses[status] < 10 {
			t.Errorf("only %d answers of %d: the requests are too tame: %v", statuses[status], status, statuses)
		}
	}
}
