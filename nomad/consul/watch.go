package consul

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/jobs"
)

const (
	minBackoff = 250 * time.Millisecond
	maxBackoff = 2 * time.Second
	minGap     = 50 * time.Millisecond // between two answers of the blocking query, so that a flapping check cannot drive it
	relist     = 5 * time.Second       // before the second full list; later ones come ever more slowly, up to waitTime
	recheck    = time.Second           // before an instance is read again that neither passes nor is critical
)

// lostNode starts the output shown for instances on a node whose own check fails.
const lostNode = "Consul has lost the node "

// Sink takes the health of allocations, in the order in which it was learned. Its methods must not call the watcher.
type Sink interface {
	// ResetHealth replaces all that is known.
	ResetHealth(all map[string]jobs.Health)
	// SetHealth takes the health of some allocations.
	SetHealth(some map[string]jobs.Health)
	// LostHealth says that health is no longer followed, until the next ResetHealth.
	LostHealth()
}

// Watcher follows the health of everything that Nomad registered.
type Watcher struct {
	client *Client
	sink   Sink
	log    hclog.Logger
	asked  chan struct{}
	wait   time.Duration // of the blocking query
	relist time.Duration // between the first two full lists
	grace  time.Duration // that Consul may take to answer beyond that

	mu       sync.Mutex
	critical map[string]string          // allocation -> output of its failing check
	passing  map[string]bool            // as of the last read of its service
	service  map[string]string          // allocation -> its service, while its check is known
	of       map[string]map[string]bool // the same, by service
	queue    map[string]bool            // services to read
	giveUp   context.CancelFunc         // ends what is followed now
	resyncs  int                        // how often all was read: what was asked before says nothing after
}

// NewWatcher makes a Watcher; Run starts it.
func NewWatcher(client *Client, sink Sink, log hclog.Logger) *Watcher {
	return &Watcher{
		client: client, sink: sink, log: log, asked: make(chan struct{}, 1), wait: waitTime, relist: relist, grace: callTimeout,
		critical: map[string]string{}, passing: map[string]bool{}, service: map[string]string{}, of: map[string]map[string]bool{},
		queue: map[string]bool{},
	}
}

// Ask has a service read soon, because one of its allocations changed. It never blocks.
func (w *Watcher) Ask(service string) {
	w.mu.Lock()
	w.queue[service] = true
	w.mu.Unlock()
	select {
	case w.asked <- struct{}{}:
	default:
	}
}

// Doubt has the watcher begin anew at once, for who has a reason to think that its connection is half-open. Connections that nobody uses now may
// be no better: they are closed.
func (w *Watcher) Doubt() {
	w.client.http.CloseIdleConnections()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.giveUp != nil {
		w.giveUp()
	}
}

// Run follows until ctx ends. After every break it starts with a full list, after a pause with jitter.
func (w *Watcher) Run(ctx context.Context) {
	var reader sync.WaitGroup
	reader.Go(func() { w.readAsked(ctx) })
	defer reader.Wait()
	pause := minBackoff
	for ctx.Err() == nil {
		synced, err := w.once(ctx)
		if ctx.Err() != nil {
			return
		}
		w.sink.LostHealth()
		if synced {
			pause = minBackoff
		}
		w.log.Warn("lost sight of consul, will look again", "error", err, "pause", pause)
		sleep(ctx, pause/2+rand.N(pause/2)) //nolint:gosec // jitter, no secret
		pause = min(2*pause, maxBackoff)
	}
}

// once reads all checks, then follows the critical ones. An index that goes back is reset to 0 (Consul's API features,
// blocking queries). A check that is new and passes is on no list of critical ones, and after a restart of Consul, when all
// checks come back so, Nomad has no news of the dynos either: so all are read again now and then.
func (w *Watcher) once(ctx context.Context) (synced bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	w.giveUp = cancel
	w.mu.Unlock()
	if err := w.resync(ctx); err != nil {
		return false, err
	}
	var index uint64
	pause := w.relist
	due := time.Now().Add(pause)
	for {
		checks, next, err := w.criticalAfter(ctx, index, min(w.wait, time.Until(due)))
		if err != nil {
			return true, translate("following critical checks", err)
		}
		if next < index {
			index = 0
			continue
		}
		// Compared even if the index is the same: a service that was read meanwhile may have known of a failure first.
		index = next
		if err := w.takeCritical(ctx, checks); err != nil {
			return true, err
		}
		if !time.Now().Before(due) {
			if err := w.resync(ctx); err != nil {
				return true, err
			}
			pause = min(2*pause, waitTime)
			due = time.Now().Add(pause)
		}
		sleep(ctx, minGap)
	}
}

// criticalAfter waits for the critical checks to change. Consul answers within the wait and a sixteenth of it; a half-open
// connection or a frozen agent gives no error, only silence.
func (w *Watcher) criticalAfter(ctx context.Context, index uint64, wait time.Duration) ([]check, uint64, error) {
	wait = max(wait, time.Millisecond) // 0 is five minutes to Consul
	ctx, done := context.WithTimeout(ctx, wait+wait/16+w.grace)
	defer done()
	q := &api.QueryOptions{WaitIndex: index, WaitTime: wait}
	checks, index, err := w.client.checks(api.HealthCritical, q.WithContext(ctx))
	return checks, max(index, 1), err
}

// resync reads every check of the cluster in one request.
func (w *Watcher) resync(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	checks, _, err := w.client.checks(api.HealthAny, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return translate("listing checks", err)
	}
	sick := sickNodes(checks)
	w.mu.Lock()
	w.resyncs++
	clear(w.critical)
	clear(w.passing)
	clear(w.service)
	clear(w.of)
	for _, c := range checks {
		w.note(c, sick)
	}
	all := map[string]jobs.Health{}
	for alloc := range w.service {
		all[alloc] = w.health(alloc)
	}
	w.sink.ResetHealth(all)
	unsure := map[string]bool{}
	for service := range w.of {
		unsure[service] = w.unsure(service)
	}
	w.mu.Unlock()
	for service, ask := range unsure {
		if ask {
			w.Ask(service)
		}
	}
	return nil
}

// sickNodes gives the nodes whose own checks fail: Consul counts that against every service on them.
func sickNodes(checks []check) map[string]bool {
	sick := map[string]bool{}
	for _, c := range checks {
		if c.ServiceID == "" && c.Status == api.HealthCritical {
			sick[c.Node] = true
		}
	}
	return sick
}

// note takes one check. w.mu is held.
func (w *Watcher) note(c check, sick map[string]bool) {
	alloc := allocOf(c.ServiceID)
	if alloc == "" {
		return
	}
	w.join(alloc, c.ServiceName)
	switch {
	case sick[c.Node]:
		w.critical[alloc] = lostNode + c.Node
	case c.Status == api.HealthCritical:
		w.critical[alloc] = oneLine(c.Output)
	default:
		before, known := w.passing[alloc]
		w.passing[alloc] = c.Status == api.HealthPassing && (before || !known)
	}
}

// health gives what is known of an allocation. w.mu is held.
func (w *Watcher) health(alloc string) jobs.Health {
	output, bad := w.critical[alloc]
	passing, known := w.passing[alloc]
	return jobs.Health{Known: bad || known, Passing: passing && !bad, Output: output}
}

// takeCritical takes a new list of all critical checks. Those that entered are known to fail; those that left are read,
// because not being critical is not yet passing. Until that answer they are told of as they were, not as unknown.
func (w *Watcher) takeCritical(ctx context.Context, checks []check) error {
	if len(sickNodes(checks)) > 0 || w.hadSickNode() {
		return w.resync(ctx)
	}
	now := map[string]check{}
	for _, c := range checks {
		if alloc := allocOf(c.ServiceID); alloc != "" {
			now[alloc] = c
		}
	}
	changed := map[string]jobs.Health{}
	left := map[string]bool{}
	w.mu.Lock()
	for alloc := range w.critical {
		if _, still := now[alloc]; !still {
			delete(w.critical, alloc)
			delete(w.passing, alloc)
			left[w.service[alloc]] = true
		}
	}
	for alloc, c := range now {
		w.critical[alloc] = oneLine(c.Output)
		w.join(alloc, c.ServiceName)
		delete(w.passing, alloc)
		changed[alloc] = w.health(alloc)
	}
	w.sink.SetHealth(changed)
	w.mu.Unlock()
	for service := range left {
		w.Ask(service)
	}
	return nil
}

func (w *Watcher) hadSickNode() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, output := range w.critical {
		if strings.HasPrefix(output, lostNode) {
			return true
		}
	}
	return false
}

// readAsked reads the services that were asked for, each once however often it was.
func (w *Watcher) readAsked(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.asked:
		}
		for _, service := range w.takeQueue() {
			if err := w.readService(ctx, service); err != nil && ctx.Err() == nil {
				w.log.Warn("cannot read the health of a service", "service", service, "error", err)
				sleep(ctx, minBackoff)
				w.Ask(service)
			}
		}
	}
}

func (w *Watcher) takeQueue() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	services := make([]string, 0, len(w.queue))
	for s := range w.queue {
		services = append(services, s)
	}
	clear(w.queue)
	return services
}

// readService reads the instances of a service. What the list of critical checks says meanwhile wins.
func (w *Watcher) readService(ctx context.Context, service string) error {
	ctx, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	w.mu.Lock()
	before := w.resyncs
	w.mu.Unlock()
	entries, _, err := w.client.api.Health().Service(service, "", false, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return translate("reading service "+service, err)
	}
	w.mu.Lock()
	stale := w.resyncs != before // the answer may be older than what is known by now
	if !stale {
		w.sink.SetHealth(w.takeEntries(service, entries))
	}
	unsure := w.unsure(service)
	w.mu.Unlock()
	switch {
	case stale:
		w.Ask(service)
	case unsure:
		time.AfterFunc(recheck, func() { w.Ask(service) })
	}
	return nil
}

// join notes which service an allocation is an instance of. w.mu is held.
func (w *Watcher) join(alloc, service string) {
	if before, ok := w.service[alloc]; ok && before != service {
		w.leave(alloc)
	}
	w.service[alloc] = service
	if w.of[service] == nil {
		w.of[service] = map[string]bool{}
	}
	w.of[service][alloc] = true
}

// leave forgets an instance. w.mu is held.
func (w *Watcher) leave(alloc string) {
	service := w.service[alloc]
	delete(w.service, alloc)
	if delete(w.of[service], alloc); len(w.of[service]) == 0 {
		delete(w.of, service)
	}
}

// unsure reports whether a service has an instance that neither passes nor is on the list of critical checks: nothing else tells
// of its next change. w.mu is held.
func (w *Watcher) unsure(service string) bool {
	for alloc := range w.of[service] {
		_, critical := w.critical[alloc]
		passing, known := w.passing[alloc]
		if known && !passing && !critical {
			return true
		}
	}
	return false
}

// takeEntries takes the instances that a service has. w.mu is held.
func (w *Watcher) takeEntries(service string, entries []*api.ServiceEntry) map[string]jobs.Health {
	changed := map[string]jobs.Health{}
	for alloc := range w.of[service] {
		delete(w.passing, alloc)
		changed[alloc] = jobs.Health{}
	}
	for _, e := range present(entries) {
		if alloc := allocOf(e.Service.ID); alloc != "" {
			w.join(alloc, service)
			w.passing[alloc] = e.Checks.AggregatedStatus() == api.HealthPassing
			changed[alloc] = jobs.Health{}
		}
	}
	for alloc := range changed {
		changed[alloc] = w.health(alloc)
		if !changed[alloc].Known {
			w.leave(alloc)
		}
	}
	return changed
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
