package nomadtest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// simWait is how long a blocking query waits that does not say how long (Nomad's and Consul's default).
const simWait = 5 * time.Minute

// simError is an answer other than 200, with its text.
type simError struct {
	status int
	text   string
}

func (e simError) Error() string { return e.text }

func notFound(text string) error { return simError{http.StatusNotFound, text} }

// rawList is a list of texts of JSON, which are sent as they are.
type rawList [][]byte

func (l rawList) encode() []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	b.Write(bytes.Join(l, []byte(",")))
	b.WriteByte(']')
	return b.Bytes()
}

// read makes a handler of what gives an answer, with s.mu held. A blocking query waits until index gives more than it knows.
func (s *Sim) read(header string, index func() uint64, get func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.await(r, index)
		s.mu.Lock()
		now := index()
		answer, err := get(r)
		if page, ok := answer.(simPage); ok {
			w.Header().Set("X-"+header+"-NextToken", page.next)
			answer = page.rows
		}
		text, encodeErr := encode(answer)
		s.mu.Unlock()
		w.Header().Set("X-"+header+"-Index", strconv.FormatUint(now, 10))
		w.Header().Set("X-"+header+"-LastContact", "0")
		w.Header().Set("X-"+header+"-KnownLeader", "true")
		s.reply(w, r, text, errors.Join(err, encodeErr))
	}
}

func encode(answer any) ([]byte, error) {
	if list, ok := answer.(rawList); ok {
		return list.encode(), nil
	}
	return json.Marshal(answer)
}

// reply sends an answer or an error.
func (s *Sim) reply(w http.ResponseWriter, r *http.Request, text []byte, err error) {
	var known simError
	switch {
	case errors.As(err, &known):
		http.Error(w, known.text, known.status)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		_, _ = w.Write(text)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := s.zippers.Get().(*gzip.Writer) //nolint:forcetypeassert // the pool has no others
	defer s.zippers.Put(z)
	z.Reset(w)
	_, _ = z.Write(text)
	_ = z.Close() // the client has gone
}

func newZipper() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
	return z
}

// await waits for a blocking query's turn.
func (s *Sim) await(r *http.Request, index func() uint64) {
	known, err := strconv.ParseUint(r.URL.Query().Get("index"), 10, 64)
	if err != nil || known == 0 {
		return
	}
	wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil {
		wait = simWait
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		s.mu.Lock()
		now, news := index(), s.news
		s.mu.Unlock()
		if now > known {
			return
		}
		select {
		case <-news:
		case <-over.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// nomadRead is read for Nomad.
func (s *Sim) nomadRead(get func(*http.Request) (any, error)) http.HandlerFunc {
	return s.read("Nomad", func() uint64 { return s.index }, get)
}

// write makes a handler of what changes something, with s.mu held.
func (s *Sim) write(do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer, err := do(r)
		text, encodeErr := encode(answer)
		now := s.index
		s.mu.Unlock()
		w.Header().Set("X-Nomad-Index", strconv.FormatUint(now, 10))
		s.reply(w, r, text, errors.Join(err, encodeErr))
	}
}

// namespaceIn gives the namespace that a request is about.
func namespaceIn(r *http.Request) string {
	if namespace := r.URL.Query().Get("namespace"); namespace != "" {
		return namespace
	}
	return api.DefaultNamespace
}

// inNamespace reports whether a namespace is one that a request is about.
func inNamespace(r *http.Request, namespace string) bool {
	asked := namespaceIn(r)
	return asked == namespace || asked == api.AllNamespacesNamespace
}
