package jobs_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// allocInput is input.json of a case in testdata/allocs: what is known besides the allocation.
type allocInput struct {
	AllocOf   string // the case whose alloc.json this one uses; "" is its own
	Stub      bool   // alloc.json is a row of the list
	NoContent bool   // nothing is known of the job's version
	After     string // how long after the allocation's last change, as "1m30s"
	Type      dynomad.DynoType
	Health    jobs.Health
}

// shown is dyno.json.
type shown struct {
	Dyno   dynomad.Dyno
	Listed bool
}

func viewSettings() jobs.ViewSettings {
	sizes := append(dynomad.BuiltinSizes(), dynomad.Size{Name: "tiny", CPU: 50, MemoryMB: 20, MemoryLimitMB: 32})
	return jobs.ViewSettings{
		StartGrace: 30 * time.Second, MinHealthyTime: 10 * time.Second, UIURL: "http://127.0.0.1:4646/ui", Sizes: sizes,
	}
}

func TestDyno_goldens(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("../testdata/allocs/*/input.json")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no recorded allocations found: %v", err)
	}
	for _, file := range inputs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			in := readAllocCase(t, dir)
			got := encode(t, shown{jobs.Dyno(in), jobs.Listed(in.Alloc, in.Now)})
			want, err := os.ReadFile(filepath.Join(dir, "dyno.json"))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join(dir, "dyno.json"), got, want)
		})
	}
}

func readAllocCase(tb testing.TB, dir string) jobs.DynoInput {
	tb.Helper()
	var c allocInput
	decodeFile(tb, filepath.Join(dir, "input.json"), &c)
	after, err := time.ParseDuration(c.After)
	if err != nil {
		tb.Fatal(err)
	}
	allocFile := filepath.Join(dir, "alloc.json")
	if c.AllocOf != "" {
		allocFile = filepath.Join(dir, "..", c.AllocOf, "alloc.json")
	}
	in := jobs.DynoInput{
		Settings: viewSettings(), App: dynomad.App{ID: "a0000000-0000-4000-8000-000000000001", Name: "api-default"},
		Type: c.Type, Command: jobs.SplitCommand(c.Type.Command), Health: c.Health,
	}
	in.Alloc, in.Content = readAlloc(tb, allocFile, c.Stub)
	if c.NoContent {
		in.Content = nil
	}
	in.Now = jobs.At(time.Unix(0, in.Alloc.Modified).Add(after))
	return in
}

// readAlloc reads a recorded allocation and, where it has its job, what its group runs.
func readAlloc(tb testing.TB, file string, stub bool) (jobs.Alloc, *jobs.GroupContent) {
	tb.Helper()
	if stub {
		var s api.AllocationListStub
		decodeFile(tb, file, &s)
		return jobs.AllocFromStub(&s), nil
	}
	var a api.Allocation
	decodeFile(tb, file, &a)
	if a.Job == nil {
		return jobs.AllocFromAPI(&a), nil
	}
	content := jobs.Content(a.Job)[a.TaskGroup]
	return jobs.AllocFromAPI(&a), &content
}
