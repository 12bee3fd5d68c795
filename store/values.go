package store

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dynomad/dynomad"
)

// The types here are how values stand in columns. They convert to and from the domain's own, in arguments and in scans.

// timeLayout always has nine digits of a second, so that the order of texts is the order of times.
const timeLayout = "2006-01-02T15:04:05.000000000Z07:00"

var errColumn = errors.New("a column has an unknown form")

// instant is a time as UTC RFC 3339 text.
type instant time.Time

func (i instant) Value() (driver.Value, error) { return time.Time(i).UTC().Format(timeLayout), nil }

func (i *instant) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return errColumn
	}
	t, err := time.Parse(timeLayout, s)
	if err != nil {
		return fmt.Errorf("a column has no time: %w", err)
	}
	*i = instant(t.UTC())
	return nil
}

// maybeInstant is a time that may be missing.
type maybeInstant struct{ at **time.Time }

func (m maybeInstant) Value() (driver.Value, error) {
	if *m.at == nil {
		return nil, nil //nolint:nilnil // NULL
	}
	return instant(**m.at).Value()
}

func (m maybeInstant) Scan(src any) error {
	if src == nil {
		*m.at = nil
		return nil
	}
	var i instant
	if err := i.Scan(src); err != nil {
		return err
	}
	t := time.Time(i)
	*m.at = &t
	return nil
}

// text is a string whose empty value is NULL.
type text string

func (t text) Value() (driver.Value, error) {
	if t == "" {
		return nil, nil //nolint:nilnil // NULL
	}
	return string(t), nil
}

func (t *text) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*t = ""
	case string:
		*t = text(src)
	default:
		return errColumn
	}
	return nil
}

// number is an int whose zero is NULL.
type number int

func (n number) Value() (driver.Value, error) {
	if n == 0 {
		return nil, nil //nolint:nilnil // NULL
	}
	return int64(n), nil
}

func (n *number) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*n = 0
	case int64:
		*n = number(src)
	default:
		return errColumn
	}
	return nil
}

// scopes are a token's, separated by spaces.
type scopes []dynomad.Scope

func (s scopes) Value() (driver.Value, error) {
	names := make([]string, len(s))
	for i, scope := range s {
		names[i] = string(scope)
	}
	return strings.Join(names, " "), nil
}

func (s *scopes) Scan(src any) error {
	names, ok := src.(string)
	if !ok {
		return errColumn
	}
	*s = nil
	for _, name := range strings.Fields(names) {
		*s = append(*s, dynomad.Scope(name))
	}
	return nil
}

// processTypes are a build's, as a JSON object; none are NULL.
type processTypes map[string]string

func (p processTypes) Value() (driver.Value, error) {
	if len(p) == 0 {
		return nil, nil //nolint:nilnil // NULL
	}
	b, err := json.Marshal(map[string]string(p))
	return string(b), err
}

func (p *processTypes) Scan(src any) error {
	*p = nil
	if src == nil {
		return nil
	}
	s, ok := src.(string)
	if !ok {
		return errColumn
	}
	return json.Unmarshal([]byte(s), (*map[string]string)(p))
}

// jsonColumn is a value as JSON text; NULL and a nil pointer are the same.
type jsonColumn struct{ value any } // a pointer

func (j jsonColumn) Value() (driver.Value, error) {
	text, err := json.Marshal(j.value)
	if err != nil {
		return nil, fmt.Errorf("a value has no form as JSON: %w", err)
	}
	if s := string(text); s != "null" {
		return s, nil
	}
	return nil, nil //nolint:nilnil // NULL
}

func (j jsonColumn) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		return nil
	case string:
		if err := json.Unmarshal([]byte(src), j.value); err != nil {
			return fmt.Errorf("a column has no JSON: %w", err)
		}
		return nil
	}
	return errColumn
}
