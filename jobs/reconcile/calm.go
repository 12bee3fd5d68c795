package reconcile

import (
	"context"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"github.com/dynomad/dynomad/jobs"
)

// Bounds of the time for which it is believed that a pass would find nothing to do. It need not end: all that a pass reads has a
// number that moves when it changes. It does, so that no mistake in that lasts.
const (
	calmLeast = 20 * time.Minute
	calmMost  = 40 * time.Minute
)

// calm knows the apps of which the last pass found nothing to do, and what it read. As long as that is the same, so would the next.
type calm struct {
	mu       sync.Mutex
	settings jobs.Settings
	apps     map[string]calmApp
	runless  map[string]uint64 // apps without runs: Changes as of then
}

// calmApp is what a pass that found nothing to do has read.
type calmApp struct {
	namespace, name string
	changes         uint64 // of the store
	mark            uint64 // of the view
	until           time.Time
}

func newCalm() calm { return calm{apps: map[string]calmApp{}, runless: map[string]uint64{}} }

// passUnlessCalm makes a pass over an app, unless it is known that there is nothing to do: then calm is true.
func (l *Loop) passUnlessCalm(ctx context.Context, appID string) (again time.Duration, calm bool, err error) {
	l.calm.heed(l.Settings())
	changes := l.Desired.Changes(appID)
	if l.isCalm(appID, changes) {
		return 0, true, nil
	}
	l.calm.forget(appID)
	found := calmApp{changes: changes}
	again, err = l.pass(ctx, appID, &found)
	if again == 0 && err == nil && found.name != "" {
		l.rest(appID, found)
	}
	return again, false, err
}

func (l *Loop) isCalm(appID string, changes uint64) bool {
	l.calm.mu.Lock()
	known, ok := l.calm.apps[appID]
	l.calm.mu.Unlock()
	if !ok || known.changes != changes || !time.Now().Before(known.until) {
		return false
	}
	mark, fresh := l.Live.Mark(known.namespace, known.name)
	return fresh && mark == known.mark
}

// rest notes that a pass found nothing to do, unless what it read has changed meanwhile, by itself or by others.
func (l *Loop) rest(appID string, found calmApp) {
	mark, fresh := l.Live.Mark(found.namespace, found.name)
	if !fresh || mark != found.mark || l.Desired.Changes(appID) != found.changes {
		return
	}
	found.until = time.Now().Add(calmLeast + rand.N(calmMost-calmLeast)) //nolint:gosec // jitter, no secret
	l.calm.mu.Lock()
	defer l.calm.mu.Unlock()
	l.calm.apps[appID] = found
}

// heed forgets all when jobs are rendered by other settings than before.
func (c *calm) heed(settings jobs.Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !reflect.DeepEqual(settings, c.settings) {
		c.settings = settings
		clear(c.apps)
	}
}

func (c *calm) forget(appID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.apps, appID)
}

// passRunsUnlessNone makes a pass over an app's runs, unless it is known that there are none: then calm is true.
func (l *Loop) passRunsUnlessNone(ctx context.Context, appID string) (again time.Duration, calm bool, err error) {
	changes := l.Desired.Changes(appID)
	l.calm.mu.Lock()
	seen, none := l.calm.runless[appID]
	l.calm.mu.Unlock()
	if none && seen == changes {
		return 0, true, nil
	}
	again, runs, err := l.passRuns(ctx, appID)
	l.calm.mu.Lock()
	defer l.calm.mu.Unlock()
	delete(l.calm.runless, appID)
	if err == nil && again == 0 && runs == 0 {
		l.calm.runless[appID] = changes
	}
	return again, false, err
}
