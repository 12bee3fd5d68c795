package server

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

func TestDecode_bodies(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000)
	tests := []struct {
		name, body string
		bad        bool
	}{
		{"an object", `{"a":1}`, false},
		{"with blanks around", " \n{\"a\":1}\r\n ", false},
		{"twice the same field", `{"a":1,"a":2}`, false},
		{"a list", `[]`, true},
		{"a text", `"a"`, true},
		{"a number", `1`, true},
		{"true", `true`, true},
		{"null", `null`, true},
		{"half an object", `{"a":`, true},
		{"trailing data", `{"a":1} x`, true},
		{"two objects", `{}{}`, true},
		{"no JSON", `a=1&b=2`, true},
		{"single quotes", `{'a':1}`, true},
		{"trailing comma", `{"a":1,}`, true},
		{"not a number", `{"a":NaN}`, true},
		{"no UTF-8", "{\"a\":\"\xff\"}", true},
		{"a byte order mark", "\xef\xbb\xbf{}", true},
		{"too deep", deep, true},
		{"NUL", "{}\x00", true},
	}
	for _, tt := range tests {
		_, err := decode(httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(tt.body)))
		if got := errors.Is(err, dynomad.Malformed); got != tt.bad || (err != nil) != tt.bad {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, body := range []string{"", " \n"} {
		if _, err := decode(httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body))); !errors.Is(err, dynomad.Malformed) {
			t.Errorf("an empty body is refused where something is required, not %v", err)
		}
		if o, err := decodeOptional(httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body))); err != nil || len(o.fields) != 0 {
			t.Errorf("an empty body is an empty object: %v, %v", o, err)
		}
	}
}

func TestQuantity(t *testing.T) {
	t.Parallel()
	tests := []struct {
		raw  string
		want dynomad.Optional[dynomad.Quantity]
		bad  bool
	}{
		{`3`, dynomad.Some(dynomad.Quantity{N: 3}), false},
		{`0`, dynomad.Some(dynomad.Quantity{}), false},
		{`-1`, dynomad.Some(dynomad.Quantity{N: -1}), false}, // no difference: the rules refuse it
		{`"3"`, dynomad.Some(dynomad.Quantity{N: 3}), false},
		{`"+1"`, dynomad.Some(dynomad.Quantity{N: 1, Relative: true}), false},
		{`"-1"`, dynomad.Some(dynomad.Quantity{N: -1, Relative: true}), false},
		{`null`, dynomad.Null[dynomad.Quantity](), false},
		{`1.5`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`3.0`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`1e0`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`1e400`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`99999999999999999999`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`"abc"`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`""`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`" 3"`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`"3.0"`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`"++1"`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`true`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`[1]`, dynomad.Optional[dynomad.Quantity]{}, true},
		{`{"n":1}`, dynomad.Optional[dynomad.Quantity]{}, true},
	}
	for _, tt := range tests {
		o := &object{fields: map[string]json.RawMessage{"quantity": json.RawMessage(tt.raw)}}
		if got := o.quantity("quantity"); got != tt.want || invalidField(o.err, "quantity") != tt.bad {
			t.Errorf("%s: %+v, %v", tt.raw, got, o.err)
		}
	}
}

func invalidField(err error, name string) bool {
	var e *dynomad.Error
	return errors.As(err, &e) && e.Kind == dynomad.Invalid && e.Field == name
}

func TestObject_fields(t *testing.T) {
	t.Parallel()
	body := `{"text":"a","no text":1,"flag":true,"no flag":"true","port":"9000","n":7,"no port":9000.0,"plus":"+1",
		"key":"v7","number":7,"no key":1.5,"env":{"A":"1","B":2,"C":1e400,"D":true,"E":1.0},"no env":{"A":null},"no env 2":{"A":[]},
		"list":["a","b"],"no list":["a",1],"no list 2":"a","commands":{"web":"x"},"no commands":{"web":1},"null":null,
		"secs":60,"no secs":0,"no secs 2":9999999999999,"no secs 3":"60","twice":1,"twice":"last"}`
	o, err := decodeObject(json.RawMessage(body))
	if err != nil {
		t.Fatal(err)
	}
	good := []struct{ got, want any }{
		{o.text("text"), "a"},
		{o.text("twice"), "last"},
		{o.text("absent"), ""},
		{o.text("null"), ""},
		{o.textOrNil("null"), (*string)(nil)},
		{o.optionalText("null"), dynomad.Null[string]()},
		{o.optionalText("absent"), dynomad.Optional[string]{}},
		{o.flag("flag"), true},
		{o.flag("absent"), false},
		{o.flagOrNil("absent"), (*bool)(nil)},
		{o.integer("port"), dynomad.Some(9000)},
		{o.integer("n"), dynomad.Some(7)},
		{o.key("key"), "v7"},
		{o.key("number"), "7"},
		{o.env("env"), map[string]string{"A": "1", "B": "2", "C": "1e400", "D": "true", "E": "1.0"}},
		{o.texts("list"), []string{"a", "b"}},
		{o.texts("absent"), []string(nil)},
		{o.commands("commands"), map[string]string{"web": "x"}},
		{field(o, "secs", "", asSeconds).Value, time.Minute},
		{o.err, error(nil)},
	}
	for i, tt := range good {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%d: %#v, want %#v", i, tt.got, tt.want)
		}
	}
	bad := map[string]func(name string){
		"no text":     func(n string) { o.text(n) },
		"no flag":     func(n string) { o.flag(n) },
		"no port":     func(n string) { o.integer(n) },
		"plus":        func(n string) { o.integer(n) },
		"no key":      func(n string) { o.key(n) },
		"no env":      func(n string) { o.env(n) },
		"no env 2":    func(n string) { o.env(n) },
		"no list":     func(n string) { o.texts(n) },
		"no list 2":   func(n string) { o.texts(n) },
		"no commands": func(n string) { o.commands(n) },
		"no secs":     func(n string) { field(o, n, "", asSeconds) },
		"no secs 2":   func(n string) { field(o, n, "", asSeconds) },
		"no secs 3":   func(n string) { field(o, n, "", asSeconds) },
		"text":        func(n string) { o.child(n) },
	}
	for name, readField := range bad {
		o.err = nil
		if readField(name); !invalidField(o.err, name) {
			t.Errorf("%s: %v", name, o.err)
		}
	}
}

func TestAsText_surrogates(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		`"\ud83d\ude00"`: true, `"\ufffd"`: true, `"\uFFFD"`: true, "\"\ufffd\"": true, `"\u00e9"`: true, `"\\ud800"`: true,
		`"\ud800"`: false, `"\ude00\ud83d"`: false, `"a\ufffd\ud800"`: false, `7`: false, `null`: false,
	}
	for raw, want := range tests {
		if _, ok := asText(json.RawMessage(raw)); ok != want {
			t.Errorf("%s: %v", raw, ok)
		}
	}
}

func TestCheckMediaType(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"":                                     true,
		"application/json":                     true,
		"application/json; charset=utf-8":      true,
		"application/json; charset=UTF-8":      true,
		`application/json; charset="utf8"`:     true,
		"application/x-www-form-urlencoded":    true,
		"text/plain":                           true,
		"nonsense":                             true,
		"application/json; charset=iso-8859-1": false,
		"text/plain; charset=utf-16":           false,
		"multipart/form-data; boundary=x":      false,
		"Multipart/Mixed":                      false,
		"multipart/form-data; boundary=x; boundary=y; ;;bad": false,
	}
	for contentType, want := range tests {
		if err := checkMediaType(contentType); (err == nil) != want || (err != nil && !errors.Is(err, unsupportedMedia)) {
			t.Errorf("%q: %v", contentType, err)
		}
	}
}
