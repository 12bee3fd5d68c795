package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dynomad/dynomad"
)

// bodyOf gives a request's body, which the adapter has read. An empty one is nil.
func bodyOf(r *http.Request) (json.RawMessage, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, dynomad.Wrap(dynomad.Malformed, err, "The body cannot be read.")
	}
	body = bytes.TrimSpace(body)
	if !utf8.Valid(body) {
		return nil, dynomad.Errorf(dynomad.Malformed, "The body is not UTF-8.")
	}
	if len(body) > 0 && !json.Valid(body) {
		return nil, dynomad.Errorf(dynomad.Malformed, "The body is not JSON.")
	}
	return body, nil
}

// decode reads a body that must be an object and must be there: something in it is required.
func decode(r *http.Request) (*object, error) {
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return nil, dynomad.Errorf(dynomad.Malformed, "The body is empty; it must be a JSON object.")
	}
	return decodeObject(body)
}

// decodeOptional is decode where nothing is required: an empty body is an empty object.
func decodeOptional(r *http.Request) (*object, error) {
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return &object{}, nil
	}
	return decodeObject(body)
}

func decodeObject(body json.RawMessage) (*object, error) {
	o, ok := asObject(body)
	if !ok {
		return nil, dynomad.Errorf(dynomad.Malformed, "The body must be a JSON object.")
	}
	return o, nil
}

// object is a JSON object of a request. Its methods read fields by name: one that is absent or null reads as the zero value.
// The first field of a wrong type is kept in err. Of a field sent twice the last counts; fields nobody reads are ignored.
type object struct {
	fields map[string]json.RawMessage
	err    error
}

func asObject(raw json.RawMessage) (*object, bool) {
	o := &object{}
	if err := json.Unmarshal(raw, &o.fields); err != nil || o.fields == nil {
		return nil, false
	}
	return o, true
}

// names lists the fields that were sent, in order.
func (o *object) names() []string { return slices.Sorted(maps.Keys(o.fields)) }

// fail records that a field is not what it must be ("text", "true or false").
func (o *object) fail(name, must string) {
	if o.err == nil {
		e := dynomad.Invalidf(clip(name), "")
		e.Message = fmt.Sprintf("The field %s must be %s.", e.Field, must)
		o.err = e
	}
}

// field reads one field by a parser, which says whether the field has the right type.
func field[T any](o *object, name, must string, parse func(json.RawMessage) (T, bool)) dynomad.Optional[T] {
	raw, ok := o.fields[name]
	switch {
	case !ok:
		return dynomad.Optional[T]{}
	case string(raw) == "null":
		return dynomad.Null[T]()
	}
	value, ok := parse(raw)
	if !ok {
		o.fail(name, must)
		return dynomad.Optional[T]{}
	}
	return dynomad.Some(value)
}

func (o *object) optionalText(name string) dynomad.Optional[string] {
	return field(o, name, "text", asText)
}

func (o *object) text(name string) string { return o.optionalText(name).Value }

// textOrNil gives nil for a text that was not sent, or null.
func (o *object) textOrNil(name string) *string { return pointer(o.optionalText(name)) }

func (o *object) optionalFlag(name string) dynomad.Optional[bool] {
	return field(o, name, "true or false", asType[bool])
}

func (o *object) flag(name string) bool { return o.optionalFlag(name).Value }

// flagOrNil gives nil for a flag that was not sent, or null.
func (o *object) flagOrNil(name string) *bool { return pointer(o.optionalFlag(name)) }

func (o *object) quantity(name string) dynomad.Optional[dynomad.Quantity] {
	return field(o, name, "a whole number", asQuantity)
}

func (o *object) integer(name string) dynomad.Optional[int] {
	return field(o, name, "a whole number", asInteger)
}

// key reads the name, id or number of something.
func (o *object) key(name string) string {
	return field(o, name, "a name, id or number", func(raw json.RawMessage) (string, bool) {
		if n, ok := asInteger(raw); ok && raw[0] != '"' {
			return strconv.Itoa(n), true
		}
		return asText(raw)
	}).Value
}

// child reads a field that is an object itself; nil if it was not sent.
func (o *object) child(name string) *object { return field(o, name, "an object", asObject).Value }

// texts reads a list of texts.
func (o *object) texts(name string) []string {
	return field(o, name, "a list of texts", func(raw json.RawMessage) ([]string, bool) {
		elements, ok := asType[[]json.RawMessage](raw)
		texts := make([]string, 0, len(elements))
		for _, element := range elements {
			text, fine := asText(element)
			texts, ok = append(texts, text), ok && fine
		}
		return texts, ok
	}).Value
}

// env reads an object of names and values, where numbers and booleans are taken as their text.
func (o *object) env(name string) map[string]string {
	return field(o, name, "an object of texts", func(raw json.RawMessage) (map[string]string, bool) {
		return asMap(raw, asValue)
	}).Value
}

// commands reads an object of dyno types and commands.
func (o *object) commands(name string) map[string]string {
	return field(o, name, "an object of texts", func(raw json.RawMessage) (map[string]string, bool) {
		return asMap(raw, asText)
	}).Value
}

// asMap reads an object whose values have one type.
func asMap(raw json.RawMessage, asElement func(json.RawMessage) (string, bool)) (map[string]string, bool) {
	inner, ok := asObject(raw)
	if !ok {
		return nil, false
	}
	values := make(map[string]string, len(inner.fields))
	for key, raw := range inner.fields {
		value, fine := asElement(raw)
		values[key], ok = value, ok && fine
	}
	return values, ok
}

func pointer[T any](v dynomad.Optional[T]) *T {
	if !v.HasValue() {
		return nil
	}
	return &v.Value
}

// asType reads a value of a Go type. A null is none.
func asType[T any](raw json.RawMessage) (T, bool) {
	var value T
	err := json.Unmarshal(raw, &value)
	return value, err == nil && string(raw) != "null"
}

// asText reads a text. One with half a surrogate pair (\ud800) is none: the decoder would put U+FFFD in its place.
func asText(raw json.RawMessage) (string, bool) {
	text, ok := asType[string](raw)
	sent := strings.Count(string(raw), "\ufffd") + strings.Count(strings.ToLower(string(raw)), `\ufffd`)
	return text, ok && strings.Count(text, "\ufffd") <= sent
}

// asValue reads the value of a config var: a text as it is, a number or boolean as it was written.
func asValue(raw json.RawMessage) (string, bool) {
	switch raw[0] {
	case '"':
		return asText(raw)
	case '{', '[', 'n':
		return "", false
	}
	return string(raw), true
}

// integerPattern is a whole number as it is written: 1.0 and 1e3 are none.
var integerPattern = regexp.MustCompile(`^-?[0-9]{1,9}$`)

// asInteger reads a whole number, or a text that is one.
func asInteger(raw json.RawMessage) (int, bool) {
	text := string(raw)
	if raw[0] == '"' {
		text, _ = asText(raw)
	}
	if !integerPattern.MatchString(text) {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// asQuantity reads a whole number, or a text: "3", or "+1" and "-1" for a difference.
func asQuantity(raw json.RawMessage) (dynomad.Quantity, bool) {
	if raw[0] == '"' {
		text, _ := asText(raw)
		q, err := dynomad.ParseQuantity(text)
		return q, err == nil
	}
	n, ok := asInteger(raw)
	return dynomad.Quantity{N: n}, ok
}

// clip keeps what a client sent short enough for an answer.
func clip(text string) string {
	const most = 80
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
