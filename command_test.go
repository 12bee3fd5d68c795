package dynomad_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

func TestSplitCommand(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   string
		want []string
	}{
		"words":                    {"npm  start\t-v", []string{"npm", "start", "-v"}},
		"single quotes":            {`sh -c 'echo "$HOME"; ls | wc'`, []string{"sh", "-c", `echo "$HOME"; ls | wc`}},
		"double quotes":            {`a "b c" d"e f"`, []string{"a", "b c", "de f"}},
		"dollar in double quotes":  {`sh -c "echo ${X:-y} $(date) $HOME"`, []string{"sh", "-c", "echo ${X:-y} $(date) $HOME"}},
		"backtick in quotes":       {"echo \"`x`\" '`y`'", []string{"echo", "`x`", "`y`"}},
		"empty words":              {`a '' ""`, []string{"a", "", ""}},
		"backslashes":              {`a\ b "c\"d\e\$f" '\g' \$h \\`, []string{"a b", `c"d\e$f`, `\g`, "$h", `\`}},
		"hash at a word's start":   {`a #b c# '#d' #`, []string{"a", "#b", "c#", "#d", "#"}},
		"hash after line":          {"a\n#b\nc", []string{"a", "#b", "c"}},
		"hash, quote to next line": {"a #it's\nb'", []string{"a", "#its\nb"}},
		"hash, line goes on":       {"a #b\\\nc", []string{"a", "#bc"}},
		"hash in substitution":     {"a \"$(b # c\n)\" #d", []string{"a", "$(b # c\n)", "#d"}},
		"globs, braces, tilde":     {`* ?[a] {a,b} ~ !`, []string{"*", "?[a]", "{a,b}", "~", "!"}},
		"assignment, keyword":      {`A=b if`, []string{"A=b", "if"}},
		"carriage return kept":     {"'a\r\nb' \"c\r\nd\"", []string{"a\r\nb", "c\r\nd"}},
		"line continuation":        {"a\\\nb \"c\\\nd\"", []string{"ab", "cd"}},
		"not ASCII":                {"echo 'ä✓' é", []string{"echo", "ä✓", "é"}},
		"blank":                    {"  \t\n ", nil},
		"empty":                    {"", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := dynomad.SplitCommand("command", tt.in)
			if err != nil {
				t.Fatalf("SplitCommand(%q): %v", tt.in, err)
			}
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("SplitCommand(%q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func TestSplitCommand_refused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a && b":        "sh -c",
		"a; b":          "sh -c",
		"a &":           "sh -c",
		"a | b":         "sh -c",
		"a > b":         "sh -c",
		"a < b":         "sh -c",
		"a 2>&1":        "sh -c",
		"(a)":           "sh -c",
		"a )":           "sh -c",
		"a()":           "sh -c",
		"echo $X":       "sh -c",
		"echo ${X}":     "sh -c",
		"echo $(x)":     "sh -c",
		"echo `x`":      "sh -c",
		"echo a$":       "sh -c",
		"echo $'a'":     "sh -c",
		`echo $"a"`:     "sh -c",
		"echo 'a":       "not closed",
		`echo "a`:       "not closed",
		"a\x00b":        "NUL",
		"a\xffb":        "UTF-8",
		"a <<EOF\nEOF":  "sh -c",
		"echo a;":       "sh -c",
		"#a; b":         "sh -c",
		"#a `b":         "",
		"# 'not closed": "not closed",
		"echo e\u0301":  "NFC",
	} {
		words, err := dynomad.SplitCommand("command", in)
		if err == nil {
			t.Errorf("SplitCommand(%q) = %q, want an error", in, words)
			continue
		}
		var e *dynomad.Error
		if e = asError(t, err); e.Kind != dynomad.Invalid || e.Field != "command" || !strings.Contains(e.Message, want) {
			t.Errorf("SplitCommand(%q): got %s on %q: %s; want invalid on command, saying %q", in, e.Kind, e.Field, e.Message, want)
		}
	}
}

// FuzzSplitCommand compares with a real shell: what is accepted is what the shell would make of it, where the shell expands
// nothing; and a # is a character like any other.
func FuzzSplitCommand(f *testing.F) {
	for _, seed := range []string{"npm start", `a "b c" 'd'`, `a\ b`, "a#b #c", "a && b", "'a", "\"a\\\"\"", "é '\n'", "a\\\nb", "a # 'b\n' #c\\\n#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := dynomad.SplitCommand("command", in)
		if !strings.ContainsAny(in, "$`") {
			plain, plainErr := dynomad.SplitCommand("command", strings.ReplaceAll(in, "#", "x"))
			if diff := cmp.Diff(strings.Join(plain, "\x00"), strings.ReplaceAll(strings.Join(got, "\x00"), "#", "x")); diff != "" || (err == nil) != (plainErr == nil) {
				t.Errorf("%q has %v, %v; with x for #: %v\n%s", in, got, err, plainErr, diff)
			}
		}
		if err != nil || strings.ContainsAny(in, "$`#~*?[{!=") || strings.Contains(in, "\r") {
			return // refused, or a shell would expand, comment or assign
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "f() { for w; do printf '%s\\0' \"$w\"; done; }\nf "+strings.ReplaceAll(in, "\n", "\\\n")).Output()
		if strings.Contains(in, "\n") {
			return // a shell ends the command there; ours goes on
		}
		if err != nil {
			t.Fatalf("the shell refuses %q, we make %q of it: %v", in, got, err)
		}
		var want []string
		if len(out) > 0 {
			want = strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		}
		if len(got) == 0 {
			got = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-shell +ours):\n%s", in, diff)
		}
	})
}

// hashes are commands that are long and have a # wherever a shell would see a comment begin.
func hashes(length int) map[string]string {
	fill := func(with string) string { return strings.Repeat(with, length/len(with)) }
	return map[string]string{
		"words":         fill("# "),
		"lines":         fill("a #b\n"),
		"quoted":        fill("'' # "),
		"substituted":   fill("\"$(#\n)\" # "),
		"long lines":    fill("\"$(#\n)\" " + strings.Repeat("# x ", 60) + "\n"),
		"one quote":     "'" + fill("# ") + "'",
		"one not ended": fill("# ") + "'",
		"continued":     fill("# \\\n"),
	}
}

// TestSplitCommand_linear holds that a longer command takes longer only in proportion: it is split while a transaction is open.
// What is counted is allocations, of the whole process: no other test may run meanwhile.
func TestSplitCommand_linear(t *testing.T) {
	const short, times = 2 << 10, 8
	long := hashes(short * times)
	for name, command := range hashes(short) {
		count := func(command string) float64 {
			return testing.AllocsPerRun(1, func() { _, _ = dynomad.SplitCommand("command", command) })
		}
		one, many := count(command), count(long[name])
		if most := 2 * times * one; many > most {
			t.Errorf("%s: %.0f allocations for %d bytes and %.0f for %d times as many, want at most %.0f", name, one, short, many, times, most)
		}
	}
}

func BenchmarkSplitCommand_hashes(b *testing.B) {
	for name, command := range hashes(dynomad.MaxCommand - 2) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = dynomad.SplitCommand("command", command)
			}
		})
	}
}
