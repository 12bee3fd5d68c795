package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// BenchmarkDynos makes the dynos of an app with twenty of them.
func BenchmarkDynos(b *testing.B) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	command := "sh -c 'exec npm start'"
	web := dynomad.DynoType{ID: "t", Type: "web", Quantity: 20, Size: "gp2", Port: 9000, Command: &command}
	in := jobs.AppInput{
		Settings: jobs.ViewSettings{Sizes: dynomad.BuiltinSizes(), UIURL: "http://127.0.0.1:4646/ui"},
		State:    dynomad.AppState{App: dynomad.App{ID: "a", Name: "a-default"}, Types: []dynomad.DynoType{web}, Wanted: &dynomad.Release{Version: 3}, Build: &dynomad.Build{}},
		Contents: map[uint64]map[string]jobs.GroupContent{0: {"web": {
			Release: 3, Command: []string{"sh", "-c", "exec npm start"}, CPU: 100, MemoryMB: 256, MemoryLimitMB: 512, Checked: true, Number: 1234567890,
		}}},
		Health: map[string]jobs.Health{}, Now: jobs.At(now),
	}
	for i := range 20 {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		in.Allocs = append(in.Allocs, jobs.Alloc{
			ID: id, Group: "web", Index: int32(i), VersionKnown: true, Desired: "run", Client: "running", NodeName: "node1",
			Created: now.UnixNano(), Modified: now.UnixNano(), Task: jobs.TaskSummary{State: "running", Started: now.UnixNano()},
		})
		in.Health[id] = jobs.Health{Known: true, Passing: true, EverPassed: true}
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := jobs.Dynos(in); len(got) != 20 || !got[0].Ready {
			b.Fatalf("got %+v", got)
		}
	}
}
