// Command attacker is a dyno that somebody hostile has taken over: it does over HTTP what it is told to. Tests drive it, to see what a
// dyno can reach. It listens on $PORT.
//
//	POST /dial      ["tcp 172.17.0.1:4646", "unix /x.sock"] -> what became of each
//	POST /ask       {"address", "method", "path", "body", "token"} -> {"status", "body", "error"}
//	GET  /read      ?path=                                  -> a file's bytes
//	GET  /environ   -> the environment, as JSON
//	GET  /sockets   -> the paths of all unix sockets in the container, as JSON
//	POST /link      ?path=&to=                              -> puts a link in a file's place
//	POST /rename    ?path=&to=
//	POST /mount     ?path=                                  -> takes a mount away, and lays another over it
//	POST /print     ?mb=                                    -> prints so many MB
//	POST /exit
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const patience = 2 * time.Second

func main() {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(r *http.Request) (any, error){
		"POST /dial": dial, "POST /ask": ask, "GET /read": read, "GET /environ": environ, "GET /sockets": sockets, "POST /link": link,
		"POST /rename": rename, "POST /mount": mount, "POST /print": printed, "POST /exit": exit,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			said, err := handle(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusTeapot) // no router and no proxy answers so
				return
			}
			if text, ok := said.([]byte); ok {
				_, _ = w.Write(text)
				return
			}
			_ = json.NewEncoder(w).Encode(said)
		})
	}
	server := &http.Server{Addr: ":" + cmp.Or(os.Getenv("PORT"), "8080"), Handler: mux, ReadHeaderTimeout: patience}
	fmt.Println(server.ListenAndServe())
}

func dial(r *http.Request) (any, error) {
	var targets []string
	if err := json.NewDecoder(r.Body).Decode(&targets); err != nil {
		return nil, err
	}
	var (
		mu   sync.Mutex
		done sync.WaitGroup
	)
	results := map[string]string{}
	for _, target := range targets {
		done.Go(func() {
			result := dialOne(r.Context(), target)
			mu.Lock()
			defer mu.Unlock()
			results[target] = result
		})
	}
	done.Wait()
	return results, nil
}

func dialOne(ctx context.Context, target string) string {
	network, address, _ := strings.Cut(target, " ")
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, network, address)
	switch {
	case err == nil:
		_ = conn.Close()
		return "open"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer"
	}
	return err.Error()
}

func ask(r *http.Request) (any, error) {
	var q struct{ Address, Method, Path, Body, Token string }
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.Method, "http://"+q.Address+q.Path, strings.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	if q.Token != "" {
		req.Header.Set("X-Nomad-Token", q.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return map[string]any{"status": resp.StatusCode, "body": string(body)}, err
}

func read(r *http.Request) (any, error) { return os.ReadFile(r.FormValue("path")) }

func environ(*http.Request) (any, error) { return os.Environ(), nil }

func sockets(*http.Request) (any, error) {
	found := []string{}
	err := filepath.WalkDir("/", func(path string, _ fs.DirEntry, err error) error {
		switch {
		case path == "/proc" || path == "/sys":
			return filepath.SkipDir
		case err != nil:
			return nil
		}
		// Not the entry's own type: that is of what lies below a mount.
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
			found = append(found, path)
		}
		return nil
	})
	return found, err
}

func link(r *http.Request) (any, error) {
	path := r.FormValue("path")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return "done", os.Symlink(r.FormValue("to"), path)
}

func rename(r *http.Request) (any, error) {
	return "done", os.Rename(r.FormValue("path"), r.FormValue("to"))
}

func mount(r *http.Request) (any, error) {
	path := r.FormValue("path")
	if err := syscall.Unmount(path, 0); err != nil {
		return nil, errors.Join(err, syscall.Mount("none", path, "tmpfs", 0, ""))
	}
	return "done", nil
}

func printed(r *http.Request) (any, error) {
	mb, err := strconv.Atoi(r.FormValue("mb"))
	if err != nil {
		return nil, err
	}
	line := append(bytes.Repeat([]byte("x"), 1023), '\n')
	for range mb << 10 {
		if _, err := os.Stdout.Write(line); err != nil {
			return nil, err
		}
	}
	return "done", nil
}

func exit(*http.Request) (any, error) {
	time.AfterFunc(100*time.Millisecond, func() { os.Exit(1) }) // the answer leaves first
	return "done", nil
}
