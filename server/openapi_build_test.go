package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func operationOf(rt route) operation {
	for _, s := range sections() {
		if op, ok := s.operations[rt.method+" "+rt.path]; ok {
			return op
		}
	}
	return operation{}
}

// described makes the description.
func described(tb testing.TB) []byte {
	tb.Helper()
	s := newSchemas(tb)
	examples := recorded(tb)
	tags, paths := []schema{}, schema{}
	for _, sec := range sections() {
		tag := schema{"name": sec.tag}
		if sec.about != "" {
			tag["description"] = sec.about
		}
		tags = append(tags, tag)
		for name, op := range sec.operations {
			i := slices.IndexFunc(routes, func(rt route) bool { return rt.method+" "+rt.path == name })
			if i < 0 {
				continue // TestOpenAPI_routes complains
			}
			rt := routes[i]
			if paths[rt.path] == nil {
				paths[rt.path] = schema{}
			}
			paths[rt.path].(schema)[strings.ToLower(rt.method)] = describeRoute(s, sec.tag, i, op, examples[name])
		}
	}
	s.of(reflect.TypeFor[errorAnswer]())
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(schema{
		"openapi": "3.1.0",
		"info":    schema{"title": "Dynomad", "version": "1", "description": docAbout, "license": schema{"name": "Apache 2.0", "identifier": "Apache-2.0"}},
		"servers": []schema{{"url": "/"}},
		"tags":    tags,
		"paths":   paths,
		"components": schema{"schemas": s.components, "securitySchemes": schema{
			"bearer": schema{"type": "http", "scheme": "bearer", "description": "The token, after `Bearer`, or alone."},
			"basic":  schema{"type": "http", "scheme": "basic", "description": "The token as the password; the user does not matter."},
		}},
	}); err != nil {
		tb.Fatal(err)
	}
	return text.Bytes()
}

const docAbout = "The platform API of Heroku and Akkeris on a Nomad and Consul cluster. A write records what is wanted and answers at " +
	"once; the cluster is then made to match, which releases and dynos tell of.\n\n" +
	"Every answer has a `Request-Id`. Bodies are read as JSON whatever their Content-Type; unknown fields are ignored, and a null is an " +
	"absent field unless it is said to remove something. Ids are UUIDs, times RFC 3339 in UTC.\n\n" +
	"Lists are whole without a `Range` header; with one (`name ..; max=10, order=desc`) they are cut into pages as Heroku's are: 206 with " +
	"`Next-Range` says that there is more.\n\n" +
	"`Accept: application/vnd.heroku+json; version=3` gives Heroku's dyno names (`web.1`) and states (`up`, `starting`, `crashed`, `down`)."

// describeRoute makes the description of one route.
func describeRoute(s *schemas, tag string, order int, op operation, examples []recording) schema {
	rt := routes[order]
	made := schema{
		"operationId": operationID(rt), "summary": op.summary, "tags": []string{tag},
		"responses": responses(s, rt, op, examples),
	}
	about := op.about
	if rt.open {
		made["security"] = []schema{}
	} else {
		made["security"] = []schema{{"bearer": []string{}}, {"basic": []string{}}}
		made["x-scope"] = rt.scope
		about = strings.TrimSpace(about + "\n\nNeeds the scope `" + string(rt.scope) + "`.")
	}
	if about != "" {
		made["description"] = about
	}
	if params := parameters(rt, op); len(params) > 0 {
		made["parameters"] = params
	}
	if op.body != nil {
		content := schema{"schema": s.of(reflect.TypeOf(op.body))}
		if shown := requestExamples(examples); len(shown) > 0 {
			content["examples"] = shown
		}
		made["requestBody"] = schema{"required": !op.optional, "content": schema{"application/json": content}}
	}
	return made
}

// operationID names an operation: "getAppsAppDynos".
func operationID(rt route) string {
	id := strings.ToLower(rt.method)
	for _, word := range regexp.MustCompile(`[A-Za-z]+|~`).FindAllString(rt.path, -1) {
		if word == "~" {
			word = "me"
		}
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

// keys says what path keys are.
func keys() map[string]string {
	return map[string]string{
		"app": "full name (`api-default`) or id of an app", "space": "name or id of a space", "size": "name or id of a size",
		"type":  "name or id of a dyno type",
		"dyno":  "id or name of a dyno, `type.name` or `type.N` (`web.1`); where the summary says so also a dyno type",
		"build": "id of a build", "slug": "id of a slug, which is its build's", "release": "id or version (`7`, `v7`) of a release",
		"feature": "name or id of a feature", "session": "the secret of a log session", "authorization": "id of a token's record",
	}
}

func parameters(rt route, op operation) []schema {
	var params []schema
	for _, m := range regexp.MustCompile(`{([^}]+)}`).FindAllStringSubmatch(rt.path, -1) {
		params = append(params, schema{
			"name": m[1], "in": "path", "required": true, "description": keys()[m[1]], "schema": schema{"type": "string"},
		})
	}
	for _, name := range slices.Sorted(maps.Keys(op.query)) {
		params = append(params, schema{"name": name, "in": "query", "description": op.query[name], "schema": schema{"type": "string"}})
	}
	if isList(rt, op) {
		params = append(params, schema{
			"name": "Range", "in": "header", "description": "the page of the list that is wanted", "schema": schema{"type": "string"},
		})
	}
	return params
}

func isList(rt route, op operation) bool {
	return rt.method == http.MethodGet && op.answer != nil && reflect.TypeOf(op.answer).Kind() == reflect.Slice
}

// responses describes every answer of a route.
func responses(s *schemas, rt route, op operation, examples []recording) schema {
	all := schema{}
	add := func(status int, description string, content schema) {
		answer := schema{"description": description}
		if content != nil {
			if shown := answerExamples(examples, status); len(shown) > 0 {
				for _, media := range content {
					media.(schema)["examples"] = shown
				}
			}
			answer["content"] = content
		}
		all[strconv.Itoa(status)] = answer
	}
	if !op.never {
		add(max(op.status, http.StatusOK), "Success", successContent(s, op))
	}
	if isList(rt, op) {
		add(http.StatusPartialContent, "A page; there is more", successContent(s, op))
		all["206"].(schema)["headers"] = schema{"Next-Range": schema{
			"description": "the Range of the next page", "schema": schema{"type": "string"},
		}}
	}
	if op.noNews {
		add(http.StatusNoContent, "Nothing came after Last-Event-ID", nil)
	}
	if rt.path == "/readyz" {
		add(http.StatusServiceUnavailable, "Something does not answer", successContent(s, op))
	}
	for status, text := range errorsOf(rt, op) {
		add(status, text, schema{"application/json": schema{"schema": s.of(reflect.TypeFor[errorAnswer]())}})
	}
	all["default"] = schema{
		"description": "Any other error", "content": schema{"application/json": schema{"schema": s.of(reflect.TypeFor[errorAnswer]())}},
	}
	return all
}

func successContent(s *schemas, op operation) schema {
	switch {
	case op.media != "":
		content := schema{}
		for _, media := range strings.Split(op.media, ", ") {
			content[media] = schema{"schema": schema{"type": "string"}}
		}
		return content
	case op.answer == nil:
		return nil
	}
	return schema{"application/json": schema{"schema": s.of(reflect.TypeOf(op.answer))}}
}

// errorsOf are the errors that a route can be answered with, beside those that every one can.
func errorsOf(rt route, op operation) map[int]string {
	all := map[int]string{}
	if !rt.open {
		all[401] = "No valid token"
		all[403] = "The token lacks the scope, or its ties do not allow it"
	}
	if strings.Contains(rt.path, "{") {
		all[404] = "There is no such thing, or the token's ties hide it"
	}
	if op.missing != "" {
		all[404] = "Not found: " + op.missing
	}
	if op.conflict != "" {
		all[409] = "Conflict: " + op.conflict
	}
	if isList(rt, op) {
		all[416] = "The Range header is not valid"
	}
	if op.body != nil {
		all[400], all[422] = "The body is not JSON of the right type", "A field breaks a rule; `field` names it"
		all[413], all[415] = "The body is longer than 1 MiB", "The body is multipart or not in UTF-8"
	}
	return all
}

// recording is a transcript of testdata/api, as far as the description shows it.
type recording struct {
	name    string
	Request struct {
		Method, Path string
		Body         json.RawMessage
		Headers      map[string]string
	}
	Status   int
	Response json.RawMessage
}

// recorded gives the transcripts by the route that answers them.
func recorded(tb testing.TB) map[string][]recording {
	tb.Helper()
	paths, err := filepath.Glob("../testdata/api/*.json")
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string][]recording{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		r := recording{name: strings.TrimSuffix(filepath.Base(path), ".json")}
		text = bytes.ReplaceAll(text, []byte("<id of the default space>"), []byte("2c6f6b5e-7a39-4c2e-9a43-0d3f7c1b8e55"))
		if err := json.Unmarshal(text, &r); err != nil {
			tb.Fatal(err)
		}
		plain, _, _ := strings.Cut(r.Request.Path, "?")
		for _, rt := range routes {
			if rt.method == r.Request.Method && docsFits(rt.path, plain) {
				name := rt.method + " " + rt.path
				all[name] = append(all[name], r)
				break
			}
		}
	}
	return all
}

func requestExamples(examples []recording) schema {
	shown := schema{}
	for _, r := range examples {
		if r.Request.Body != nil && r.Status < 400 {
			shown[r.name] = schema{"summary": fmt.Sprintf("%s %s", r.Request.Method, r.Request.Path), "value": r.Request.Body}
		}
	}
	return shown
}

func answerExamples(examples []recording, status int) schema {
	shown := schema{}
	for _, r := range examples {
		if r.Status == status && r.Response != nil {
			shown[r.name] = schema{"summary": fmt.Sprintf("%s %s", r.Request.Method, r.Request.Path), "value": r.Response}
		}
	}
	return shown
}
