package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kept is what a daemon keeps of the writes of a keeper.
type kept struct {
	Big      string // a config var
	Apps     int
	Releases int
	Audits   int // of releases
}

// keeper writes to a daemon, and knows what was acknowledged.
type keeper struct {
	*alone
	random  *rand.Rand // follows from the seed
	acked   kept
	refused int
}

func newKeeper(a *alone) *keeper {
	a.tb.Helper()
	a.do(http.MethodPost, "/apps", `{"name":"kept"}`, http.StatusCreated)
	a.do(http.MethodPost, "/apps/kept-default/builds", `{"url":"nginx:1.27"}`, http.StatusCreated)
	random := rand.New(rand.NewPCG(seed(a.tb), 0)) //nolint:gosec // a test's choices, which can be made again
	return &keeper{alone: a, random: random, acked: kept{Apps: 1, Releases: 1, Audits: 1}}
}

// write sends a write of many bytes. It is acknowledged, or refused with 503 that gives the reason; "" is never.
func (k *keeper) write(reason string) (acknowledged bool) {
	k.tb.Helper()
	value := fmt.Sprint(k.acked.Releases, " ", k.random.Uint64(), strings.Repeat(" long", 6000))
	if !k.send(http.MethodPatch, "/apps/kept-default/config-vars", `{"BIG":"`+value+`"}`, http.StatusOK, reason) {
		return false
	}
	k.acked.Big = value
	k.acked.Releases++
	k.acked.Audits++
	return true
}

// add sends a write of few bytes.
func (k *keeper) add(reason string) {
	k.tb.Helper()
	if k.send(http.MethodPost, "/apps", fmt.Sprintf(`{"name":"more%d"}`, k.acked.Apps), http.StatusCreated, reason) {
		k.acked.Apps++
	}
}

func (k *keeper) send(method, path, body string, want int, reason string) (acknowledged bool) {
	k.tb.Helper()
	status, header, text, err := k.full(k.tb.Context(), method, path, body)
	if err == nil && status == want {
		return true
	}
	if err == nil {
		err = refusedFor(status, header, text, reason)
	}
	if err != nil {
		k.tb.Fatalf("%s %s, to be answered with %d: %v\n%s", method, path, want, err, last(k.log(), 3000))
	}
	k.refused++
	return false
}

// refusedFor wants an answer to be the one for a part that does not work: 503, why, and when to try again.
func refusedFor(status int, header http.Header, body, reason string) error {
	switch {
	case reason == "":
		return fmt.Errorf("%d %s, though nothing is wrong", status, body)
	case status != http.StatusServiceUnavailable || !strings.Contains(body, `"unavailable"`):
		return fmt.Errorf("%d %s, want 503", status, body)
	case !strings.Contains(body, reason):
		return fmt.Errorf("the answer does not say %q: %s", reason, body)
	case header.Get("Retry-After") == "":
		return errors.New("the answer does not say when to try again")
	}
	return nil
}

// untilRefused writes until a write is refused, and then some more of all kinds.
func (k *keeper) untilRefused(reason string) {
	k.tb.Helper()
	for n := 0; k.write(reason); n++ {
		if n == 500 {
			k.tb.Fatal("500 writes went to a disk that takes none")
		}
	}
	for range 5 {
		k.add(reason)
		k.write(reason)
	}
}

// intact wants all that was acknowledged to be there, and nothing else.
func (k *keeper) intact() {
	k.tb.Helper()
	var config map[string]string
	var apps, releases, audits, other []struct{ Name, Action string }
	k.get("/apps/kept-default/config-vars", &config)
	k.get("/apps", &apps)
	k.get("/apps/kept-default/releases", &releases)
	k.get("/apps/kept-default/audits", &audits)
	k.get("/apps/kept-default/formation", &other)
	k.get("/apps/kept-default/dynos", &other)
	got := kept{Big: config["BIG"], Apps: len(apps), Releases: len(releases)}
	for _, a := range audits {
		if a.Action == "release.create" {
			got.Audits++
		}
	}
	if diff := lost(got, k.acked); diff != "" {
		k.tb.Errorf("something else is kept than was acknowledged (-got +want):\n%s", diff)
	}
}

// lost tells how what is kept differs from what was acknowledged; "" is not at all.
func lost(got, acked kept) string {
	const shown = 40 // of a long value
	if diff := cmp.Diff(got, acked); got != acked {
		return diff[:min(len(diff), 20*shown)]
	}
	return ""
}

// intactWhole is intact, and has the database itself looked through.
func (k *keeper) intactWhole(dataDir string) {
	k.tb.Helper()
	k.intact()
	copied := filepath.Join(k.tb.TempDir(), "copy.db")
	if err := run(k.tb.Context(), []string{"backup", "--data-dir", dataDir, copied}, func(string) string { return "" }); err != nil {
		k.tb.Errorf("a backup, which is checked as a whole: %v", err)
	}
}

// TestKeeper_notices plants faults: each must be noticed.
func TestKeeper_notices(t *testing.T) {
	t.Parallel()
	acked := kept{Big: "new", Apps: 2, Releases: 3, Audits: 3}
	if lost(acked, acked) != "" {
		t.Error("what is all there is said to be lost")
	}
	for what, got := range map[string]kept{
		"an old value":            {"old", 2, 3, 3},
		"an app is gone":          {"new", 1, 3, 3},
		"a release is gone":       {"new", 2, 2, 3},
		"a release is made twice": {"new", 2, 4, 4},
		"a write without audit":   {"new", 2, 3, 2},
	} {
		if lost(got, acked) == "" {
			t.Errorf("%s: not noticed", what)
		}
	}
	const body = `{"id":"unavailable","message":"The disk is full."}`
	retry := http.Header{"Retry-After": {"1"}}
	if err := refusedFor(503, retry, body, "is full"); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"an internal error": refusedFor(500, retry, `{"id":"internal"}`, "is full"),
		"no reason":         refusedFor(503, retry, `{"id":"unavailable"}`, "is full"),
		"no time":           refusedFor(503, nil, body, "is full"),
		"nothing is wrong":  refusedFor(503, retry, body, ""),
	} {
		if err == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}
