package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

// TestFailures_everyKind reads the kinds out of the source, so that a new one cannot be forgotten.
func TestFailures_everyKind(t *testing.T) {
	t.Parallel()
	kinds := map[dynomad.Kind]bool{}
	for _, path := range []string{"../errors.go", "errors.go"} {
		for _, kind := range kindsIn(t, path) {
			kinds[kind] = true
			if f, ok := failures[kind]; !ok || f.status < 400 || f.id == "" || f.text == "" {
				t.Errorf("kind %q is answered by %+v", kind, f)
			}
		}
	}
	if len(kinds) != len(failures) || len(kinds) < 16 {
		t.Errorf("%d kinds, %d answers", len(kinds), len(failures))
	}
}

// kindsIn finds the constants of type Kind in a file.
func kindsIn(t *testing.T, path string) []dynomad.Kind {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []dynomad.Kind
	add := func(text string) {
		value, err := strconv.Unquote(text)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, dynomad.Kind(value))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, v := range spec.Values {
			if lit, ok := v.(*ast.BasicLit); ok && isKind(spec.Type) {
				add(lit.Value)
			}
			if call, ok := v.(*ast.CallExpr); ok && isKind(call.Fun) {
				add(call.Args[0].(*ast.BasicLit).Value)
			}
		}
		return true
	})
	return kinds
}

func isKind(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "Kind"
	case *ast.SelectorExpr:
		return e.Sel.Name == "Kind"
	}
	return false
}

func TestWriteError(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.0.0.1: secret")
	tests := []struct {
		name   string
		err    error
		status int
		body   errorAnswer
		header [2]string
	}{
		{
			"a text of its own", dynomad.Errorf(dynomad.NotFound, "The app x does not exist."), 404,
			errorAnswer{ID: "not_found", Message: "The app x does not exist."},
			[2]string{},
		},
		{
			"wrapped", fmt.Errorf("read: %w", dynomad.Errorf(dynomad.Conflict, "Taken.")), 409,
			errorAnswer{ID: "conflict", Message: "Taken."},
			[2]string{},
		},
		{
			"a bare kind", dynomad.Forbidden, 403,
			errorAnswer{ID: "forbidden", Message: "This token may not do this."},
			[2]string{},
		},
		{
			"the field", dynomad.Invalidf("port", "No."), 422,
			errorAnswer{ID: "invalid_params", Message: "No.", Field: "port"},
			[2]string{},
		},
		{
			"no token", dynomad.Unauthenticated, 401,
			errorAnswer{ID: "unauthorized", Message: failures[dynomad.Unauthenticated].text},
			[2]string{"WWW-Authenticate", `Bearer realm="dynomad"`},
		},
		{
			"a cause stays inside", dynomad.Wrap(dynomad.Unavailable, secret, "Nomad does not answer."), 503,
			errorAnswer{ID: "unavailable", Message: "Nomad does not answer."},
			[2]string{"Retry-After", "5"},
		},
		{
			"its own time", &dynomad.Error{Kind: dynomad.RateLimited, Message: "Slow.", RetryAfter: 1500 * time.Millisecond}, 429,
			errorAnswer{ID: "rate_limit", Message: "Slow."},
			[2]string{"Retry-After", "2"},
		},
		{"a stranger", secret, 500, errorAnswer{ID: "internal", Message: internalText}, [2]string{}},
		{
			"an internal text", dynomad.Errorf(dynomad.Internal, "row 7 is broken"), 500,
			errorAnswer{ID: "internal", Message: internalText},
			[2]string{},
		},
		{"an unknown kind", dynomad.Kind("surprise"), 500, errorAnswer{ID: "internal", Message: internalText}, [2]string{}},
		{
			"out of time", fmt.Errorf("query: %w", context.DeadlineExceeded), 504,
			errorAnswer{ID: "timeout", Message: failures[dynomad.Timeout].text},
			[2]string{},
		},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		writeError(w, kindOf(t.Context(), tt.err), tt.err)
		var body errorAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		if w.Code != tt.status || body != tt.body {
			t.Errorf("%s: %d %+v, want %d %+v", tt.name, w.Code, body, tt.status, tt.body)
		}
		if h := tt.header; h[0] != "" && w.Header().Get(h[0]) != h[1] {
			t.Errorf("%s: %s is %q", tt.name, h[0], w.Header().Get(h[0]))
		}
	}
}

func TestKindOf_clientGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{context.Canceled, dynomad.Unavailable, errors.New("interrupted")} {
		if got := kindOf(ctx, err); got != dynomad.Canceled {
			t.Errorf("%v is %q", err, got)
		}
	}
	w := httptest.NewRecorder()
	writeError(w, dynomad.Canceled, context.Canceled)
	if w.Body.Len() != 0 || w.Code == http.StatusOK {
		t.Errorf("answered %d %q", w.Code, w.Body)
	}
}
