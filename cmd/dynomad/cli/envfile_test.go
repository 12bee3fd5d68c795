package cli

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseVars(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want map[string]string
	}{
		{"", map[string]string{}},
		{"A=1", map[string]string{"A": "1"}},
		{"\ufeffA=1\r\nB=2\r\n", map[string]string{"A": "1", "B": "2"}},
		{"# nothing\n\n  export A = 1 2  # comment\nB=", map[string]string{"A": "1 2", "B": ""}},
		{"A=a#b\nB= #c", map[string]string{"A": "a#b", "B": ""}},
		{`A='it'\''s'`, map[string]string{"A": "it's"}},
		{`A="a\nb\t\"c\" $X \$Y"`, map[string]string{"A": "a\nb\t\"c\" $X $Y"}},
		{"A='line one\nline two'\nB=2", map[string]string{"A": "line one\nline two", "B": "2"}},
		{"A=${B:-x}`id`$(id)", map[string]string{"A": "${B:-x}`id`$(id)"}},
		{`A=x\ y\\z`, map[string]string{"A": `x y\z`}},
		{"A=1\nA=2", map[string]string{"A": "2"}},
		{"A= a'b' c", map[string]string{"A": "ab c"}},
		{"A=ä✓", map[string]string{"A": "ä✓"}},
	}
	for _, tt := range tests {
		got, err := parseVars(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q:\n%s", tt.text, diff)
		}
	}
	for text, want := range map[string]string{
		"A": "line 1", "A=1\n\n1B=2": "line 3", "A='x": "line 1: a '", "A=1\nB=\"x\n\n": "line 2: a \"", "A-B=1": "line 1", "=1": "line 1",
	} {
		if _, err := parseVars(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// FuzzParseVars checks that what config --shell prints is read back as it was.
func FuzzParseVars(f *testing.F) {
	f.Add("A=1", "it's\n\"x\" $Y #")
	f.Fuzz(func(t *testing.T, text, value string) {
		_, _ = parseVars(text) // ends, without a panic
		if strings.Contains(value, "\r\n") {
			return // line ends of Windows are made plain
		}
		want := map[string]string{"A": value, "B": ""}
		got, err := parseVars("A=" + shellQuoted(value) + "\nB=" + shellQuoted("") + "\n")
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("got %q, %v of %q", got, err, value)
		}
	})
}
