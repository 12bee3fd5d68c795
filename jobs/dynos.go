package jobs

import (
	"cmp"
	"slices"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// AppInput is all that an app's dynos are made of.
type AppInput struct {
	Settings ViewSettings
	State    dynomad.AppState
	Allocs   []Alloc                            // of the app's job, in any order
	Contents map[uint64]map[string]GroupContent // by job version, then group
	Health   map[string]Health                  // by allocation
	Blocked  map[string]*api.AllocationMetric   // why dynos cannot be placed, by group
	Runs     []RunSight                         // of State.Runs, in their order
	Now      *Moment
}

// Dynos gives an app's dynos: those that Nomad has, a row for each that is wanted and not placed, and those that run once. They are
// sorted by type, index and age. An allocation whose job version is not known yet is no dyno for that instant: it would be shown without
// its release and under another name than it has ever after.
func Dynos(in AppInput) []dynomad.Dyno {
	types := in.types()
	rows, taken := in.placed(types)
	for _, t := range in.State.Types {
		rows = append(rows, in.waiting(types[t.Type], taken.indexes(t.Type))...)
	}
	rows = append(rows, in.runs()...)
	slices.SortFunc(rows, row.compare)
	dynos := make([]dynomad.Dyno, len(rows))
	for i, r := range rows {
		dynos[i] = r.Dyno
	}
	return dynos
}

// Owed reports whether Nomad owes an app a dyno: it was told to run one more than it has placed, and does not say why it does not.
func Owed(in AppInput) bool {
	types := in.types()
	_, taken := in.placed(types)
	return slices.ContainsFunc(in.State.Types, func(t dynomad.DynoType) bool {
		_, runs := t.Runs()
		return runs && in.keeps(t) && in.unplaced(types[t.Type], taken.indexes(t.Type)).owed()
	})
}

// placed gives the rows of the dynos that Nomad has, and the places that they take.
func (in AppInput) placed(types map[string]wantedType) ([]row, places) {
	rows, taken := []row{}, places{}
	newest := newestBySlot(in.Allocs)
	for _, a := range in.Allocs {
		if !a.VersionKnown || !Listed(a, in.Now) || in.left(a, newest) {
			continue
		}
		r := row{Dyno: Dyno(in.dynoInput(a, types)), index: int(a.Index)}
		rows = append(rows, r)
		if r.takesIndex() {
			taken.take(a, in.Contents[a.JobVersion][a.Group].Number)
		}
	}
	return rows, taken
}

// wantedType is a dyno type as it is wanted now.
type wantedType struct {
	dynomad.DynoType
	command Command
}

// Explain gives an app's dynos by allocation, each as if it had not been told to end.
func Explain(in AppInput) map[string]dynomad.Dyno {
	dynos, types := make(map[string]dynomad.Dyno, len(in.Allocs)), in.types()
	for _, a := range in.Allocs {
		a.Desired, a.DesiredText, a.Migrating = api.AllocDesiredStatusRun, "", false
		dynos[a.ID] = Dyno(in.dynoInput(a, types))
	}
	return dynos
}

// types gives the types that are wanted, by name.
func (in AppInput) types() map[string]wantedType {
	types := make(map[string]wantedType, len(in.State.Types))
	for _, t := range in.State.Types {
		types[t.Type] = wantedType{t, SplitCommand(t.CommandIn(in.State.ProcessTypes()))}
	}
	return types
}

func (in AppInput) dynoInput(a Alloc, types map[string]wantedType) DynoInput {
	t := types[a.Group] // a zero one if there is none
	d := DynoInput{
		Settings: in.Settings, App: in.State.App, Type: t.DynoType, Command: t.command, Alloc: a, Health: in.Health[a.ID], Now: in.Now,
	}
	if c, ok := in.Contents[a.JobVersion][a.Group]; ok && a.VersionKnown {
		d.Content = &c
	}
	return d
}

// slot is a place of a group's count.
type slot struct {
	group string
	index int32
}

// places are the slots that have a dyno, by what those run.
type places map[slot][]runs

// runs is that one dyno runs, or more than one, the same.
type runs struct {
	number uint64 // of GroupContent
	dynos  int    // that are in sight
}

func (p places) take(a Alloc, number uint64) {
	s := slot{a.Group, a.Index}
	i := slices.IndexFunc(p[s], func(r runs) bool { return r.number == number })
	if i < 0 {
		i = len(p[s])
		p[s] = append(p[s], runs{number: number})
	}
	if a.Client != api.AllocClientStatusUnknown {
		p[s][i].dynos++
	}
}

// indexes gives the indexes of a type that are taken. When a lost node comes back Nomad may leave two dynos with one index
// that run the same, and count both: the second takes the place of an index that there is none of. Of a rollout's dynos, old
// and new, each pair takes one.
func (p places) indexes(dynoType string) []int {
	var taken []int
	doubles := 0
	for s, all := range p {
		if s.group != dynoType {
			continue
		}
		taken = append(taken, int(s.index))
		most := 1
		for _, r := range all {
			most = max(most, r.dynos)
		}
		doubles += most - 1
	}
	return append(taken, freeIndexes(len(taken)+doubles, taken)...)
}

// newestBySlot gives for each slot when the newest allocation that did not stop was created.
func newestBySlot(allocs []Alloc) map[slot]int64 {
	newest := map[slot]int64{}
	for _, a := range allocs {
		if s := (slot{a.Group, a.Index}); !a.stopped() {
			newest[s] = max(newest[s], a.Created)
		}
	}
	return newest
}

// left reports whether an allocation has ended and Nomad takes no more notice of it, though it never told it to stop: so
// it leaves those that failed in a failed deployment and are no longer wanted or have a successor.
func (in AppInput) left(a Alloc, newest map[slot]int64) bool {
	if !a.Ended() || a.Batch || a.stopped() {
		return false
	}
	t, _ := in.State.Type(a.Group)
	return int(a.Index) >= Count(in.State.App, t) || a.Created < newest[slot{a.Group, a.Index}]
}

// waiting gives the rows of a type's dynos that are not placed.
func (in AppInput) waiting(t wantedType, taken []int) []row {
	if !in.keeps(t.DynoType) {
		return nil
	}
	if _, runs := t.Runs(); !runs {
		return in.leftOut(t.DynoType)
	}
	waiting := in.unplaced(t, taken)
	dynos := Waiting(waiting)
	free := freeIndexes(waiting.Count, taken)
	rows := make([]row, len(dynos))
	for i, d := range dynos {
		rows[i] = row{Dyno: d, index: free[i], unplaced: 1}
	}
	return rows
}

// keeps reports whether there is something that the dynos of a type are to run all the time.
func (in AppInput) keeps(t dynomad.DynoType) bool {
	return in.State.Wanted != nil && in.State.Build != nil && t.KeptUp()
}

// unplaced gives what the rows are made of of a type's dynos that are not placed.
func (in AppInput) unplaced(t wantedType, taken []int) WaitingInput {
	since := in.State.Wanted.CreatedAt
	if t.UpdatedAt.After(since) {
		since = t.UpdatedAt
	}
	return WaitingInput{
		App: in.State.App, Type: t.DynoType, Command: t.command.Text, Count: Count(in.State.App, t.DynoType), Taken: taken,
		ReleaseVersion: in.State.Wanted.Version, Metric: in.Blocked[t.Type], Trial: in.State.Trial, Since: since,
	}
}

// runs gives the rows of the dynos that run once.
func (in AppInput) runs() []row {
	rows := make([]row, 0, len(in.Runs))
	for i, sight := range in.Runs {
		run := in.State.Runs[i]
		if d, listed := RunDyno(RunView{Settings: in.Settings, App: in.State.App, Run: run, Sight: sight, Now: in.Now}); listed {
			rows = append(rows, row{Dyno: d, index: run.Number})
		}
	}
	return rows
}

// leftOut gives the row of a type that is not run, since its rollout failed and it has no good definition to be held at.
func (in AppInput) leftOut(t dynomad.DynoType) []row {
	dynos := Waiting(WaitingInput{
		App: in.State.App, Type: t, Command: t.CommandIn(in.State.ProcessTypes()), Count: min(Count(in.State.App, t), 1),
		ReleaseVersion: in.State.Wanted.Version, Since: t.UpdatedAt,
	})
	rows := make([]row, len(dynos))
	for i, d := range dynos {
		d.State, d.AdditionalInfo = t.Record.State, t.Notice()
		rows[i] = row{Dyno: d, unplaced: 1}
	}
	return rows
}

// row is a dyno with the index it is sorted by.
type row struct {
	dynomad.Dyno
	index    int
	unplaced int // 1 if Nomad has not placed it: it comes after one that is about to end
}

// takesIndex reports whether the dyno is one of those wanted, or in the place of one until Nomad replaces it.
func (r row) takesIndex() bool {
	return r.State != dynomad.StateStopped && r.State != dynomad.StateStopping
}

func (r row) compare(other row) int {
	return cmp.Or(
		cmp.Compare(r.Type, other.Type),
		cmp.Compare(r.index, other.index),
		cmp.Compare(r.unplaced, other.unplaced),
		r.CreatedAt.Compare(other.CreatedAt),
		cmp.Compare(r.ID, other.ID),
	)
}
