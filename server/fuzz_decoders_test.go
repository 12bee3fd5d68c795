package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server/dialect"
)

// bodySeeds are bodies that mean something to one decoder or another.
var bodySeeds = []string{
	``, `{}`, `[]`, `null`, `[{"type":"web","quantity":"+1"}]`, `{"updates":[{"type":"web","dyno_size":{"id":null}}]}`,
	`{"type":"web","quantity":1,"size":"gp1","port":"8080","command":null,"healthcheck":"/","remove-command":true,"oneoff":false,"schedule":"* * * * *"}`,
	`{"options":{"env":{"A":1,"B":true,"C":"x"},"image":"a:1"}}`, `{"scope":["read"],"app":"a","space":"b","expires_in":60}`,
	`{"url":"docker://h/r:1","process_types":{"web":"sh -c 'x'"}}`, `{"A":"1","B":null,"C":2.50}`, `{"A":{"required":true,"description":null},"B":null}`,
	`{"name":"x","name":"\ud800","labels":"\ufffd"}`, `{"release":17,"slug":"v1"}`, `{"command":["sh","-c","kill -15 -1"],"alias":"x","stdin":""}`,
	`{"expires_in":9223372036854775807}`, `{"quantity":"-999999999","time_to_live":-1}`, "{\"a\":\"\xff\"}", `{"":{"":{"":[]}}}`,
}

// FuzzBodies gives a body to every decoder of bodies. What none can read is Malformed, or Invalid with the field's name.
func FuzzBodies(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add(seed)
	}
	s := &Server{platform: dynomad.NewPlatform(dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2", DefaultPort: 9000, MaxQuantity: 20}, dynomad.Parts{Now: time.Now})}
	decoders := map[string]func(*object) error{
		"type":          func(o *object) error { _ = s.typeSpec(o); return o.err },
		"authorization": func(o *object) error { n := newAuthorization(o); return firstOf(o.err, n.Validate()) },
		"build":         func(o *object) error { n := newBuild(o); _, err := n.Validate(); return firstOf(o.err, err) },
		"config":        func(o *object) error { _, err := configChange(o); return err },
		"notes":         func(o *object) error { _, err := noteChange(o); return err },
		"others": func(o *object) error {
			_, _, _, _ = o.key("release"), o.texts("command"), o.integer("lines"), o.flagOrNil("tail")
			_, _, _ = o.env("env"), o.commands("process_types"), o.textOrNil("description")
			return o.err
		},
	}
	f.Fuzz(func(t *testing.T, body string) {
		_, err := s.batch(httptest.NewRequestWithContext(t.Context(), "PATCH", "/", strings.NewReader(body)))
		refusedWell(t, "batch", body, err)
		for name, decoder := range decoders {
			o, err := decode(httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body)))
			if err == nil {
				err = decoder(o)
			}
			refusedWell(t, name, body, err)
		}
	})
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// refusedWell holds what is true of an error about a body.
func refusedWell(t *testing.T, what, body string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	answer := httptest.NewRecorder()
	writeError(answer, dynomad.KindOf(err), err)
	var e errorAnswer
	if json.Unmarshal(answer.Body.Bytes(), &e) != nil || !utf8.ValidString(e.Message) || len(e.Message) > 1000 {
		t.Errorf("%s of %q: %s", what, body, answer.Body)
	}
	switch kind := dynomad.KindOf(err); {
	case kind == dynomad.Malformed, kind == dynomad.Invalid && e.Field != "":
	default:
		t.Errorf("%s of %q: %s of the field %q: %v", what, body, kind, e.Field, err)
	}
}

// FuzzRange reads a list by a Range header and the Next-Range of each answer: that ends, and gives nothing twice.
func FuzzRange(f *testing.F) {
	for _, seed := range []string{
		"version ..", "version ..; max=1", "name ]app1..app5[; order=desc, max=2", "version 3..9; max=2, order=desc", "version ]..[", "bytes=0-1",
		"name ..;max=1000000000000;order=asc", "version 99999999999999999999..", "name a..b..c; max=1", "version ..;", " ", "version -1..", "name ]]a..",
	} {
		f.Add(seed)
	}
	all := rows(12)
	f.Fuzz(func(t *testing.T, header string) {
		seen := map[int]bool{}
		for pages := 0; header != ""; pages++ {
			w, got, err := listRows(t, all, header)
			if err != nil {
				if kindOf(t.Context(), err) != badRange {
					t.Fatalf("%q: %v", header, err)
				}
				if pages > 0 {
					t.Fatalf("our own Next-Range %q is refused: %v", header, err)
				}
				return
			}
			for _, version := range got {
				if seen[version] || pages > len(all) {
					t.Fatalf("%q gives %d again, page %d", header, version, pages)
				}
				seen[version] = true
			}
			header = w.Header().Get("Next-Range")
		}
	})
}

// FuzzHeaders reads what clients say in headers of their tokens, their dialects and their bodies.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer x", "Basic OnNlY3JldA==", "basic", "Basic ====", "application/vnd.heroku+json; version=3", "application/vnd.heroku+json;version=4, */*",
		"text/event-stream;q=0", "multipart/form-data; boundary=x", "application/json; charset=UTF-8", "keep-alive, Upgrade", `a/b; c="\"`, "a/b;;=;",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		token := tokenOf(header)
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(header)), "bearer ") && !strings.HasSuffix(strings.TrimSpace(header), token) {
			t.Errorf("the token of %q is %q", header, token)
		}
		if _, ok := dialect.Of([]string{header}); !ok && !strings.Contains(strings.ToLower(header), "heroku") {
			t.Errorf("%q is not acceptable", header)
		}
		_ = wantsEvents([]string{header, header})
		if err := checkMediaType(header); err != nil && kindOf(t.Context(), err) != unsupportedMedia {
			t.Errorf("the type %q: %v", header, err)
		}
		if hasWord([]string{header}, "upgrade") && !strings.Contains(strings.ToLower(header), "upgrade") {
			t.Errorf("%q has no word upgrade", header)
		}
	})
}

// FuzzQueries reads what clients say in queries: of logs, and of terminals.
func FuzzQueries(f *testing.F) {
	for _, seed := range []string{
		"", "lines=10&tail=1&dyno=web.1&type=web&source=app", "lines=1e3", "lines=-0", "lines=99999999999", "tail", "tail=maybe", "tty=0", "tty=2", "tty=0&keep=1", "keep=x", "secret=%00", "lines=1;lines=2", "%",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, _ := url.ParseQuery(query) // what net/http makes of it, errors left out
		options, err := logOptionsOf(values)
		if err = firstOf(err, options.Validate()); err == nil && (options.Lines < 0 || options.Lines > dynomad.MaxLogLines) {
			t.Errorf("%q asks for %d lines", query, options.Lines)
		}
		_, wishErr := wishOf(values)
		for _, err := range []error{err, wishErr} {
			if err != nil && dynomad.KindOf(err) != dynomad.Invalid {
				t.Errorf("%q: %v", query, err)
			}
		}
		var e *dynomad.Error
		if asError(err, &e) && !slices.Contains([]string{"lines", "tail", "dyno", "type", "source"}, e.Field) {
			t.Errorf("%q names the field %q", query, e.Field)
		}
	})
}

func asError(err error, to **dynomad.Error) bool {
	e, ok := err.(*dynomad.Error) //nolint:errorlint // as it is made
	*to = e
	return ok
}

// FuzzFrames has a client send what it likes over the stream of a dyno, a line a message. The command gets exactly the input of the frames
// that are proper, and the bridge ends in good order.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		`{"stdin":{"data":"aGVs"}}` + "\n" + `{"tty_size":{"height":33,"width":111}}` + "\n" + `{"stdin":{"data":"bG8=","close":true}}`,
		`{"stdin":{"close":true}}` + "\n" + `{"stdin":{"data":"bG8=","close":true}}`, `{}`, ``, `null`, `[]`, `{"stdin":"x"}`, `{"tty_size":{"height":1e9}}`,
		`{"tty_size":{"height":-1,"width":99999}}` + "\n{", `{"stdin":null,"tty_size":null}`, `{"STDIN":{"DATA":"aQ=="}}`, "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		messages := strings.Split(text, "\n")
		if len(messages) > maxWaiting {
			return
		}
		want, wantEnd := fuzzedInput(messages)
		var got []byte
		c := startBridge(t, patience, func(c *bridged, ctx context.Context) (int, error) {
			var err error
			got, err = io.ReadAll(c.terminal.Stdin)
			if err != nil {
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}
			return 0, nil
		})
		for _, message := range messages {
			if c.conn.Write(t.Context(), websocket.MessageText, []byte(message)) != nil {
				break // it has been cut off
			}
		}
		if !wantEnd {
			_ = c.conn.CloseNow()
		}
		for {
			if _, _, err := c.conn.Read(t.Context()); err != nil {
				break
			}
		}
		c.wait()
		if wantEnd && string(got) != want || !strings.HasPrefix(want, string(got)) {
			t.Errorf("%q: the command read %q, want %q", text, got, want)
		}
	})
}

// fuzzedInput gives the input of frames, and whether they come to an end of it, by a proper one or by what is no frame.
func fuzzedInput(messages []string) (input string, ends bool) {
	for _, message := range messages {
		var frame clientFrame
		if json.Unmarshal([]byte(message), &frame) != nil {
			return input, false
		}
		if frame.Stdin == nil {
			continue
		}
		input += string(frame.Stdin.Data)
		if frame.Stdin.Close {
			return input, true
		}
	}
	return input, false
}

// FuzzTickets looks for tickets by secrets that are made up.
func FuzzTickets(f *testing.F) {
	for i, seed := range []string{"", "0", "1", "00", "\x00"} {
		f.Add(seed, uint8(i)) //nolint:gosec // small
	}
	f.Fuzz(func(t *testing.T, secret string, made uint8) {
		n := 0
		held := newTickets[int](logSessionLife, time.Now, func() string { n++; return strconv.Itoa(n) })
		for range made {
			if _, err := held.issue(n); err != nil {
				t.Fatal(err)
			}
		}
		number, err := strconv.Atoi(secret)
		want := err == nil && number >= 1 && number <= int(made) && strconv.Itoa(number) == secret
		if _, ok := held.look(secret); ok != want {
			t.Errorf("%q of %d tickets is good: %t", secret, made, ok)
		}
		if _, ok := held.take(secret); ok != want {
			t.Errorf("%q of %d tickets can be taken: %t", secret, made, ok)
		}
		if _, ok := held.take(secret); ok {
			t.Errorf("%q can be taken twice", secret)
		}
	})
}
