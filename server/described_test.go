package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/dynomad/dynomad/server"
	"github.com/dynomad/dynomad/server/openapi"
)

// TestDescription_valid checks the description against the rules of OpenAPI, its examples included.
func TestDescription_valid(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
}

// strict gives the description with objects that have no fields but those that it names.
func strict(t *testing.T, change func(schemas map[string]any)) routers.Router {
	t.Helper()
	var plain map[string]any
	if err := json.Unmarshal(openapi.Document(), &plain); err != nil {
		t.Fatal(err)
	}
	schemas := plain["components"].(map[string]any)["schemas"].(map[string]any)
	for _, s := range schemas {
		s.(map[string]any)["additionalProperties"] = false
	}
	if change != nil {
		change(schemas)
	}
	text, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// TestDescription_answers sends the request of every transcript to a server over a listener, and validates requests that succeed and
// all answers against the description. Every route must be among them.
func TestDescription_answers(t *testing.T) {
	t.Parallel()
	router := strict(t, nil)
	paths, err := filepath.Glob("../testdata/api/*.json")
	if err != nil {
		t.Fatal(err)
	}
	covered := map[string]bool{}
	for _, path := range paths {
		route, err := exchange(t, router, path)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		covered[route] = true
	}
	for _, rt := range server.Routes() {
		if name := rt.Method + " " + rt.Path; !covered[name] {
			t.Errorf("nothing was sent to %s", name)
		}
	}
}

// TestDescription_faults spoils the description: an answer with a field that it does not name, or without one, must not pass.
func TestDescription_faults(t *testing.T) {
	t.Parallel()
	fieldless := strict(t, func(schemas map[string]any) {
		delete(schemas["App"].(map[string]any)["properties"].(map[string]any), "nomad_url")
		delete(schemas["NewAppBody"].(map[string]any)["properties"].(map[string]any), "name")
	})
	more := strict(t, func(schemas map[string]any) {
		dyno := schemas["Dyno"].(map[string]any)
		dyno["required"] = append(dyno["required"].([]any), "more")
	})
	for path, router := range map[string]routers.Router{"app-one": fieldless, "apps-create": fieldless, "dynos-list": more, "dynos-one": more} {
		if _, err := exchange(t, router, "../testdata/api/"+path+".json"); err == nil {
			t.Errorf("%s: nobody notices", path)
		}
	}
}

// exchange sends a transcript's request and validates both ways. It gives the route that answered.
func exchange(t *testing.T, router routers.Router, path string) (string, error) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file transcript
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	listener := httptest.NewServer(w.handler)
	defer listener.Close()
	r, err := http.NewRequestWithContext(t.Context(), file.Request.Method, listener.URL+file.Request.Path, bytes.NewReader(file.Request.Body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token := tokenNamed(file.Request.Token); token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range file.Request.Headers {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // the route is known when the request has been dealt with
	return w.route, validate(t, router, r, file.Request.Body, resp, body)
}

// validate holds a request and its answer against the description. What fits no route is not described.
func validate(t *testing.T, router routers.Router, r *http.Request, sent []byte, resp *http.Response, got []byte) error {
	t.Helper()
	route, keys, err := router.FindRoute(r)
	if err != nil {
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed {
			return nil
		}
		return err
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	}
	r.Body = io.NopCloser(bytes.NewReader(sent))
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: keys, Route: route, Options: options}
	if resp.StatusCode < 400 {
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
			return err
		}
	}
	options.ExcludeResponseBody = !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") // the library reads no HTML
	return openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(got)), Options: options,
	})
}
