package nomadtest

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// Sim is a Fake that speaks HTTP as Nomad and Consul do, so that an unmodified daemon runs against it: with as many apps as no
// cluster on one machine could run. It has what the daemon asks for: jobs and their versions, allocations, deployments,
// evaluations, variables, the stream of events and blocking queries of Nomad; checks, services, sessions and keys of Consul.
//
// Rollouts succeed as they begin, and a dyno with a check passes it as long as it runs, unless Fail says otherwise. There are no
// logs, no exec, no ACLs, and nothing is ever blocked for want of room.
type Sim struct {
	*Fake
	nomad, consul *httptest.Server
	zippers       sync.Pool

	// What follows is guarded by Fake.mu.
	news     chan struct{} // closed, and made anew, when anything happens
	events   eventLog
	asked    map[string]int // requests by what they are for
	stubs    map[string]encodedAlloc
	varIndex uint64 // of the last change of a variable
	health   simHealth
	locks    simLocks
	beat     time.Duration // between heartbeats on a stream of events that is quiet
}

// NewSim starts a Sim on this machine's loopback.
func NewSim() *Sim {
	s := &Sim{Fake: NewFake(), news: make(chan struct{}), asked: map[string]int{}, stubs: map[string]encodedAlloc{}}
	s.clock, s.zippers.New = time.Now, newZipper
	s.observe = s.noteChange
	s.varIndex = s.index
	s.health = newSimHealth(s.index)
	s.locks, s.beat = newSimLocks(), simHeartbeat
	s.Outcome(func(*api.Job) jobs.Rollout { return jobs.Rollout{State: jobs.RolloutSucceeded} })
	s.nomad, s.consul = httptest.NewServer(s.counted("nomad", s.nomadRoutes())), httptest.NewServer(s.counted("consul", s.consulRoutes()))
	return s
}

// Close ends both listeners and all that is under way on them.
func (s *Sim) Close() {
	var both sync.WaitGroup
	for _, server := range []*httptest.Server{s.nomad, s.consul} {
		both.Go(func() {
			server.CloseClientConnections() // streams never end by themselves
			server.Close()
		})
	}
	both.Wait()
}

// NomadURL is where Nomad answers, as NOMAD_ADDR takes it.
func (s *Sim) NomadURL() string { return s.nomad.URL }

// ConsulURL is where Consul answers, as CONSUL_HTTP_ADDR takes it.
func (s *Sim) ConsulURL() string { return s.consul.URL }

// Beat sets the time between heartbeats on streams of events that are opened from now on.
func (s *Sim) Beat(every time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat = every
}

// Requests gives how many requests there were since the last time, by what they ask for: "nomad GET /v1/job/{id}".
func (s *Sim) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = map[string]int{}
	return asked
}

// counted counts requests to one of the two.
func (s *Sim) counted(name string, routes *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := routes.Handler(r)
		if pattern == "" {
			pattern = r.Method + " " + r.URL.Path
		}
		s.mu.Lock()
		s.asked[name+" "+pattern]++
		s.mu.Unlock()
		routes.ServeHTTP(w, r)
	})
}

// noteChange has everybody hear of what happened. s.mu is held.
func (s *Sim) noteChange(c fakeChange) {
	s.events.add(c)
	s.health.noteChange(c)
	s.wake()
}

// wake has blocking queries and streams look again. s.mu is held.
func (s *Sim) wake() {
	close(s.news)
	s.news = make(chan struct{})
}
