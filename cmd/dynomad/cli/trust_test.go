package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTarget_caCert finds the file of certificates: the environment's, else the one that was kept for the same daemon.
func TestTarget_caCert(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	env := map[string]string{"XDG_CONFIG_HOME": home, "DYNOMAD_CA_CERT": "/etc/ca.pem"}
	getenv := func(name string) string { return env[name] }
	if _, err := saveCredentials(getenv, target{URL: "https://a.example", Token: "t", CACert: "/kept.pem"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, token, file, want string }{
		{"", "", "", "/kept.pem"},
		{"https://a.example", "", "", "/kept.pem"},
		{"https://b.example", "", "", ""},
		{"https://a.example", "x", "", ""},
		{"", "", "/etc/ca.pem", "/etc/ca.pem"},
		{"https://b.example", "x", "/etc/ca.pem", "/etc/ca.pem"},
	} {
		env["DYNOMAD_URL"], env["DYNOMAD_TOKEN"], env["DYNOMAD_CA_CERT"] = c.url, c.token, c.file
		got, err := findTarget(getenv)
		if err != nil || got.CACert != c.want {
			t.Errorf("%+v: got %q, %v", c, got.CACert, err)
		}
	}
}

// TestTrust_badFile says what is wrong with the file.
func TestTrust_badFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	for text, want := range map[string]string{"": "cannot be read", "no certificate": "there is no certificate in"} {
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		} else {
			_ = os.Remove(path)
		}
		_, err := (&target{URL: "https://a.example", CACert: path}).connect("1")
		if err == nil || !strings.Contains(err.Error(), want) || ExitCode(err) != exitUsage {
			t.Errorf("%q: %v", text, err)
		}
	}
}
