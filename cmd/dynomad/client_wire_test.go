package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestClientWire has the wire between clients and the daemon be slow, and be cut in the middle of writes: each of those is made as a whole or
// not at all, and nothing is left of the connections.
func TestClientWire(t *testing.T) {
	t.Parallel()
	a := newAlone(t, filepath.Join(t.TempDir(), "data"))
	a.start()
	k := newKeeper(a)
	wire, err := nomadtest.NewWire(t.Context(), a.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = wire.Close() })
	before := a.holds()
	far := *a // the same daemon, from the wire's other end
	far.addr = wire.Addr()

	wire.Slow(20*time.Millisecond, 200_000)
	k.alone = &far
	k.write("")
	k.intact()
	wire.Heal()
	k.alone = a

	acked := map[string]bool{k.acked.Big: true}
	for i := range 60 {
		value := fmt.Sprint("write ", i)
		timer := time.AfterFunc(time.Duration(k.random.Int64N(int64(20*time.Millisecond))), wire.Cut)
		status, text, err := far.try(t.Context(), http.MethodPatch, "/apps/kept-default/config-vars", `{"BIG":"`+value+`"}`)
		timer.Stop()
		wire.Cut()
		wire.Heal()
		if acked[value] = err == nil; acked[value] && status != http.StatusOK {
			t.Fatalf("got %d %s", status, text)
		}
	}
	cut := 0
	for _, ok := range acked {
		if !ok {
			cut++
		}
	}
	nomadtest.Eventually(t, 20*time.Second, func(context.Context) error { return leaks(a.holds(), before) })
	a.stop() // what was cut off may still be under way: the daemon ends that first
	a.start()
	got := k.values()
	if err := whole(got, acked); err != nil {
		t.Error(err)
	}
	k.acked.Big, k.acked.Releases, k.acked.Audits = got[len(got)-1], len(got), len(got)
	k.intact()
	t.Logf("of 60 writes %d were cut off, %d of them had been made", cut, len(got)-1-(len(acked)-cut))
	if cut == 0 {
		t.Error("no write was cut off")
	}
}

// values gives the config var of each release, the oldest first.
func (k *keeper) values() []string {
	k.tb.Helper()
	var releases []struct{ Version int }
	k.get("/apps/kept-default/releases", &releases)
	var values []string
	for _, r := range releases {
		var config map[string]string
		k.get(fmt.Sprintf("/apps/kept-default/releases/%d/config-vars", r.Version), &config)
		values = append(values, config["BIG"])
	}
	return values
}

// whole wants of writes, acknowledged or cut off, that the ones are there once, and the others once or not at all.
func whole(got []string, acked map[string]bool) error {
	n := map[string]int{}
	for _, value := range got {
		n[value]++
		if _, sent := acked[value]; !sent && value != "" {
			return fmt.Errorf("there is %.40q, which nobody wrote", value)
		}
	}
	for value, ok := range acked {
		if n[value] > 1 || ok && n[value] == 0 {
			return fmt.Errorf("%.40q, acknowledged %t, is there %d times", value, ok, n[value])
		}
	}
	return nil
}

func TestClientWire_notices(t *testing.T) {
	t.Parallel()
	acked := map[string]bool{"a": true, "b": false, "c": false}
	if err := whole([]string{"", "a", "c"}, acked); err != nil {
		t.Error(err)
	}
	for what, got := range map[string][]string{
		"an acknowledged write is lost": {"", "c"}, "one is made twice": {"", "a", "c", "c"}, "one comes from nowhere": {"", "a", "x"},
	} {
		if whole(got, acked) == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}
