package jobs

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/dynomad/dynomad"
)

// What these are escaped as was read back unchanged by HCL and, as the words of a command, by a container on Nomad 1.10.5.
func TestEscape(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                    "",
		"plain":               "plain",
		"$HOME 100% {x}":      "$HOME 100% {x}",
		"echo ${COLOR} %{x}":  "echo $${COLOR} %%{x}",
		"$$":                  "$$",
		"$${A}":               `${"\u0024\u0024{A}"}`,
		"%%{a \"b\" \\n ü\n}": `${"\u0025\u0025{a \u0022b\u0022 \u005cn ü\u000a}"}`,
		"\ufeffx":             `${"\ufeffx"}`,
	}
	for text, want := range tests {
		if got := escape(text); got != want {
			t.Errorf("escape(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzEscape_roundTrip(f *testing.F) {
	for _, s := range []string{"${A}", "$${A}", "%{x}", "%%{x}", "$", "${\"x\"}", "\ufeff", "a\\u0024", "$%{", "%${", "\r$${"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "")
		escaped := escape(s)
		if got := unescape(escaped); got != s {
			t.Errorf("%q became %q and came back as %q", s, escaped, got)
		}
		if escaped != s && !strings.Contains(s, "{") && !strings.HasPrefix(s, bom) {
			t.Errorf("%q needs no escape and became %q", s, escaped)
		}
	})
}

func FuzzJoinWords_roundTrip(f *testing.F) {
	f.Add("sh", "-c", "echo ${A} 'it''s' # $(x)")
	f.Add("", "a b", "\\\n")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		words := []string{a, b, c}
		for i, w := range words {
			words[i] = strings.ReplaceAll(strings.ToValidUTF8(w, ""), "\x00", "")
		}
		joined := joinWords(words)
		if len(joined) > dynomad.MaxCommand {
			t.Skip()
		}
		got, err := dynomad.SplitCommand("command", joined)
		if !norm.NFC.IsNormalString(joined) { // no job of ours has it, and rebuild refuses it
			if err == nil {
				t.Errorf("%q was taken", joined)
			}
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", joined, err)
		}
		if strings.Join(got, "\x00") != strings.Join(words, "\x00") {
			t.Errorf("%q became %q and came back as %q", words, joined, got)
		}
	})
}
