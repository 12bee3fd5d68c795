package jobs_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

func TestTriedOf(t *testing.T) {
	t.Parallel()
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	alloc := func(index int32, created, modified int64, client string) jobs.Alloc {
		return jobs.Alloc{
			Group: "web", Index: index, Created: at(created).UnixNano(), Modified: at(modified).UnixNano(),
			Desired: api.AllocDesiredStatusRun, Client: client,
		}
	}
	told := func(a jobs.Alloc) jobs.Alloc { a.Desired = api.AllocDesiredStatusStop; return a }
	const failed, running = api.AllocClientStatusFailed, api.AllocClientStatusRunning
	for _, tt := range []struct {
		name   string
		allocs []jobs.Alloc
		want   jobs.Tried
	}{
		{"nothing", nil, jobs.Tried{}},
		{"what failed itself", []jobs.Alloc{alloc(0, 90, 105, failed), alloc(1, 100, 105, failed)}, jobs.Tried{}},
		{"one under way", []jobs.Alloc{alloc(0, 101, 105, running)}, jobs.Tried{Times: 1, Since: at(101)}},
		{"one that has ended", []jobs.Alloc{alloc(0, 101, 105, failed)}, jobs.Tried{Times: 1, Ended: at(105)}},
		{"one after the other", []jobs.Alloc{told(alloc(0, 101, 105, failed)), alloc(0, 125, 130, running)}, jobs.Tried{Times: 2, Since: at(125), Ended: at(105)}},
		{"two beside each other", []jobs.Alloc{alloc(0, 101, 105, failed), alloc(1, 102, 106, failed)}, jobs.Tried{Times: 1, Ended: at(106)}},
		{"two under way", []jobs.Alloc{alloc(0, 102, 105, running), alloc(1, 101, 105, running)}, jobs.Tried{Times: 1, Since: at(101)}},
		{"told to end", []jobs.Alloc{told(alloc(0, 101, 105, running))}, jobs.Tried{}},
		{"well", []jobs.Alloc{alloc(7, 101, 105, running)}, jobs.Tried{}},
		{"well and ended", []jobs.Alloc{alloc(7, 101, 105, failed)}, jobs.Tried{Times: 1, Ended: at(105)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := jobs.TriedOf(tt.allocs, at(100), func(a jobs.Alloc) bool { return a.Index == 7 })
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
