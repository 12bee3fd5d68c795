package reconcile

import (
	"context"
	"time"

	"github.com/dynomad/dynomad/jobs"
)

// rouseSlack is what Nomad may take, beyond the minimum healthy time, to tell that a dyno is healthy.
const rouseSlack = 5 * time.Second

// rouse has Nomad look again at new dynos that are well and of whose health it says nothing. A register that leaves a dyno as it is, but
// reaches its node within some 200 ms of the dyno's start, has Nomad's client wait for that start a second time: what watches the health
// is made anew with the server's picture, in which it has not started, and the start was told to the one before
// (client/allocrunner/health_hook.go, Update). The dyno would be called unhealthy at the deadline, and its release failed.
func (l *Loop) rouse(ctx context.Context, t target, rollout jobs.Rollout) error {
	wait := l.Settings().MinHealthyTime + rouseSlack
	if rollout.Deployment == "" || l.rolledFor(t.App.ID, t.Applied.Rollout.StartedAt) < wait {
		return nil
	}
	allocs, seen, err := l.newDynos(ctx, t, rollout)
	if err != nil {
		return err
	}
	for _, id := range l.overlooked(t.App.ID, jobs.Overlooked(allocs, seen), wait) {
		if err := l.Cluster.Rouse(ctx, t.namespace, id); err != nil {
			l.log(t).Warn("cannot have nomad look at a new dyno's health again", "dyno", id, "error", err)
			continue // its node may be away, and the others' not
		}
		l.log(t).Info("nomad said nothing of a new dyno's health, had it look again", "dyno", id)
	}
	return nil
}

// overlooked notes which new allocations are overlooked now, and gives those that have been for long enough; they count anew from then.
func (l *Loop) overlooked(appID string, now []string, wait time.Duration) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rolling[appID]
	before := r.well
	r.well = make(map[string]time.Time, len(now))
	l.rolling[appID] = r
	var long []string
	for _, id := range now {
		since, known := before[id]
		switch {
		case !known:
			since = time.Now()
		case time.Since(since) >= wait:
			long, since = append(long, id), time.Now()
		}
		r.well[id] = since
	}
	return long
}
