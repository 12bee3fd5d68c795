package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dynomad/dynomad/jobs"
)

// unknownInterval is between looks for jobs of ours that no record is of. They ask the store, not Nomad.
const unknownInterval = 5 * time.Second

// namedJobs is how many jobs a notice names.
const namedJobs = 5

// unknown watches for jobs that carry this installation's mark, but are of apps or runs that the store never had: it was put back from an
// older backup, or is new. They are left running.
type unknown struct {
	installation string
	marked       func() []jobs.JobInfo
	ask          func(ctx context.Context, ids []string) ([]string, error) // which of these apps are not known
	askRuns      func(ctx context.Context, ids []string) ([]string, error) // which of these runs are not
	skip         func(ctx context.Context, last int) error                 // has no run get a number that another may have
	log          hclog.Logger

	skipped int             // the last number that skip was told of
	known   map[string]bool // apps that the store has or had, by id: that does not change

	mu   sync.Mutex
	jobs []string // ids, sorted
}

// run looks again and again until ctx ends.
func (u *unknown) run(ctx context.Context) {
	tick := time.NewTicker(unknownInterval)
	defer tick.Stop()
	for {
		u.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look takes the jobs before it asks for the apps: apps and runs are recorded before they have a job.
func (u *unknown) look(ctx context.Context) {
	var own []jobs.JobInfo
	var ids, runs []string
	for _, info := range u.marked() {
		if info.Installation != u.installation {
			continue
		}
		own = append(own, info)
		if !u.known[info.AppID] {
			ids = append(ids, info.AppID)
		}
		if info.RunID != "" {
			runs = append(runs, info.RunID)
		}
	}
	strange, err := u.ask(ctx, ids)
	var strangeRuns []string
	if err == nil {
		strangeRuns, err = u.askRuns(ctx, runs)
	}
	if err != nil {
		if ctx.Err() == nil {
			u.log.Error("cannot look for the apps of the cluster's jobs", "error", err)
		}
		return
	}
	u.keep(ids, strange)
	var names []string
	last := 0
	for _, info := range own {
		if slices.Contains(strange, info.AppID) || slices.Contains(strangeRuns, info.RunID) {
			names, last = append(names, info.ID), max(last, jobs.RunNumber(info.ID))
		}
	}
	u.skipTo(ctx, last)
	slices.Sort(names)
	u.set(names)
}

// keep notes which apps need not be asked for again.
func (u *unknown) keep(asked, strange []string) {
	if u.known == nil {
		u.known = map[string]bool{}
	}
	for _, id := range asked {
		if !slices.Contains(strange, id) {
			u.known[id] = true
		}
	}
}

// skipTo keeps the names of unknown runs' jobs from being given again.
func (u *unknown) skipTo(ctx context.Context, last int) {
	if last <= u.skipped {
		return
	}
	if err := u.skip(ctx, last); err != nil {
		u.log.Error("cannot skip the numbers of unknown runs", "error", err)
		return
	}
	u.skipped = last
}

// set keeps what was found, and logs it if it is another than before.
func (u *unknown) set(names []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case slices.Equal(names, u.jobs):
	case len(names) > 0:
		u.log.Warn("jobs of this installation are of apps or runs that are not in the records; they are left running", "count", len(names), "jobs", names)
	default:
		u.log.Info("every job of this installation is in the records again")
	}
	u.jobs = names
}

func (u *unknown) list() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.jobs)
}

// notice says it to the operator; nothing if there is nothing to say.
func (u *unknown) notice() []string {
	names := u.list()
	if len(names) == 0 {
		return nil
	}
	shown := strings.Join(names[:min(len(names), namedJobs)], ", ")
	if len(names) > namedJobs {
		shown += ", …"
	}
	return []string{fmt.Sprintf("%s of this installation (%s) of apps or runs that are not in the records: left running. Stop the daemon and run \"dynomad rebuild\" to take apps in.",
		counted(len(names), "job"), shown)}
}

// metric counts them for Prometheus.
func (u *unknown) metric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dynomad_unknown_jobs", Help: "Jobs with this installation's mark that are of apps or runs not in the records. They are left running.",
	}, func() float64 { return float64(len(u.list())) })
}
