package dynomad_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

// oneApp is a store that has one app, and remembers audits.
type oneApp struct {
	dynomad.Store
	audits []dynomad.Audit
}

func (s *oneApp) AppState(context.Context, string) (dynomad.AppState, error) {
	return dynomad.AppState{App: dynomad.App{ID: "app-id", Name: "api-default", NomadNamespace: "apps"}}, nil
}

func (s *oneApp) EditApp(ctx context.Context, key string, decide func(dynomad.AppState) (dynomad.Edit, error)) (dynomad.AppState, error) {
	state, _ := s.AppState(ctx, key)
	edit, err := decide(state)
	s.audits = append(s.audits, edit.Audits...)
	return state, err
}

// someDynos are one dyno in each state, by the name of the state.
type someDynos struct{}

func (someDynos) DynosVersion(dynomad.App) uint64 { return 0 }

func (someDynos) Dynos(dynomad.AppState, time.Time) dynomad.DynoPicture {
	var all []dynomad.Dyno
	for _, state := range dynomad.DynoStates() {
		all = append(all, dynomad.Dyno{ID: "id-of-" + string(state), Name: string(state), TypeN: "web.1", Type: "web", State: state})
	}
	return dynomad.DynoPicture{Dynos: all}
}

func (someDynos) StaleFor(time.Time) time.Duration { return 0 }
func (someDynos) Wake(context.Context, string)     {}
func (someDynos) Expect(context.Context, string)   {}

// recorder remembers what it is to run.
type recorder struct {
	ran []dynomad.Exec
	end time.Time
}

func (r *recorder) Exec(ctx context.Context, in dynomad.Exec) (dynomad.Executed, error) {
	r.ran = append(r.ran, in)
	r.end, _ = ctx.Deadline()
	return dynomad.Executed{ExitCode: 7}, nil
}

func (r *recorder) Talk(context.Context, dynomad.Session) (int, error) { return 0, nil }

func attaching() (*dynomad.Platform, *oneApp, *recorder) {
	store, exec := &oneApp{}, &recorder{}
	return dynomad.NewPlatform(dynomad.Rules{}, dynomad.Parts{
		Store: store, View: someDynos{}, Loop: someDynos{}, Exec: exec, Now: time.Now, NewID: func() string { return "id" },
	}), store, exec
}

func words(text string) []string { return strings.Split(text, "|") }

func TestAttach_wishes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		wish   dynomad.Attach
		script string
		kind   dynomad.Kind
		field  string
	}{
		{"words", dynomad.Attach{Command: words("sh|-c|kill|-15|-1")}, "kill -15 -1", "", ""},
		{"script", dynomad.Attach{Command: words("sh|-c|kill -9 -1"), Stdin: "x"}, "kill -9 -1", "", ""},
		{"one word", dynomad.Attach{Command: words("sh -c kill -0 -1")}, "kill -0 -1", "", ""},
		{"the document's", dynomad.Attach{Command: words("echo|Hello")}, "", dynomad.Forbidden, ""},
		{"more", dynomad.Attach{Command: words("sh|-c|kill -15 -1; id")}, "", dynomad.Forbidden, ""},
		{"a line more", dynomad.Attach{Command: words("sh|-c|kill -15 -1\n")}, "", dynomad.Forbidden, ""},
		{"a line before", dynomad.Attach{Command: words("id\nsh|-c|kill -15 -1")}, "", dynomad.Forbidden, ""},
		{"a word more", dynomad.Attach{Command: words("sh|-c|kill -15 -1|")}, "", dynomad.Forbidden, ""},
		{"another process", dynomad.Attach{Command: words("sh|-c|kill -15 1")}, "", dynomad.Forbidden, ""},
		{"a name", dynomad.Attach{Command: words("sh|-c|kill -TERM -1")}, "", dynomad.Forbidden, ""},
		{"another shell", dynomad.Attach{Command: words("bash|-c|kill -15 -1")}, "", dynomad.Forbidden, ""},
		{"no digits of ASCII", dynomad.Attach{Command: words("sh|-c|kill -١٥ -1")}, "", dynomad.Forbidden, ""},
		{"long", dynomad.Attach{Command: words("sh|-c|kill -" + strings.Repeat("9", 1000) + " -1")}, "", dynomad.Invalid, "command"},
		{"unknown alias", dynomad.Attach{Alias: "thread_dump"}, "", dynomad.Forbidden, ""},
		{"neither", dynomad.Attach{Stdin: "x"}, "", dynomad.Invalid, "command"},
		{"both", dynomad.Attach{Command: words("sh|-c|kill -15 -1"), Alias: "java_heap_dump"}, "", dynomad.Invalid, "alias"},
		{"stdin", dynomad.Attach{Alias: "java_heap_dump", Stdin: strings.Repeat("x", 1<<20+1)}, "", dynomad.Invalid, "stdin"},
	}
	for _, tt := range tests {
		p, store, exec := attaching()
		done, err := p.Attach(t.Context(), "api-default", "running", tt.wish)
		var e *dynomad.Error
		if errors.As(err, &e) && (e.Field != tt.field || e.Kind != tt.kind) || dynomad.KindOf(err) != tt.kind {
			t.Errorf("%s: got %v of kind %s, want %s about %q", tt.name, err, dynomad.KindOf(err), tt.kind, tt.field)
		}
		if tt.kind != "" {
			if len(exec.ran)+len(store.audits) > 0 {
				t.Errorf("%s: ran %+v, audits %+v", tt.name, exec.ran, store.audits)
			}
			continue
		}
		if len(exec.ran) != 1 || exec.ran[0].Script != tt.script || exec.ran[0].Stdin != tt.wish.Stdin || done.ExitCode != 7 {
			t.Errorf("%s: ran %+v, exit code %d", tt.name, exec.ran, done.ExitCode)
		}
		want := "Ran sh -c " + tt.script + " in the dyno running (web.1)."
		if len(store.audits) != 1 || store.audits[0].Action != "dyno.attach" || store.audits[0].Details != want {
			t.Errorf("%s: audits %+v", tt.name, store.audits)
		}
		if left := time.Until(exec.end); left < 50*time.Second || left > time.Minute {
			t.Errorf("%s: may take %s", tt.name, left)
		}
	}
}

func TestAttach_states(t *testing.T) {
	t.Parallel()
	for _, state := range dynomad.DynoStates() {
		p, _, exec := attaching()
		_, err := p.Attach(t.Context(), "api-default", string(state), dynomad.Attach{Alias: "java_heap_dump"})
		runs := state == dynomad.StateRunning || state == dynomad.StateProbeFailure
		if runs != (err == nil) || !runs && dynomad.KindOf(err) != dynomad.Conflict || runs && len(exec.ran) != 1 {
			t.Errorf("%s: %v", state, err)
		}
		if runs && (exec.ran[0].App.NomadNamespace != "apps" || exec.ran[0].Dyno.ID != "id-of-"+string(state)) {
			t.Errorf("%s: ran %+v", state, exec.ran[0])
		}
	}
	p, _, _ := attaching()
	if _, err := p.Attach(t.Context(), "api-default", "web.2", dynomad.Attach{}); dynomad.KindOf(err) != dynomad.NotFound {
		t.Errorf("an unknown dyno: %v", err)
	}
}

// TestAttach_heapDump checks what becomes of a dump, and that nothing stays nothing.
func TestAttach_heapDump(t *testing.T) {
	t.Parallel()
	p, _, exec := attaching()
	if _, err := p.Attach(t.Context(), "api-default", "running", dynomad.Attach{Alias: "java_heap_dump"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"", "JAVA PROFILE" + strings.Repeat("\x00\xff", 1<<20)} {
		var out bytes.Buffer
		w := exec.ran[0].Encode(&out)
		_, err := io.Copy(w, inParts(want))
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		if want == "" {
			if out.Len() > 0 {
				t.Errorf("nothing became %q", out.String())
			}
			continue
		}
		unzipped, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, &out))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(unzipped); err != nil || string(got) != want {
			t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
		}
	}
}

// inParts gives a text in parts, as it comes from a network.
func inParts(text string) io.Reader {
	var parts []io.Reader
	for len(text) > 1000 {
		parts = append(parts, strings.NewReader(text[:1000]), strings.NewReader(""))
		text = text[1000:]
	}
	return io.MultiReader(append(parts, strings.NewReader(text))...)
}
