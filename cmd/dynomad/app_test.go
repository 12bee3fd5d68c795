package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// lonely starts a daemon whose Nomad and Consul do not answer, and gives its URL, its token and how to end it.
func lonely(t *testing.T, dir string) (url, token string, stop func() error) {
	t.Helper()
	return lonelyWith(t, dir, nil, func(*Config) {})
}

// lonelyWith is lonely with other settings. ca is the authority of the daemon's certificate; nil is without TLS.
func lonelyWith(t *testing.T, dir string, ca *authority, change func(*Config)) (url, token string, stop func() error) {
	t.Helper()
	t.Setenv("NOMAD_ADDR", "http://"+nomadtest.FreeAddr(t))
	t.Setenv("CONSUL_HTTP_ADDR", nomadtest.FreeAddr(t))
	config := defaultConfig()
	config.Listen, config.DataDir = nomadtest.FreeAddr(t), dir
	change(config)
	if err := config.finish(os.Getenv); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var log nomadtest.Output
	go func() { ended <- serve(ctx, config, &log) }()
	stop = func() error { cancel(); return <-ended }
	deadline := time.Now().Add(20 * time.Second)
	for {
		if status, _, _ := askBy(t, ca.client(), http.MethodGet, config.ExternalURL+"/healthz", "", ""); status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the daemon does not serve: %v\n%s", stop(), log.String())
		}
		time.Sleep(10 * time.Millisecond) // between two looks at a condition
	}
	text, err := os.ReadFile(filepath.Join(dir, "root-token"))
	if err != nil {
		t.Fatal(err)
	}
	return config.ExternalURL, strings.TrimSpace(string(text)), stop
}

// ask sends a request and gives the answer's status, 0 if there was none, and body.
func ask(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	status, _, text := askFull(t, method, url, token, body)
	return status, text
}

func askFull(t *testing.T, method, url, token, body string) (int, http.Header, string) {
	t.Helper()
	return askBy(t, http.DefaultClient, method, url, token, body)
}

func askBy(t *testing.T, by *http.Client, method, url, token, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	resp, err := by.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// TestServe_alone runs the daemon with Nomad and Consul away: it serves, accepts writes, says what is missing, and keeps all
// over a restart.
func TestServe_alone(t *testing.T) {
	dir := t.TempDir()
	url, token, stop := lonely(t, dir)
	status, body := ask(t, http.MethodGet, url+"/readyz", "", "")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"nomad"`) || !strings.Contains(body, `"consul"`) || !strings.Contains(body, `"lock":"not held`) {
		t.Errorf("GET /readyz: %d %s; want 503 that names nomad, consul and the lock", status, body)
	}
	for _, request := range [][2]string{
		{"/apps", `{"name":"x"}`},
		{"/apps/x-default/builds", `{"url":"nginx:1.27"}`},
	} {
		if status, body := ask(t, http.MethodPost, url+request[0], token, request[1]); status != http.StatusCreated {
			t.Errorf("POST %s with Nomad away: %d %s", request[0], status, body)
		}
	}
	status, header, body := askFull(t, http.MethodGet, url+"/apps/x-default/dynos", token, "")
	var dynos []struct{ State, Type string }
	if err := json.Unmarshal([]byte(body), &dynos); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusOK || header.Get("Dynomad-Stale") == "" || len(dynos) != 1 || dynos[0].State != "waiting" {
		t.Errorf("GET dynos: %d, stale %q, %s; want one waiting web and how stale that is", status, header.Get("Dynomad-Stale"), body)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}

	url, again, stop := lonely(t, dir)
	if again != token {
		t.Error("a restart made another root token")
	}
	if status, body := ask(t, http.MethodGet, url+"/apps/x-default/formation", token, ""); status != http.StatusOK || !strings.Contains(body, `"web"`) {
		t.Errorf("after a restart: %d %s", status, body)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping again: %v", err)
	}
	for _, name := range []string{"root-token", "secret.key", "dynomad.db"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, mode)
		}
	}
}

// TestServe_tail ends the daemon while somebody reads logs: the reader is not waited for.
func TestServe_tail(t *testing.T) {
	url, token, stop := lonely(t, t.TempDir())
	if status, body := ask(t, http.MethodPost, url+"/apps", token, `{"name":"x"}`); status != http.StatusCreated {
		t.Fatalf("POST /apps: %d %s", status, body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/apps/x-default/logs?tail=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, " dynomad[app]: Created x-default by root@dynomad.local") {
		t.Errorf("got %q, %v", line, err)
	}
	start := time.Now()
	if err := stop(); err != nil || time.Since(start) >= finishTime {
		t.Errorf("stopping took %s: %v", time.Since(start), err)
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("then came %q, %v", rest, err)
	}
}

// TestServe_twice starts a second daemon on the data folder of a running one.
func TestServe_twice(t *testing.T) {
	dir := t.TempDir()
	_, _, stop := lonely(t, dir)
	config := defaultConfig()
	config.Listen, config.DataDir = nomadtest.FreeAddr(t), dir
	if err := config.finish(os.Getenv); err != nil {
		t.Fatal(err)
	}
	err := serve(t.Context(), config, io.Discard)
	for _, want := range []string{"another dynomad", dir, fmt.Sprintf("process %d", os.Getpid())} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a second daemon on the same folder: %v; want %q in it", err, want)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestServe_addressTaken wants an error and everything closed.
func TestServe_addressTaken(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test is over
	config := defaultConfig()
	config.Listen, config.DataDir = l.Addr().String(), t.TempDir()
	if err := config.finish(func(string) string { return "" }); err != nil {
		t.Fatal(err)
	}
	if err := serve(t.Context(), config, io.Discard); err == nil || !strings.Contains(err.Error(), "listening for the api") {
		t.Errorf("got %v", err)
	}
}

// TestServeHTTP_close ends a server while it works on requests: one that can be told to end, and one that is deaf.
func TestServeHTTP_close(t *testing.T) {
	t.Parallel()
	for _, deaf := range []bool{false, true} {
		t.Run(map[bool]string{false: "hears", true: "deaf"}[deaf], func(t *testing.T) {
			t.Parallel()
			a, address := &app{log: hclog.NewNullLogger(), config: &Config{}}, nomadtest.FreeAddr(t)
			begun, release := make(chan struct{}), make(chan struct{})
			defer close(release)
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(begun)
				if deaf {
					<-release
				}
				<-r.Context().Done()
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			if err := a.serveHTTP(t.Context(), "api", address, handler, nil); err != nil {
				t.Fatal(err)
			}
			answered := make(chan int, 1)
			go func() {
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					answered <- 0
					return
				}
				answered <- resp.StatusCode
				_ = resp.Body.Close()
			}()
			<-begun
			start := time.Now()
			err := a.close(t.Context())
			took, status := time.Since(start), <-answered
			if want := map[bool]int{false: 503, true: 0}[deaf]; err != nil || took > stopTime || status != want {
				t.Errorf("closing took %s: %v; the request was answered with %d, want %d", took, err, status, want)
			}
		})
	}
}
