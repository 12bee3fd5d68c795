package dialect_test

import (
	"testing"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server/dialect"
)

func TestOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		accept string
		want   dialect.Dialect
		ok     bool
	}{
		{"", dialect.Akkeris, true},
		{"*/*", dialect.Akkeris, true},
		{"application/json", dialect.Akkeris, true},
		{"text/html", dialect.Akkeris, true},
		{"not a media type;;", dialect.Akkeris, true},
		{"application/vnd.heroku+json; version=3", dialect.Heroku, true},
		{"application/vnd.heroku+json;version=3.sdk", dialect.Heroku, true},
		{"application/vnd.heroku+json; version=3.run-inside", dialect.Heroku, true},
		{"Application/VND.Heroku+JSON; Version=3", dialect.Heroku, true},
		{"application/vnd.heroku+json", dialect.Heroku, true},
		{"application/vnd.heroku+json; version=2, application/vnd.heroku+json; version=3", dialect.Heroku, true},
		{"application/vnd.heroku+json; version=2", dialect.Akkeris, false},
		{"application/vnd.heroku+json; version=30", dialect.Akkeris, false},
		{"application/vnd.heroku+json; version=edge", dialect.Akkeris, false},
		{"application/json, application/vnd.heroku+json; version=4", dialect.Akkeris, false},
	}
	for _, tt := range tests {
		got, ok := dialect.Of([]string{tt.accept})
		if got != tt.want || ok != tt.ok {
			t.Errorf("Of(%q) = %v, %v, want %v, %v", tt.accept, got, ok, tt.want, tt.ok)
		}
	}
	if got, ok := dialect.Of(nil); got != dialect.Akkeris || !ok {
		t.Errorf("Of(nil) = %v, %v", got, ok)
	}
	if got, _ := dialect.Of([]string{"text/plain", "application/vnd.heroku+json; version=3"}); got != dialect.Heroku {
		t.Error("the second Accept header is not read")
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	type key struct {
		state dynomad.DynoState
		ready bool
	}
	heroku := map[key]string{
		{dynomad.StateRunning, true}:       "up",
		{dynomad.StateRunning, false}:      "starting",
		{dynomad.StatePending, false}:      "starting",
		{dynomad.StateWaiting, false}:      "starting",
		{dynomad.StateAppCrashed, false}:   "crashed",
		{dynomad.StateStartFailure, false}: "crashed",
		{dynomad.StateProbeFailure, false}: "crashed",
		{dynomad.StateStopping, false}:     "down",
		{dynomad.StateStopped, false}:      "down",
	}
	for _, state := range dynomad.DynoStates() {
		for _, ready := range []bool{false, true} {
			dyno := dynomad.Dyno{State: state, Ready: ready}
			if got := dialect.Akkeris.State(dyno); got != string(state) {
				t.Errorf("Akkeris: %s is %q", state, got)
			}
			want, ok := heroku[key{state, ready}]
			if !ok {
				want = heroku[key{state, false}]
			}
			if got := dialect.Heroku.State(dyno); got != want || want == "" {
				t.Errorf("Heroku: %s, ready %v is %q, want %q", state, ready, got, want)
			}
			ending := state == dynomad.StateStopping || state == dynomad.StateStopped
			if !dialect.Akkeris.Lists(dyno) || dialect.Heroku.Lists(dyno) == ending {
				t.Errorf("%s is listed wrongly", state)
			}
		}
	}
}

func TestNameAndCommand(t *testing.T) {
	t.Parallel()
	dyno := dynomad.Dyno{Name: "2281474389-1cu1o", TypeN: "web.1"}
	if a, h := dialect.Akkeris.Name(dyno), dialect.Heroku.Name(dyno); a != dyno.Name || h != "web.1" {
		t.Errorf("names %q and %q", a, h)
	}
	if got := dialect.Heroku.Name(dynomad.Dyno{Name: "run.1234"}); got != "run.1234" {
		t.Errorf("a one-off is called %q", got)
	}
	if dialect.Akkeris.Command(nil) != nil || *dialect.Heroku.Command(nil) != "" {
		t.Error("no command is null for Akkeris and empty for Heroku")
	}
	command := "npm start"
	if *dialect.Akkeris.Command(&command) != command || *dialect.Heroku.Command(&command) != command {
		t.Error("a command is shown as it is")
	}
}
