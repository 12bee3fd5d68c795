package server

import (
	"flag"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad/server/openapi"
)

// describedFile is the description that the daemon serves.
const describedFile = "openapi/openapi.json"

// TestOpenAPI_golden makes the description anew, of the table of routes, the types of answers and bodies, and the transcripts.
func TestOpenAPI_golden(t *testing.T) {
	t.Parallel()
	got := described(t)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(describedFile, got, 0o644); err != nil { //nolint:gosec // everybody may read it
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(openapi.Document()), string(got)); diff != "" {
		t.Errorf("%s is not what the routes and types say (make golden rewrites it):\n%s", describedFile, diff)
	}
}

// TestOpenAPI_routes fails on a route that nobody described, and on a description of no route.
func TestOpenAPI_routes(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, s := range sections() {
		for name, op := range s.operations {
			if have[name] {
				t.Errorf("%s is described twice", name)
			}
			if have[name] = true; op.summary == "" {
				t.Errorf("%s has no summary", name)
			}
		}
	}
	for _, rt := range routes {
		name := rt.method + " " + rt.path
		if !have[name] {
			t.Errorf("%s is not described in describe_test.go", name)
		}
		for _, p := range parameters(rt, operationOf(rt)) {
			if p["description"] == "" {
				t.Errorf("%s: nobody says what %s is", name, p["name"])
			}
		}
		delete(have, name)
	}
	for name := range have {
		t.Errorf("%s is described and no route", name)
	}
}

// TestOpenAPI_bodies compares the fields that a route's handler reads, by its source, with those of the body that is described.
func TestOpenAPI_bodies(t *testing.T) {
	t.Parallel()
	source := functions(parsed(t))
	for _, rt := range routes {
		op := operationOf(rt)
		fields, query := source.reads(handlerName(rt))
		if want := slices.Sorted(maps.Keys(op.query)); !slices.Equal(query, want) {
			t.Errorf("%s %s reads the parameters %q, and %q are described", rt.method, rt.path, query, want)
		}
		want := bodyFields(reflect.TypeOf(op.body))
		if slices.Sort(want); !slices.Equal(fields, slices.Compact(want)) {
			t.Errorf("%s %s reads the fields\n%q, and described are\n%q", rt.method, rt.path, fields, slices.Compact(want))
		}
	}
}

// bodyFields are the names of all fields in a body, those of objects inside of it too.
func bodyFields(t reflect.Type) []string {
	if t == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Map, reflect.Slice:
		return bodyFields(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	if t == reflect.TypeFor[batchBody]() {
		return append(bodyFields(reflect.TypeFor[elementBody]()), "updates")
	}
	var names []string
	for _, field := range reflect.VisibleFields(t) {
		if tag := field.Tag.Get("json"); tag != "" {
			names = append(append(names, tag), bodyFields(field.Type)...)
		}
	}
	return names
}
