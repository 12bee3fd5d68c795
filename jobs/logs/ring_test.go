package logs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

// TestRing_pick chooses from what is old and what is new.
func TestRing_pick(t *testing.T) {
	t.Parallel()
	origins := map[byte]*origin{
		'a': {source: dynomad.LogApp, proc: "a"}, 'b': {source: dynomad.LogApp, proc: "b"},
		'p': {source: dynomad.LogPlatform, proc: "p"}, 'q': {source: dynomad.LogPlatform, proc: "q"},
	}
	tests := []struct {
		entries string // small letters are old
		n       int
		want    string
	}{
		{"", 5, ""},
		{"aaabbb", 0, ""},
		{"aaabbb", 4, "aabb"},
		{"aaaaab", 4, "aaab"},
		{"aaabbb", 9, "aaabbb"},
		{"aabbAAA", 2, "AA"},
		{"aabbAAA", 4, "bAAA"},
		{"aabbAAA", 5, "abAAA"},
		{"ppqqpaaaaaaaaaabbb", 8, "paaaabbb"},
		{"ppqqpaaaaaaaaaabbb", 12, "qpaaaaaaabbb"},
		{"ppqqp", 3, "qqp"},
		{"ppqqpa", 4, "qqpa"},
		{"aaPQ", 3, "aPQ"},
	}
	for _, tt := range tests {
		r := ring{maxEntries: 100, maxBytes: 1 << 20, first: 1}
		for i := range tt.entries {
			c := tt.entries[i]
			r.add([]entry{{from: origins[strings.ToLower(string(c))[0]], text: string(c), old: c >= 'a'}})
		}
		got := ""
		for _, i := range r.pick(func(*origin) bool { return true }, tt.n) {
			got += r.entries[i].text
		}
		if got != tt.want {
			t.Errorf("%d of %q: got %q, want %q", tt.n, tt.entries, got, tt.want)
		}
	}
}

// TestRing_bounds keeps the newest entries within both bounds, under their numbers.
func TestRing_bounds(t *testing.T) {
	t.Parallel()
	r := ring{maxEntries: 5, maxBytes: 10 * entrySize, first: 1}
	from := &origin{}
	for i := 1; i <= 20; i++ {
		r.add([]entry{{from: from, text: fmt.Sprint(i)}})
	}
	texts := func(entries []entry) (texts []string) {
		for _, e := range entries {
			texts = append(texts, e.text)
		}
		return texts
	}
	if diff := cmp.Diff([]string{"16", "17", "18", "19", "20"}, texts(r.from(16))); diff != "" || r.first != 16 || r.next() != 21 {
		t.Errorf("from %d to %d (-want +got):\n%s", r.first, r.next(), diff)
	}
	r.add([]entry{{from: from, text: strings.Repeat("x", 8*entrySize)}})
	if diff := cmp.Diff([]string{strings.Repeat("x", 8*entrySize)}, texts(r.from(21))); diff != "" || r.first != 21 {
		t.Errorf("after a long one from %d (-want +got):\n%s", r.first, diff)
	}
	r.add([]entry{{from: from, text: strings.Repeat("x", 20*entrySize)}})
	if len(r.entries) > 0 || r.bytes != 0 || r.next() != 23 {
		t.Errorf("after one that is too long: %d entries, %d bytes", len(r.entries), r.bytes)
	}
}
