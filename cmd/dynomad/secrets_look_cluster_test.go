//go:build integration

package main

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/nomad/api"
)

// allowance is where a secret stands in the clear, and why. docs/isolation.md tells operators of them.
type allowance struct {
	where   string // pattern of the place
	secrets string // pattern of the secrets' names
	why     string
	guarded bool // seen with ACLs only
}

func allowances() []allowance {
	return []allowance{
		{where: `^the user's .*/credentials\.json$`, secrets: `^root token$`, why: "dynomad login keeps the token there for its user"},
		{where: `^Nomad's client/state\.db$`, secrets: `var`, why: "Nomad's client keeps the environment of what it started, to know it again"},
		{where: `^Nomad's alloc/.*/private/config\.env$`, secrets: `var`, why: "a dyno's environment, in memory, on its node and not in its container"},
		{where: `^Nomad's server/`, secrets: `^NOMAD_TOKEN$`, why: "Nomad's servers keep the tokens that they give", guarded: true},
		{where: `^Consul's `, secrets: `^CONSUL_HTTP_TOKEN$`, why: "Consul's servers keep the tokens that they give", guarded: true},
	}
}

// look reports the secrets that stand in a text, unless they may.
func (s *secretive) look(t *testing.T, where string, text []byte) {
	t.Helper()
next:
	for _, found := range s.find(text) {
		for _, a := range allowances() {
			name, _, _ := strings.Cut(found, " (")
			if regexp.MustCompile(a.where).MatchString(where) && regexp.MustCompile(a.secrets).MatchString(name) {
				s.used[a.where] = true
				continue next
			}
		}
		t.Errorf("%s has the secret: %s", where, found)
	}
}

// lookIn looks into all files below a folder, and gives how many there were. Those of the daemon's must be for their owner only.
func (s *secretive) lookIn(t *testing.T, whose, dir string, ours bool) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // others' files come and go
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return nil //nolint:nilerr // it has just gone
		}
		if ours && path != dir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // it has just gone
		}
		name, _ := strings.CutPrefix(path, dir+"/")
		s.look(t, whose+name, text)
		n++
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// lookAtFiles looks into what the daemon and its commands left on the disk, as a crash leaves it, write-ahead log and all.
func (s *secretive) lookAtFiles(t *testing.T) {
	if n := s.lookIn(t, "the data folder's ", s.dataDir(), true); n < 4 {
		t.Errorf("the data folder has %d files", n)
	}
	if _, err := os.Stat(filepath.Join(s.dataDir(), "root-token")); err == nil {
		t.Error("a root token of the environment was written to a file")
	}
	if n := s.lookIn(t, "the user's ", filepath.Join(s.dir, ".config"), true); n != 1 {
		t.Errorf("the user's folder has %d files", n)
	}
	for _, setting := range s.env {
		if temp, ok := strings.CutPrefix(setting, "TMPDIR="); ok {
			s.lookIn(t, "the temporary ", temp, true)
		}
	}
	for _, name := range []string{"plain.db", "whole.tar"} {
		info, err := os.Stat(filepath.Join(s.dir, name))
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() < 4096 {
			t.Errorf("the backup %s: %v, %v", name, info, err)
		}
		text, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Error(err)
		}
		s.look(t, "the backup "+name, text)
	}
}

// lookAtAnswers looks into what the API tells those who may read all but what is protected, and strangers.
func (s *secretive) lookAtAnswers(t *testing.T) {
	reader, app := s.readToken(), "/apps/"+s.app
	for _, path := range []string{
		"/apps", app, app + "/formation", app + "/releases", app + "/releases/5", app + "/builds", app + "/audits", "/audits", app + "/dynos", app + "/features",
		app + "/config-vars/notes", "/spaces", "/account", "/sizes", "/readyz", "/healthz", "/metrics", "/openapi.json",
	} {
		status, text := get(t, s.url+path, "Authorization", reader)
		if status != http.StatusOK {
			t.Errorf("GET %s: %d", path, status)
		}
		s.look(t, "GET "+path, []byte(text))
	}
	// A token that may not read what is protected is refused; what may reads audits and tokens that have no secrets either.
	for _, path := range []string{app + "/config-vars", app + "/releases/4/config-vars", app + "/logs"} {
		if status, text := get(t, s.url+path, "Authorization", reader); status != http.StatusForbidden {
			t.Errorf("GET %s without the scope for it: %d %s", path, status, text)
		}
	}
	for _, path := range []string{"/audits", "/oauth/authorizations", app + "/logs?lines=1500", app + "/dynos"} {
		status, text := get(t, s.url+path, "Authorization", s.token)
		if status != http.StatusOK {
			t.Errorf("GET %s: %d", path, status)
		}
		s.look(t, "GET "+path+" with all rights", []byte(text))
	}
}

// lookAtCluster looks into what Nomad and Consul show of the app, and into what they keep on the disk.
func (s *secretive) lookAtCluster(t *testing.T) {
	nomad, consul := s.cluster.NomadClient(), s.cluster.ConsulClient()
	jobs, _, err := nomad.Jobs().PrefixList(s.app)
	if err != nil || len(jobs) < 3 {
		t.Fatalf("Nomad has %d jobs of the app: %v", len(jobs), err)
	}
	paths := []string{"/v1/vars?prefix=dynomad/" + s.app, "/v1/services", "/v1/nodes"}
	for _, job := range jobs {
		for _, part := range []string{"", "/versions", "/submission?version=0", "/allocations", "/evaluations", "/deployments", "/summary"} {
			paths = append(paths, "/v1/job/"+job.ID+part)
		}
		allocs, _, err := nomad.Jobs().Allocations(job.ID, true, &api.QueryOptions{})
		if err != nil {
			t.Error(err)
		}
		for _, a := range allocs {
			paths = append(paths, "/v1/allocation/"+a.ID)
		}
	}
	for _, path := range paths {
		s.look(t, "Nomad's "+path, s.nomadAnswer(path))
	}
	services, _, err := consul.Catalog().Service(s.app, "", nil)
	s.look(t, "the service in Consul", []byte(asJSON(t, services)))
	if err != nil || len(services) == 0 {
		t.Errorf("Consul has the services %v, %v", services, err)
	}
	keys, _, err := consul.KV().List("", nil)
	if err != nil || len(keys) == 0 {
		t.Errorf("Consul has the keys %v, %v", keys, err)
	}
	for _, pair := range keys {
		s.look(t, "Consul's key "+pair.Key, pair.Value)
	}
	for _, part := range []string{"nomad", "consul"} {
		whose := map[string]string{"nomad": "Nomad's ", "consul": "Consul's "}[part]
		if n := s.lookIn(t, whose, filepath.Join(s.cluster.Dir(), part), false); n < 3 {
			t.Errorf("%s has %d files", part, n)
		}
	}
	s.inMemory(t)
}

// inMemory checks that what Nomad wrote of a dyno's environment is on no disk.
func (s *secretive) inMemory(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(s.cluster.Dir(), "nomad", "alloc", "*", "*", "private", "config.env"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, file := range files {
		const tmpfs = 0x01021994
		var in syscall.Statfs_t
		if err := syscall.Statfs(file, &in); err == nil && in.Type != tmpfs {
			t.Errorf("%s is in a file system of type %x", file, in.Type)
		}
	}
}

// lookAtLogs looks into what the daemon, Nomad, Consul and the router printed.
func (s *secretive) lookAtLogs(t *testing.T) {
	logs, err := filepath.Glob(filepath.Join(s.cluster.Dir(), "*.log"))
	if err != nil || len(logs) < 3 {
		t.Errorf("the cluster has the logs %v, %v", logs, err)
	}
	for _, path := range append(logs, s.process.LogPath()) {
		text, err := os.ReadFile(path)
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %v", path, err)
		}
		s.look(t, filepath.Base(path), text)
	}
	text, err := os.ReadFile(s.process.LogPath())
	if err != nil || !strings.Contains(string(text), "[DEBUG]") || !strings.Contains(string(text), "status=401") {
		t.Errorf("the daemon's log lacks what it should have at this level: %v", err)
	}
}
