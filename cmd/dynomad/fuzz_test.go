package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/nomad"
)

// FuzzSettings reads settings from a command line and an environment, both a line each. What is taken is whole: links can be made of it, and
// no setting is one that would stop the daemon later. No error has the root token.
func FuzzSettings(f *testing.F) {
	for _, seed := range []struct{ args, env string }{
		{"", ""},
		{"--listen\n127.0.0.1:2\n--drain=3s", "DYNOMAD_APP_DOMAIN=apps.example\nDYNOMAD_DATACENTERS=a,b\nNOMAD_ADDR=https://n:4646/"},
		{"--listen=x\n--rate-limit=-1", "DYNOMAD_DRAIN=soon\nDYNOMAD_MAX_QUANTITY=many"},
		{"--fallback-listen=:x\n--fallback-advertise=host:70000", "DYNOMAD_FALLBACK_TAGS={{.X}}"},
		{"--fallback-tags={{range .Domain}}{{end}}\n--router-tags={{", "DYNOMAD_ROUTER_TAGS={{.}}"},
		{"--external-url=http://[::1\n--web-url={host}\n--tls-cert=x", "DYNOMAD_WEB_URL=\x00{host}\nDYNOMAD_DATACENTERS=\"a"},
		{"--default-port=99999999999999999999\n--\n-x", "DYNOMAD_HELP=1\n=\nDYNOMAD_ROOT_TOKEN=very-secret-token"},
		{"--app-domain=-\n--datacenters=", "DYNOMAD_LOG_LEVEL=off\nNOMAD_ADDR=%zz"},
	} {
		f.Add(seed.args, seed.env)
	}
	f.Fuzz(func(t *testing.T, args, env string) {
		if strings.Contains(args+env, "sizes") || strings.Contains(env, "SIZES") {
			return // the name of a file
		}
		vars := map[string]string{"DYNOMAD_ROOT_TOKEN": "very-secret-token"}
		for line := range strings.Lines(env) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			vars[name] = value
		}
		getenv := func(name string) string { return vars[name] }
		config := defaultConfig()
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.SetOutput(new(bytes.Buffer))
		config.flags(flags)
		err := flags.Parse(strings.Split(args, "\n"))
		if err == nil {
			err = fromEnvironment(flags, getenv)
		}
		if err == nil {
			err = config.finish(getenv)
		}
		if err != nil {
			if strings.Contains(err.Error(), "very-secret-token") && !strings.Contains(args, "very-secret-token") {
				t.Errorf("%q: the error has the root token: %v", args, err)
			}
			return
		}
		if !validBase(config.ExternalURL) || !validBase(config.NomadUIURL) || config.CheckInterval <= 0 || config.MaxQuantity < 1 || config.DataDir == "" {
			t.Errorf("%q, %q are taken as %+v", args, env, config)
		}
		if _, err := fallbackTags(config.FallbackTags, "other", config.AppDomain); err != nil {
			t.Errorf("%q is taken: %v", config.FallbackTags, err)
		}
		if err := config.jobSettings("i", "default", nomad.Facts{}).Validate(); err != nil {
			t.Errorf("%q is taken, and no job can be made with it: %v", config.RouterTags, err)
		}
	})
}

// FuzzSizes reads files of sizes. Each size that is taken is one that a dyno can have.
func FuzzSizes(f *testing.F) {
	for _, seed := range []string{
		"size \"small\" {\n  cpu = 100\n  memory = 128\n}\n", `{"size":{"small":{"cpu":100,"memory":128,"memory_max":256}}}`, "", "size {", "size \"a\" { cpu = 1e9\n memory = -1 }",
		"size \"${x}\" {\n cpu = 1\n memory = 1\n}", `{"size":[]}`, "size \"a\" {\n cpu = file(\"/etc/passwd\")\n memory = 1\n}", "size \"a\" \"b\" {}",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string, hcl bool) {
		path := filepath.Join(dir, map[bool]string{true: "sizes.hcl", false: "sizes.json"}[hcl])
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		sizes, err := loadSizes(path)
		if err != nil {
			return
		}
		for _, size := range sizes {
			if size.Validate() != nil || size.MemoryLimitMB < size.MemoryMB || size.CPU < 1 {
				t.Errorf("%q has the size %+v", text, size)
			}
		}
	})
}

// FuzzRestore restores what may be no backup. Nothing is written but into the data folder, and a database that is there is kept.
func FuzzRestore(f *testing.F) {
	packed := func(names ...string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i := 0; i < len(names); i += 2 {
			err := w.WriteHeader(&tar.Header{Name: names[i], Size: int64(len(names[i+1])), Mode: 0o600})
			if _, writeErr := w.Write([]byte(names[i+1])); errors.Join(err, writeErr) != nil {
				f.Fatal(err, writeErr)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	f.Add([]byte(""))
	f.Add([]byte(sqliteMagic + "and no more"))
	f.Add(packed(databaseFile, sqliteMagic))
	f.Add(packed(databaseFile, sqliteMagic, keyFile, strings.Repeat("k", 64)))
	f.Add(packed("../"+databaseFile, "x"))
	f.Add(packed("/etc/passwd", "x"))
	f.Add(packed(databaseFile, "x", databaseFile, "y"))
	f.Add(packed(keyFile, strings.Repeat("x", 5000)))
	f.Add(make([]byte, 2048))
	f.Fuzz(func(t *testing.T, content []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "data")
		file := filepath.Join(above, "backup")
		for path, text := range map[string]string{file: string(content), filepath.Join(dir, databaseFile): "kept", filepath.Join(dir, keyFile): strings.Repeat("0", 64) + "\n"} {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := restore(t.Context(), restoreOptions{DataDir: dir, File: file, Force: true}, new(bytes.Buffer))
		if left, readErr := os.ReadFile(filepath.Join(dir, databaseFile)); err != nil && (readErr != nil || string(left) != "kept") {
			t.Errorf("refused (%v), and yet the database is %q, %v", err, left, readErr)
		}
		entries, readErr := os.ReadDir(above)
		if readErr != nil || len(entries) != 2 {
			t.Errorf("beside the data folder there are %v, %v", entries, readErr)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".restore-*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}
