//go:build integration

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dynomad/dynomad/client/stream"
)

// secretive is a daemon that is told secrets, all of which are looked for in the end.
type secretive struct {
	tooled
	plants
	app  string
	used map[string]bool // allowances
}

// TestCluster_secrets tells the daemon secrets in every way there is, right and wrong, has it crash, and looks for them in all that it,
// its commands and the cluster wrote or show.
func TestCluster_secrets(t *testing.T) {
	t.Parallel()
	s := &secretive{app: "secrets-default", used: map[string]bool{}}
	s.begin(t)
	s.deploys(t)
	s.runsOnce(t)
	s.opens(t)
	s.do(http.MethodPost, "/apps/"+s.app+"/builds", `{"url":"127.0.0.1:1/nothere:1"}`, http.StatusCreated, nil) // fails while the rest goes on
	s.issues(t)
	s.mistakes(t)
	s.commands(t)
	s.waitRelease(s.app, 5, "failed")
	s.backs(t)
	s.crash(t)
	s.lookAtFiles(t)
	s.start()
	s.lookAtAnswers(t)
	s.lookAtCluster(t)
	s.lookAtLogs(t)
	for _, a := range allowances() {
		if !s.used[a.where] && (guarded() || !a.guarded) {
			t.Errorf("no secret was found in %s, so nobody needs to be warned of it: %s", a.where, a.why)
		}
	}
}

// begin starts the daemon.
func (s *secretive) begin(t *testing.T) {
	cluster := shared.Cluster(t)
	env := append(quick(), "DYNOMAD_LOG_LEVEL=trace", "TMPDIR="+t.TempDir(), "DYNOMAD_ROOT_TOKEN="+s.word("root token"))
	if guarded() {
		for _, setting := range grant(t, cluster) {
			name, token, _ := strings.Cut(setting, "=")
			s.add(name, token)
			env = append(env, setting)
		}
	}
	s.tooled = tooled{startDaemonOn(t, cluster, env...), env}
}

// sets sets config vars; what is nil is removed.
func (s *secretive) sets(vars map[string]any) {
	s.tb.Helper()
	s.do(http.MethodPatch, "/apps/"+s.app+"/config-vars", asJSON(s.tb, vars), http.StatusOK, nil)
}

// deploys sets, changes and removes config vars, deploys what works and what does not.
func (s *secretive) deploys(t *testing.T) {
	apps := "/apps/" + s.app
	s.do(http.MethodPost, "/apps", `{"name":"secrets"}`, http.StatusCreated, nil)
	changed, kept := s.secret("config var, changed"), s.secret("config var, kept")
	s.sets(map[string]any{"FIRST": s.secret("config var, first"), "KEPT": kept, "GONE": s.secret("config var, removed")})
	s.sets(map[string]any{"FIRST": changed})
	s.sets(map[string]any{"GONE": nil})
	for _, dynoType := range []map[string]any{
		{"type": "web", "command": `sh -c 'exec httpd -f -p "$PORT"'`},
		{"type": "once", "oneoff": true, "command": "sleep 1000", "options": map[string]any{"env": map[string]any{"OPTION": s.secret("config var of a type")}}},
		{"type": "each", "schedule": "* * * * *", "command": "true", "options": map[string]any{"env": map[string]any{"OPTION": s.secret("config var of a schedule")}}},
	} {
		s.do(http.MethodPost, apps+"/formation", asJSON(t, dynoType), http.StatusOK, nil)
	}
	s.do(http.MethodPost, apps+"/builds", `{"url":"`+s.cluster.Image(t, "busybox")+`"}`, http.StatusCreated, nil)
	s.waitRelease(s.app, 4, "succeeded")
	got := s.environment(s.waitDynos(s.app, "web", time.Minute, allReady(1))[0])
	if got["FIRST"] != changed || got["KEPT"] != kept || got["GONE"] != "" {
		t.Fatalf("the dyno does not have the secrets, so the search would prove nothing: %q", got)
	}
}

// runsOnce runs dynos with an environment of their own, one to its end.
func (s *secretive) runsOnce(t *testing.T) {
	stays := s.run(s.app, map[string]any{"type": "once", "env": map[string]any{"RUN": s.secret("run's var")}})
	ends := s.run(s.app, map[string]any{"command": "false", "env": map[string]any{"RUN": s.secret("ended run's var")}})
	s.waitRun(s.app, stays, time.Minute, "running")
	if y := s.waitRun(s.app, ends, time.Minute, "stopped"); y.exit() != 1 {
		t.Errorf("the run ended with %d", y.exit())
	}
}

// inURL is the secret of a URL that needs no token.
var inURL = regexp.MustCompile(`[0-9a-f]{64}`)

// opens uses URLs that have a secret of their own: once, again, and never.
func (s *secretive) opens(t *testing.T) {
	talked := s.runAttached(s.app, "cat", 60)
	s.add("attach_url, used", inURL.FindString(talked.AttachURL))
	s.add("attach_url, never used", inURL.FindString(s.runAttached(s.app, "cat", 60).AttachURL))
	terminal := s.open(talked, false)
	terminal.say("hello\n")
	terminal.hear("hello")
	if err := terminal.stdin.Close(); err != nil {
		t.Error(err)
	}
	terminal.ends(0, "")
	wrong := inURL.ReplaceAllString(talked.AttachURL, s.word("wrong secret of an attach_url"))
	for _, address := range []string{talked.AttachURL, wrong} {
		_, err := stream.Talk(t.Context(), address, stream.Terminal{})
		if err == nil {
			t.Fatalf("%s was good twice, or at all", address)
		}
		s.look(t, "the error of an attach_url", []byte(err.Error()))
	}
	var session struct {
		URL string `json:"logplex_url"`
	}
	s.do(http.MethodPost, "/apps/"+s.app+"/log-sessions", `{"lines":100}`, http.StatusCreated, &session)
	s.add("logplex_url", inURL.FindString(session.URL))
	if status, lines := get(t, session.URL); status != http.StatusOK || !strings.Contains(lines, "dynomad[release]") {
		t.Errorf("the log session is %d %s", status, lines)
	}
	// Commands that are run in dynos have nothing secret; that they run is seen.
	s.attach("/apps/"+s.app+"/dynos/web.1/actions/attach", `{"command":["sh","-c","kill -0 -1"]}`)
}

// issues makes tokens, and removes one that somebody goes on to use.
func (s *secretive) issues(t *testing.T) {
	var made struct {
		ID          string
		AccessToken struct{ Token string } `json:"access_token"`
	}
	for _, name := range []string{"token, revoked", "token"} {
		s.do(http.MethodPost, "/oauth/authorizations", asJSON(t, map[string]any{"description": name, "scope": []string{"write"}}), http.StatusCreated, &made)
		s.add(name, made.AccessToken.Token)
		if status, _ := get(t, s.url+"/apps", "Authorization", "Bearer "+made.AccessToken.Token); status != http.StatusOK {
			t.Errorf("%s: %d", name, status)
		}
		if name == "token" {
			return
		}
		s.do(http.MethodDelete, "/oauth/authorizations/"+made.ID, "", http.StatusOK, nil)
		if status, _ := get(t, s.url+"/apps", "Authorization", "Bearer "+made.AccessToken.Token); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
	}
}

// backs makes backups, with the key and without.
func (s *secretive) backs(t *testing.T) {
	for file, flag := range map[string]string{"plain.db": "--force", "whole.tar": "--with-key"} {
		said := s.mustTool("backup", flag, filepath.Join(s.dir, file))
		s.look(t, "dynomad backup", []byte(said))
	}
}

// crash has Go's runtime end the daemon and print all its goroutines, as it does when something goes badly wrong.
func (s *secretive) crash(t *testing.T) {
	if err := syscall.Kill(s.process.PID(), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.process.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the daemon did not end at SIGQUIT")
	}
	log, err := os.ReadFile(s.process.LogPath())
	if err != nil || !strings.Contains(string(log), "SIGQUIT: quit") || !strings.Contains(string(log), "\ngoroutine ") {
		t.Errorf("the daemon did not print its goroutines: %v", err)
	}
}
