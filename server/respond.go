package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server/dialect"
)

// respond sends a JSON answer. It is encoded whole first, so that an error can still be answered as one.
func respond(w http.ResponseWriter, status int, answer any) error {
	text, err := encode(answer)
	if err != nil {
		return err
	}
	respondText(w, status, text)
	return nil
}

// encode gives an answer as JSON.
func encode(answer any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(answer); err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return text.Bytes(), nil
}

// respondText sends an answer that is encoded.
func respondText(w http.ResponseWriter, status int, text []byte) {
	send(w, status, text, func() []byte { return zipped(text) })
}

// lens is what decides how an answer looks to one client: its dialect, and what its token may see.
type lens struct {
	dialect.Dialect
	protected bool // config values may be shown
	global    bool
}

func lensOf(r *http.Request) lens {
	who := dynomad.PrincipalFrom(r.Context())
	d, _ := dialect.Of(r.Header.Values("Accept")) // checked by the adapter
	return lens{Dialect: d, protected: who.Has(dynomad.ScopeReadProtected), global: who.Has(dynomad.ScopeGlobal)}
}

// named refers to something that has an id and a name.
type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// onlyID refers to something by its id.
type onlyID struct {
	ID string `json:"id"`
}

// refer makes an onlyID, nil (null) for no id.
func refer(id string) *onlyID {
	if id == "" {
		return nil
	}
	return &onlyID{ID: id}
}

// user refers to the account that did something.
type user struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

func userOf(id, email string) user {
	if email == "" {
		email = dynomad.RootEmail
	}
	return user{ID: id, Email: email}
}

// derived names something that has no stored id: the same kind and name always give the same UUID.
func derived(kind, name string) named {
	sum := sha256.Sum256([]byte("dynomad " + kind + " " + name))
	id := sum[:16]
	id[6] = id[6]&0x0f | 0x80 // version 8: a scheme of our own
	id[8] = id[8]&0x3f | 0x80
	return named{ID: fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]), Name: name}
}

// stamp words a time as every answer does: RFC 3339, UTC, milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// stampOrNull is stamp for a time that may be missing.
func stampOrNull(t *time.Time) *string {
	if t == nil {
		return nil
	}
	text := stamp(*t)
	return &text
}

// orNull gives nil (null) for an empty text.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// convert makes a list of answers, never nil.
func convert[T, A any](items []T, to func(T) A) []A {
	answers := make([]A, 0, len(items))
	for _, item := range items {
		answers = append(answers, to(item))
	}
	return answers
}
