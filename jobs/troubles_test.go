package jobs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// TestTroubles tells which of a rollout's new allocations fail it.
func TestTroubles(t *testing.T) {
	t.Parallel()
	rollout := dynomad.Rollout{Types: []dynomad.RenderedType{{Type: "web", Count: 2}, {Type: "worker", Count: 1}}}
	crashed := dynomad.Dyno{State: dynomad.StateAppCrashed, AdditionalInfo: "Its process ended with exit code 3."}
	seen := Explained{
		Dynos:    map[string]dynomad.Dyno{"sick": crashed, "slow": {Type: "web", State: dynomad.StateRunning}},
		Unplaced: map[string]string{"web": "No node has room."},
	}
	failed := []dynomad.Trouble{{Type: "web", State: dynomad.StateAppCrashed, Info: "Its process ended with exit code 3."}}
	for name, test := range map[string]struct {
		allocs []NewAlloc
		late   bool
		want   []dynomad.Trouble
	}{
		"one is unhealthy":                  {[]NewAlloc{{ID: "sick", Group: "web", Health: Unhealthy}}, false, failed},
		"one was moved":                     {[]NewAlloc{{ID: "sick", Group: "web", Health: Unhealthy, Moved: true}}, false, nil},
		"one was moved, and its next fails": {[]NewAlloc{{ID: "x", Group: "web", Health: Unhealthy, Moved: true}, {ID: "sick", Group: "web", Health: Unhealthy}}, false, failed},
		"none has decided":                  {[]NewAlloc{{ID: "slow", Group: "web"}}, false, nil},
		"late": {[]NewAlloc{{ID: "slow", Group: "web"}, {ID: "y", Group: "web", Health: Healthy}}, true, []dynomad.Trouble{
			{Type: "web", State: dynomad.StateProbeFailure, Info: "It did not become healthy in time."},
		}},
		"late, one was moved and none placed for it": {
			[]NewAlloc{{ID: "x", Group: "web", Moved: true}, {ID: "y", Group: "web", Health: Healthy}}, true, []dynomad.Trouble{
				{Type: "web", State: dynomad.StateWaiting, Info: "It needs room for 1 new dynos. No node has room."},
			},
		},
		"late, all are well": {[]NewAlloc{{ID: "x", Group: "web", Health: Healthy}, {ID: "y", Group: "web", Health: Healthy}}, true, nil},
	} {
		if diff := cmp.Diff(test.want, Troubles(rollout, test.allocs, seen, test.late)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestAlloc_moved tells what ends because of its release from what is moved.
func TestAlloc_moved(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"alloc is being migrated": true, "alloc is lost since its node is down": true, "alloc not needed as node is tainted": true,
		"alloc not needed due to job update": false, "alloc was rescheduled because it failed": false, "": false,
	} {
		if got := (Alloc{Desired: api.AllocDesiredStatusStop, DesiredText: text}).Moved(); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
	if !(Alloc{Desired: api.AllocDesiredStatusEvict}).Moved() || !(Alloc{Migrating: true}).Moved() {
		t.Error("what was preempted, or is to migrate, is not moved")
	}
}
