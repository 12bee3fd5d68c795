package nomadtest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Bounds of the event stream.
const (
	simHeartbeat = 10 * time.Second
	simBacklog   = 8192 // events that a reader may be behind
)

// eventLog keeps the last events while anybody reads them. It is guarded by Fake.mu.
type eventLog struct {
	readers int
	first   uint64 // number of the first kept
	kept    []simEvent
}

type simEvent struct {
	topic, namespace string
	line             []byte
}

// add makes an event of a change.
func (l *eventLog) add(c fakeChange) {
	if l.readers == 0 {
		return
	}
	e := struct {
		Topic, Type, Key, Namespace string
		FilterKeys                  []string
		Index                       uint64
		Payload                     any
	}{Namespace: c.namespace, Index: c.index}
	switch {
	case c.alloc != nil:
		e.Topic, e.Type, e.Key, e.FilterKeys = "Allocation", "AllocationUpdated", c.alloc.ID, []string{c.alloc.JobID}
		e.Payload = struct{ Allocation *api.Allocation }{whole(c.alloc)}
	case c.job != nil:
		e.Topic, e.Type, e.Key = "Job", "JobRegistered", *c.job.spec.ID
		if *c.job.spec.Stop {
			e.Type = "JobDeregistered"
		}
		e.Payload = struct{ Job *api.Job }{c.job.spec}
	default:
		e.Topic, e.Type, e.Key = "Job", "JobDeregistered", c.removed
		e.Payload = struct{}{}
	}
	line, _ := json.Marshal(struct { //nolint:errchkjson // it is plain data
		Index  uint64
		Events []any
	}{c.index, []any{e}})
	if len(l.kept) >= 2*simBacklog {
		l.first += simBacklog
		l.kept = append([]simEvent(nil), l.kept[simBacklog:]...)
	}
	l.kept = append(l.kept, simEvent{topic: e.Topic, namespace: e.Namespace, line: append(line, '\n')})
}

func (l *eventLog) next() uint64 { return l.first + uint64(len(l.kept)) }

// after gives what came from a number on; ok is false if some of it is no longer kept.
func (l *eventLog) after(number uint64) (events []simEvent, ok bool) {
	if number < l.first {
		return nil, false
	}
	return l.kept[number-l.first:], true
}

// stream sends the events of the topics asked for, from now on, and a heartbeat when there are none.
func (s *Sim) stream(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.events.readers++
	number, every := s.events.next(), s.beat
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.events.readers--; s.events.readers == 0 {
			s.events.first, s.events.kept = s.events.next(), nil
		}
	}()
	beat := time.NewTicker(every)
	defer beat.Stop()
	flush := http.NewResponseController(w)
	lines := []byte("{}\n")
	for {
		if _, err := w.Write(lines); err != nil || flush.Flush() != nil {
			return
		}
		lines = lines[:0]
		for len(lines) == 0 {
			s.mu.Lock()
			events, ok := s.events.after(number)
			number, lines = s.events.next(), joinLines(lines, r, events)
			news := s.news
			s.mu.Unlock()
			if !ok {
				_, _ = w.Write([]byte(`{"Error":{"Message":"subscription closed by server, client should resubscribe"}}` + "\n"))
				return
			}
			if len(lines) > 0 {
				break
			}
			select {
			case <-news:
			case <-beat.C:
				lines = append(lines, "{}\n"...)
			case <-r.Context().Done():
				return
			}
		}
	}
}

// joinLines adds the lines of those events that a request asks for.
func joinLines(to []byte, r *http.Request, events []simEvent) []byte {
	var b bytes.Buffer
	for _, e := range events {
		if !inNamespace(r, e.namespace) {
			continue
		}
		for _, topic := range r.URL.Query()["topic"] {
			if name, _, _ := strings.Cut(topic, ":"); name == e.topic || name == "*" {
				b.Write(e.line)
				break
			}
		}
	}
	return append(to, b.Bytes()...)
}
