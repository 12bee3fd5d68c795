package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const graceTime = 10 * time.Second // for requests in flight at SIGTERM

// serve serves until ctx ends, then finishes the requests in flight. It returns the exit code.
func serve(ctx context.Context, handler http.Handler) int {
	address := ":" + cmp.Or(os.Getenv("PORT"), "8080")
	server := &http.Server{Addr: address, Handler: logged(handler), ReadHeaderTimeout: 10 * time.Second}
	finished := make(chan error, 1)
	go func() {
		<-ctx.Done()
		fmt.Println("asked to end")
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
		defer cancel()
		finished <- server.Shutdown(grace)
	}()
	fmt.Printf("listening on %s\n", address)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := <-finished; err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// logged prints a line for each request.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		next.ServeHTTP(w, r)
		fmt.Printf("%s %s %s\n", r.Method, r.URL.RequestURI(), time.Since(start).Round(time.Millisecond))
	})
}

// web is the sample web server.
type web struct{ sick atomic.Bool }

func newWeb() http.Handler {
	w := &web{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.HandleFunc("GET /health", w.health)
	mux.HandleFunc("/health/fail", func(http.ResponseWriter, *http.Request) { w.sick.Store(true) })
	mux.HandleFunc("/health/ok", func(http.ResponseWriter, *http.Request) { w.sick.Store(false) })
	mux.HandleFunc("GET /env", environment)
	mux.HandleFunc("GET /args", func(rw http.ResponseWriter, _ *http.Request) { answer(rw, os.Args) })
	mux.HandleFunc("/exit", exit)
	mux.HandleFunc("GET /slow", slow)
	return mux
}

func (w *web) health(rw http.ResponseWriter, _ *http.Request) {
	if w.sick.Load() {
		http.Error(rw, "told to be sick", http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(rw, "ok") // an error is a client that has gone
}

// environment answers with the environment variables, sorted by name (as encoding/json sorts maps).
func environment(w http.ResponseWriter, _ *http.Request) {
	variables := make(map[string]string)
	for _, line := range os.Environ() {
		name, value, _ := strings.Cut(line, "=")
		variables[name] = value
	}
	answer(w, variables)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// exit ends the process with ?code=N, without an answer.
func exit(_ http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.FormValue("code"))
	if err != nil {
		code = 1
	}
	fmt.Printf("exiting with code %d\n", code)
	os.Exit(code)
}

// slow answers after ?ms=N milliseconds.
func slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.Atoi(r.FormValue("ms"))
	if err != nil {
		http.Error(w, "ms is not a number", http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		_, _ = fmt.Fprintf(w, "after %d ms\n", ms)
	case <-r.Context().Done():
	}
}

func home(w http.ResponseWriter, _ *http.Request) {
	host, err := os.Hostname()
	if err != nil {
		host = err.Error()
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	err = template.Must(template.New("home").Parse(page)).Execute(w, map[string]string{
		"App":     cmp.Or(os.Getenv("DYNOMAD_APP"), "hello"),
		"Dyno":    cmp.Or(os.Getenv("DYNO"), "no dyno"),
		"Release": cmp.Or(os.Getenv("DYNOMAD_RELEASE"), "no release"),
		"Host":    host,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.App}}</title>
<style>
  body { font: 18px/1.5 system-ui, sans-serif; max-width: 34em; margin: 12vh auto; padding: 0 1em; color: #222 }
  h1 { font-weight: 600 }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .3em 1.5em }
  dt { color: #666 }
  dd { margin: 0; font-family: ui-monospace, monospace }
</style>
<h1>Hello from {{.App}}</h1>
<dl>
  <dt>Dyno</dt><dd>{{.Dyno}}</dd>
  <dt>Release</dt><dd>{{.Release}}</dd>
  <dt>Host</dt><dd>{{.Host}}</dd>
</dl>
</html>
`
