package dynomad_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dynomad/dynomad"
)

// invalidOnly fails unless an error is one that the client is told, with a field.
func invalidOnly(t *testing.T, what string, err error) {
	t.Helper()
	e, ok := err.(*dynomad.Error) //nolint:errorlint // as it is made
	if !ok || e.Kind != dynomad.Invalid || e.Field == "" || e.Message == "" || len(e.Message) > 2000 {
		t.Errorf("%q: %v", what, err)
	}
	if ok && utf8.ValidString(what) && !utf8.ValidString(e.Message) {
		t.Errorf("%q: a message that is no UTF-8: %q", what, e.Message)
	}
}

// FuzzImage reads image references. One that is taken is read again as the same, and has no password.
func FuzzImage(f *testing.F) {
	for _, seed := range []string{
		"nginx:1.27", "docker://registry.example:5000/a/b:1", "docker://user:secret@h/r:1", "user:secret@h/r:1", "a@sha256:" + strings.Repeat("a", 64),
		"h/a:1@sha256:" + strings.Repeat("0", 64), "https://x/y.tgz", "data:x", "", "DOCKER://a:1", "a", "A:1", "docker://", "localhost/a:1", "a:1@b", "::", "docker.io/library/a:1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		image, err := dynomad.ParseImage("url", text)
		if err != nil {
			invalidOnly(t, text, err)
			return
		}
		again, err := dynomad.ParseImage("url", image)
		if err != nil || again != image || strings.ContainsAny(image, " \t\r\n\x00$`'\"") {
			t.Errorf("%q is read as %q, and that as %q, %v", text, image, again, err)
		}
		if before, _, ok := strings.Cut(image, "@"); ok && strings.Contains(text, "@") && !strings.Contains(image, "@sha") && strings.Contains(before, ":") {
			t.Errorf("%q is taken as %q, with a user", text, image)
		}
	})
}

// FuzzSchedule reads cron schedules, which come due later and later or never.
func FuzzSchedule(f *testing.F) {
	for _, seed := range []string{
		"* * * * *", "*/5 0-23/2 1,15 jan-mar mon-fri", "0 0 31 2 *", "60 * * * *", "@daily", "TZ=Europe/Berlin * * * * *", "CRON_TZ=UTC * * * * *", "* * * * * *", "",
		"*/0 * * * *", "1-0 * * * *", "0 0 29 2 *", "? ? ? ? ?", "99999999999999999999 * * * *", "-1 * * * *", "*-* * * * *", "1,,2 * * * *",
	} {
		f.Add(seed, int64(1_800_000_000))
	}
	f.Fuzz(func(t *testing.T, expr string, unix int64) {
		schedule, err := dynomad.ParseSchedule(expr)
		if err != nil {
			invalidOnly(t, expr, err)
			return
		}
		at := time.Unix(unix%(1<<33), 0).UTC() // some years beyond any clock
		for range 3 {
			next := schedule.Next(at)
			if next.IsZero() {
				return
			}
			if !next.After(at) || next.Second() != 0 || next.Location() != time.UTC {
				t.Fatalf("%q after %s: %s", expr, at, next)
			}
			at = next
		}
	})
}

// FuzzQuantity reads quantities, which are whole numbers or differences.
func FuzzQuantity(f *testing.F) {
	for _, seed := range []string{"0", "1", "+1", "-1", "", "+", "1.5", "1e3", "0x1", "99999999999999999999", "+-1", " 1", "１", "-0", "007"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := dynomad.ParseQuantity(text)
		if err != nil {
			return
		}
		if strings.Trim(strings.TrimLeft(text, "+-"), "0123456789") != "" || q.N > 1e9 || q.N < -1e9 {
			t.Errorf("%q is taken as %+v", text, q)
		}
	})
}

// FuzzNames checks the texts that become names of jobs, services and hosts.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"web", "", "a-b", "Web", "wéb", "a\x00", strings.Repeat("x", 40), "0", "a_b", "-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := dynomad.ValidType("type", text); err != nil {
			invalidOnly(t, text, err)
		} else if text == "" || len(text) > 32 || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Errorf("%q is taken for a type", text)
		}
	})
}

var fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w+)`)

// TestFuzzDocumented wants every fuzz test in the table of docs/security.md.
func TestFuzzDocumented(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_cluster_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range fuzzFunction.FindAllSubmatch(text, -1) {
			found++
			if !strings.Contains(string(table), "| "+string(m[1])+" (`"+filepath.ToSlash(filepath.Dir(path))+"`)") {
				t.Errorf("docs/security.md says nothing of %s in %s", m[1], path)
			}
		}
		return err
	})
	if err != nil || found < 30 {
		t.Errorf("%d fuzz tests, %v", found, err)
	}
}
