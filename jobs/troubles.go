package jobs

import (
	"fmt"

	"github.com/dynomad/dynomad"
)

// Explained is how an app's dynos do.
type Explained struct {
	Dynos    map[string]dynomad.Dyno // by allocation, each as if it had not been told to end
	Unplaced map[string]string       // why dynos cannot be placed, by group; nothing of those that can
}

// Troubles says why a rollout fails, by type: which of its new allocations did not get healthy, and what is wrong with it.
// Once it is late, those count too that are not healthy yet, or not even placed.
func Troubles(r dynomad.Rollout, allocs []NewAlloc, seen Explained, late bool) []dynomad.Trouble {
	var troubles []dynomad.Trouble
	for _, t := range r.Types {
		if trouble, ok := troubleOf(t, allocs, seen, late); ok {
			troubles = append(troubles, trouble)
		}
	}
	return troubles
}

func troubleOf(t dynomad.RenderedType, allocs []NewAlloc, seen Explained, late bool) (dynomad.Trouble, bool) {
	placed, healthy, sick := 0, 0, ""
	for _, a := range allocs {
		if a.Group != t.Type || a.Moved { // another one is placed for one that was moved, and counts in its stead
			continue
		}
		placed++
		switch {
		case a.Health == Healthy:
			healthy++
		case a.Health == Unhealthy || (late && sick == ""):
			sick = a.ID
		}
	}
	switch {
	case sick != "":
		return explain(t.Type, seen.Dynos[sick]), true
	case late && placed < t.Count && seen.Unplaced[t.Type] != "":
		return dynomad.Trouble{Type: t.Type, State: dynomad.StateWaiting, Info: roomNeeded(t, placed, seen)}, true
	}
	return dynomad.Trouble{}, false
}

// explain puts a dyno's state into a trouble.
func explain(dynoType string, d dynomad.Dyno) dynomad.Trouble {
	trouble := dynomad.Trouble{Type: dynoType, State: d.State, Info: d.AdditionalInfo}
	if trouble.State == "" || trouble.State == dynomad.StateRunning {
		trouble.State = dynomad.StateProbeFailure
	}
	if trouble.Info == "" {
		trouble.Info = "It did not become healthy in time."
	}
	return trouble
}

// roomNeeded says what a rollout lacks: its new dynos run beside the old ones for a while.
func roomNeeded(t dynomad.RenderedType, placed int, seen Explained) string {
	old := 0
	for _, d := range seen.Dynos {
		if d.Type == t.Type && d.State == dynomad.StateRunning {
			old++
		}
	}
	old = max(old-placed, 0)
	beside := ""
	if old > 0 {
		beside = fmt.Sprintf(" beside the %d old", old)
	}
	return fmt.Sprintf("It needs room for %d new dynos%s. %s", t.Count-placed, beside, seen.Unplaced[t.Type])
}
