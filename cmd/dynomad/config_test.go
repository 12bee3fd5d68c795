package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad"
)

func TestConfig_environment(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"DYNOMAD_APP_DOMAIN": "apps.example", "DYNOMAD_DRAIN": "3s", "DYNOMAD_MAX_QUANTITY": "5", "DYNOMAD_DATACENTERS": "a,b",
		"DYNOMAD_LISTEN": "127.0.0.1:1", "NOMAD_ADDR": "https://user:secret@nomad.example:4646/",
	}
	config := defaultConfig()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.flags(flags)
	if err := flags.Parse([]string{"--listen", "127.0.0.1:2"}); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return env[name] }
	if err := fromEnvironment(flags, getenv); err != nil {
		t.Fatal(err)
	}
	if err := config.finish(getenv); err != nil {
		t.Fatal(err)
	}
	got := []any{config.AppDomain, config.Drain.String(), config.MaxQuantity, config.Datacenters, config.Listen, config.ExternalURL, config.NomadUIURL}
	want := []any{"apps.example", "3s", 5, []string{"a", "b"}, "127.0.0.1:2", "http://127.0.0.1:2", "https://nomad.example:4646/ui"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

// TestConfig_problems wants all that is wrong at once.
func TestConfig_problems(t *testing.T) {
	t.Parallel()
	err := run(context.Background(), []string{
		"server", "--listen", "x", "--app-domain", "a b", "--web-url", "http://x", "--external-url", "ftp://x", "--max-quantity", "0",
		"--default-port", "80", "--default-size", "huge", "--check-interval", "1ms", "--min-healthy-time", "10m", "--tls-cert", "x",
		"--log-level", "loud", "--log-format", "xml", "--rate-limit", "-1", "--drain", "-1s",
		"--debug-listen", ":6060", "--fallback-listen", "x", "--fallback-advertise", "host:port", "--fallback-tags", "{{.X}}", "--router-tags", "{{.Y}}",
	}, func(string) string { return "" })
	if err == nil {
		t.Fatal("the daemon started")
	}
	for _, want := range []string{
		"listen", "app-domain", "web-url", "external-url", "max-quantity", "default-port", "default-size", "check-interval",
		"min-healthy-time", "tls-cert", "log-level", "log-format", "rate-limit", "drain",
		"debug-listen", "fallback-listen", "fallback-advertise", "fallback-tags", "router-tags",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing is said of %s in:\n%v", want, err)
		}
	}
}

func TestConfig_badEnvironment(t *testing.T) {
	t.Parallel()
	err := run(context.Background(), []string{"server"}, func(name string) string {
		return map[string]string{"DYNOMAD_DRAIN": "soon", "DYNOMAD_MAX_QUANTITY": "many"}[name]
	})
	if err == nil || !strings.Contains(err.Error(), "DYNOMAD_DRAIN") || !strings.Contains(err.Error(), "DYNOMAD_MAX_QUANTITY") {
		t.Errorf("got %v, want both variables named", err)
	}
}

func TestLoadSizes(t *testing.T) {
	t.Parallel()
	const good = `size "small" {
  cpu    = 100
  memory = 128
}
size "large" {
  description = "big"
  cpu         = 500
  memory      = 256
  memory_max  = 512
}`
	const asJSON = `{"size":{"small":{"cpu":100,"memory":128},"large":{"description":"big","cpu":500,"memory":256,"memory_max":512}}}`
	want := dynomad.Sizes{
		{Name: "small", CPU: 100, MemoryMB: 128, MemoryLimitMB: 128},
		{Name: "large", Description: "big", CPU: 500, MemoryMB: 256, MemoryLimitMB: 512},
	}
	for name, text := range map[string]string{"a.hcl": good, "a.json": asJSON} {
		got, err := loadSizes(write(t, name, text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "no cpu": `size "a" { memory = 100 }`, "below": `size "a" {
  cpu = 1
  memory = 100
  memory_max = 50
}`, "twice": good + "\n" + good, "bad name": `size "A!" {
  cpu = 1
  memory = 100
}`,
	} {
		if got, err := loadSizes(write(t, "x.hcl", text)); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
	if got, err := loadSizes(""); err != nil || len(got) != 10 {
		t.Errorf("the built-in sizes: %d, %v", len(got), err)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSettingsDocumented wants every flag in the table of docs/settings.md, with its variable.
func TestSettingsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "settings.md"))
	if err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	defaultConfig().flags(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		name := "DYNOMAD_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if !strings.Contains(string(text), name) {
			t.Errorf("docs/settings.md says nothing of %s", name)
		}
	})
}

// TestShippedSettings wants what the package and the job file set to be settings, and those of the package to be good as they are.
func TestShippedSettings(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	defaultConfig().flags(flags)
	known := map[string]bool{"DYNOMAD_ROOT_TOKEN": true}
	flags.VisitAll(func(f *pflag.Flag) {
		known["DYNOMAD_"+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))] = true
	})
	env := map[string]string{}
	for file, line := range map[string]*regexp.Regexp{
		"tools/release/package/dynomad.env":     regexp.MustCompile(`(?m)^(#?)(DYNOMAD_\w+)=(.*)$`),
		"tools/release/package/dynomad.service": regexp.MustCompile(`(?m)^(Environment)=(DYNOMAD_\w+)=(.*)$`),
		"docs/nomad/dynomad.nomad.hcl":          regexp.MustCompile(`(?m)^( +)(DYNOMAD_\w+) += (.*)$`),
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			t.Fatal(err)
		}
		found := line.FindAllStringSubmatch(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s sets nothing", file)
		}
		for _, m := range found {
			if !known[m[2]] {
				t.Errorf("%s: %s is no setting", file, m[2])
			}
			if m[1] == "" {
				env[m[2]] = m[3]
			}
		}
	}
	if config := configFrom(t, env); config.Listen != "127.0.0.1:5000" {
		t.Errorf("the package listens on %s", config.Listen)
	}
}

// configFrom gives the daemon's settings from an environment.
func configFrom(t *testing.T, env map[string]string) *Config {
	t.Helper()
	config := defaultConfig()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.flags(flags)
	getenv := func(name string) string { return env[name] }
	if err := fromEnvironment(flags, getenv); err != nil {
		t.Fatal(err)
	}
	if err := config.finish(getenv); err != nil {
		t.Fatal(err)
	}
	return config
}
