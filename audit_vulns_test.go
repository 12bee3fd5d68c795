//go:build audit

package dynomad_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// vulnerability is one that there is not, in a function that the server calls. The form is that of https://go.dev/security/vuln/database.
const vulnerability = `{"schema_version":"1.3.1","id":"GO-0000-0001","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z",
"details":"Made up by a test.","affected":[{"package":{"name":"github.com/gorilla/mux","ecosystem":"Go"},
"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
"ecosystem_specific":{"imports":[{"path":"github.com/gorilla/mux","symbols":["NewRouter"]}]}}],
"database_specific":{"url":"https://pkg.go.dev/vuln/GO-0000-0001","review_status":"REVIEWED"}}`

// database makes a folder as vuln.go.dev is, with the vulnerability or with none.
func database(t *testing.T, with bool) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"index/db.json": `{"modified":"2026-01-01T00:00:00Z"}`, "index/modules.json": `[]`, "index/vulns.json": `[]`}
	if with {
		files["index/modules.json"] = `[{"path":"github.com/gorilla/mux","vulns":[{"id":"GO-0000-0001","modified":"2026-01-01T00:00:00Z"}]}]`
		files["index/vulns.json"] = `[{"id":"GO-0000-0001","modified":"2026-01-01T00:00:00Z"}]`
		files["ID/GO-0000-0001.json"] = vulnerability
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + dir
}

// TestAudit_vulnerabilities looks for vulnerabilities by databases of its own: one that is called is found, none is a pass, and no database is
// none.
func TestAudit_vulnerabilities(t *testing.T) {
	tests := []struct {
		name, db string
		code     int
		want     []string
	}{
		{"one", database(t, true), 1, []string{"GO-0000-0001", "mux.NewRouter", "govulncheck: no pass: vulnerabilities were found"}},
		{"none", database(t, false), 0, []string{"govulncheck: pass"}},
		{"no database", "file://" + t.TempDir() + "/nothere", 1, []string{"govulncheck: no pass: the database file:///"}},
		{"out of reach", "https://127.0.0.1:1", 1, []string{"govulncheck: no pass: the database https://127.0.0.1:1 cannot be read"}},
	}
	for _, tt := range tests {
		cmd := exec.CommandContext(t.Context(), "tools/audit.sh", "vulns")
		cmd.Env = append(os.Environ(), "GOVULNDB="+tt.db)
		out, err := cmd.CombinedOutput()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code, err = exit.ExitCode(), nil
		}
		if err != nil || code != tt.code {
			t.Errorf("%s: exit code %d, %v, want %d:\n%s", tt.name, code, err, tt.code, out)
		}
		for _, want := range tt.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: nothing of %q:\n%s", tt.name, want, out)
			}
		}
	}
}
