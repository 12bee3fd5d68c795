package nomadtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	consul "github.com/hashicorp/consul/api"
)

// simLocks are Consul's sessions and keys, guarded by Fake.mu.
type simLocks struct {
	sessions map[string]*simSession
	keys     map[string]*consul.KVPair
}

type simSession struct {
	ttl  time.Duration
	ends time.Time
}

func newSimLocks() simLocks {
	return simLocks{sessions: map[string]*simSession{}, keys: map[string]*consul.KVPair{}}
}

// expire ends the sessions that were not renewed for twice their TTL, the longest that Consul takes, and removes their keys.
func (l *simLocks) expire(now time.Time) {
	for id, session := range l.sessions {
		if !now.Before(session.ends) {
			l.end(id)
		}
	}
}

func (l *simLocks) end(id string) {
	delete(l.sessions, id)
	for key, pair := range l.keys {
		if pair.Session == id {
			delete(l.keys, key)
		}
	}
}

func (s *Sim) createSession(r *http.Request) (any, error) {
	var in struct{ TTL string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, simError{http.StatusBadRequest, "Request decode failed"}
	}
	ttl, err := time.ParseDuration(in.TTL)
	if err != nil {
		return nil, simError{http.StatusBadRequest, "Request TTL decode failed"}
	}
	id := fmt.Sprintf("00000000-0000-4000-b000-%012x", s.next())
	s.locks.sessions[id] = &simSession{ttl: ttl, ends: s.clock().Add(2 * ttl)}
	return struct{ ID string }{id}, nil
}

func (s *Sim) renewSession(r *http.Request) (any, error) {
	s.locks.expire(s.clock())
	id := r.PathValue("id")
	session := s.locks.sessions[id]
	if session == nil {
		return nil, notFound("Session id '" + id + "' not found")
	}
	session.ends = s.clock().Add(2 * session.ttl)
	return []*consul.SessionEntry{{ID: id, TTL: session.ttl.String(), Behavior: consul.SessionBehaviorDelete}}, nil
}

func (s *Sim) destroySession(r *http.Request) (any, error) {
	s.locks.end(r.PathValue("id"))
	return true, nil
}

func (s *Sim) getKey(r *http.Request) (any, error) {
	s.locks.expire(s.clock())
	pair := s.locks.keys[r.PathValue("key")]
	if pair == nil {
		return nil, notFound("")
	}
	return consul.KVPairs{pair}, nil
}

// putKey writes a key, for a session if the request has one acquire it.
func (s *Sim) putKey(r *http.Request) (any, error) {
	s.locks.expire(s.clock())
	value, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	key, session := r.PathValue("key"), r.URL.Query().Get("acquire")
	pair := s.locks.keys[key]
	if session != "" {
		if s.locks.sessions[session] == nil {
			return nil, simError{http.StatusInternalServerError, "invalid session \"" + session + "\""}
		}
		if pair != nil && pair.Session != "" && pair.Session != session {
			return false, nil
		}
	}
	if pair == nil {
		pair = &consul.KVPair{Key: key, CreateIndex: s.next()}
		s.locks.keys[key] = pair
	}
	pair.Value, pair.ModifyIndex = value, s.next()
	if session != "" && pair.Session != session {
		pair.Session = session
		pair.LockIndex++
	}
	return true, nil
}
