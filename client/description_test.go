package client_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dynomad/dynomad/client"
)

// description is what these tests read of the API's description.
type description struct {
	Paths      map[string]map[string]any
	Components struct {
		Schemas map[string]struct{ Properties map[string]any }
	}
}

func readDescription(t *testing.T) description {
	t.Helper()
	text, err := os.ReadFile("../server/openapi/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d description
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// other are the endpoints that no method asks, with the reason.
var other = map[string]string{
	"GET /apps/{app}/dynos/{dyno}/stream":               "the package client/stream is for it",
	"GET /users/~/apps":                                 "GET /apps is the same",
	"GET /apps/{app}/dyno/{dyno}":                       "…/dynos/{dyno} is the same",
	"GET /apps/{app}/addons":                            "there are none",
	"GET /apps/{app}/collaborators":                     "there are none",
	"GET /apps/{app}/pipeline-couplings":                "there are none",
	"POST /apps/{app}/{dyno}/actions/attach":            "…/dynos/{dyno}/actions/attach is the same",
	"POST /apps/{app}/formations/{type}/actions/stop":   "DELETE /apps/{app}/formations/{type} is the same",
	"DELETE /apps/{app}/formations/{type}/actions/stop": "DELETE /apps/{app}/formations/{type} is the same",
	"DELETE /favorites":                                 "DELETE /favorites/{app} is the same",
	"GET /log-sessions/{session}":                       "the URL is for those who have no client",
	"GET /metrics":                                      "for Prometheus",
	"GET /openapi.json":                                 "for generators",
	"GET /docs":                                         "for people",
}

// TestMethods calls every method of the client and checks that every endpoint was asked, or is excused.
func TestMethods(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]bool{}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.Method+" "+r.URL.Path] = true
		mu.Unlock()
		_, _ = w.Write([]byte("null"))
	}))
	defer front.Close()
	c, err := client.New(client.Config{URL: front.URL})
	if err != nil {
		t.Fatal(err)
	}
	methods := reflect.ValueOf(c)
	for i := range methods.NumMethod() {
		call(t, methods.Method(i))
	}
	for path, operations := range readDescription(t).Paths {
		fits := regexp.MustCompile("^" + regexp.MustCompile(`\\\{[^}]+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "key") + "$")
		for method := range operations {
			name := strings.ToUpper(method) + " " + path
			found := false
			for request := range asked {
				verb, asked, _ := strings.Cut(request, " ")
				found = found || strings.EqualFold(verb, method) && fits.MatchString(asked)
			}
			if _, excused := other[name]; found == excused {
				t.Errorf("%s: a method asks it: %t, excused: %t", name, found, excused)
			}
		}
	}
}

// call calls a method with the text "key" for every key.
func call(t *testing.T, method reflect.Value) {
	t.Helper()
	var args []reflect.Value
	for i := range method.Type().NumIn() {
		switch in := method.Type().In(i); in.Kind() {
		case reflect.Interface:
			args = append(args, reflect.ValueOf(t.Context()))
		case reflect.String:
			args = append(args, reflect.ValueOf("key"))
		default:
			args = append(args, reflect.Zero(in))
		}
	}
	results := method.Call(args)
	if open, ok := results[0].Interface().(io.Closer); ok {
		defer open.Close() //nolint:errcheck // only read
	}
	if err, _ := results[len(results)-1].Interface().(error); err != nil {
		t.Error(err)
	}
}

// TestTypes compares the types with the schemas of the API's description.
func TestTypes(t *testing.T) {
	t.Parallel()
	schemas := readDescription(t).Components.Schemas
	for name, value := range map[string]any{
		"App": client.App{}, "Space": client.Space{}, "DynoType": client.DynoType{}, "Dyno": client.Dyno{}, "DynoRelease": client.DynoRelease{},
		"Size": client.Size{}, "DynoSize": client.DynoSize{}, "Pending": client.Pending{}, "Executed": client.Executed{}, "Note": client.Note{},
		"Build": client.Build{}, "SourceBlob": client.SourceBlob{}, "BuildResult": client.BuildResult{}, "Release": client.Release{},
		"Statuses": client.Statuses{}, "Account": client.Account{}, "RateLimits": client.RateLimits{}, "Org": client.Organization{},
		"Audit": client.Audit{}, "Feature": client.Feature{}, "Authorization": client.Authorization{}, "AccessToken": client.AccessToken{},
		"AuthUser": client.TokenUser{}, "Health": client.Health{}, "Named": client.Named{}, "OnlyID": client.OnlyID{}, "User": client.User{}, "LogSession": client.LogSession{},
		"SizeResources": client.SizeResources{}, "SizeRequests": client.SizeRequests{}, "SizeLimits": client.SizeLimits{}, "SizeCost": client.SizeCost{},
		"Slot": client.Slot{}, "Error": nil, "Ready": nil, // read by hand
	} {
		if value != nil {
			sameFields(t, name, reflect.TypeOf(value), schemas[name].Properties)
		}
		delete(schemas, name)
	}
	for name := range schemas {
		if !strings.HasSuffix(name, "Body") {
			t.Errorf("the client has no type for %s", name)
		}
	}
	for name, value := range map[string]any{
		"NewAppBody": client.NewApp{}, "AppChangeBody": client.AppChange{}, "NewSpaceBody": client.NewSpace{}, "TypeBody": client.TypeSpec{},
		"NewBuildBody": client.NewBuild{}, "NewReleaseBody": client.NewRelease{}, "AttachBody": client.Attach{}, "NoteBody": client.NoteChange{},
		"RunBody": client.NewDyno{}, "LogSessionBody": client.LogOptions{},
	} {
		for _, field := range fieldsOf(reflect.TypeOf(value)) {
			if schemas[name].Properties[field] == nil {
				t.Errorf("the API takes no %s in %s", field, name)
			}
		}
	}
}

func sameFields(t *testing.T, name string, typ reflect.Type, properties map[string]any) {
	t.Helper()
	var want []string
	for field := range properties {
		want = append(want, field)
	}
	slices.Sort(want)
	if got := fieldsOf(typ); !slices.Equal(got, want) {
		t.Errorf("%s has the fields\n%q, the API's has\n%q", name, got, want)
	}
}

func fieldsOf(typ reflect.Type) []string {
	var names []string
	for _, field := range reflect.VisibleFields(typ) {
		if tag, _, _ := strings.Cut(field.Tag.Get("json"), ","); tag != "" {
			names = append(names, tag)
		}
	}
	slices.Sort(names)
	return names
}
