package jobs

import (
	"fmt"
	"testing"

	"github.com/dynomad/dynomad"
)

func TestAllocIndex(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{
		"x-default.web[0]": 0, "x-default.web[19]": 19, "x-default.web": 0, "x-default.web[": 0, "x-default.web[-1]": 0, "[]": 0, "": 0,
	} {
		if got := allocIndex(name); got != want {
			t.Errorf("allocIndex(%q) = %d, want %d", name, got, want)
		}
	}
}

// A dyno's name leads to its allocation's name and back.
func TestTypeN_roundTrip(t *testing.T) {
	t.Parallel()
	app := dynomad.App{Name: "x-default"}
	for index := range 21 {
		alloc := fmt.Sprintf("%s.%s[%d]", JobID(app), dynomad.Web, index)
		if got, want := TypeN(dynomad.Web, allocIndex(alloc)), fmt.Sprintf("web.%d", index+1); got != want {
			t.Errorf("%s is %s, want %s", alloc, got, want)
		}
	}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	in := Input{Settings: Settings{Installation: "me"}, App: dynomad.App{ID: "a1", Space: "default"}}
	installation, appID, ok := Owner(ownerMeta(in.Installation, in.App))
	if installation != "me" || appID != "a1" || !ok {
		t.Errorf("Owner = %q, %q, %t", installation, appID, ok)
	}
	for _, meta := range []map[string]string{nil, {"owner": "me"}, {metaOwner: ""}} {
		if _, _, ok := Owner(meta); ok {
			t.Errorf("Owner(%v) found a mark", meta)
		}
	}
}
