package logs

import (
	"fmt"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

// FuzzResume has a client come back with anything for the id of the last line that it has. It gets the lines after that one, or is told that
// lines may be missing.
func FuzzResume(f *testing.F) {
	for _, seed := range []string{
		"ring-1", "ring-3", "ring-5", "ring-0", "ring--1", "other-3", "ring-18446744073709551615", "ring-99999999999999999999", "ring", "-", "ring-3-4", "", "ring-+3", "ring-03", "ring-3\n",
	} {
		f.Add(seed, uint8(5), uint8(3), false)
		f.Add(seed, uint8(5), uint8(3), true)
	}
	f.Fuzz(func(t *testing.T, after string, written, kept uint8, tail bool) {
		hub := &Hub{Config: Config{Now: time.Now, NewID: func() string { return "ring" }, Limits: Limits{Lines: int(kept) + 1, Bytes: 1 << 20}}}
		feed := newFeed(hub, "app")
		close(feed.ready)
		from := &origin{source: dynomad.LogApp, proc: "web.1", kind: "web"}
		for i := range int(written) {
			feed.ring.add([]entry{{from: from, text: fmt.Sprint(i + 1)}})
		}
		feed.over = true
		r := &reader{feed: feed, options: dynomad.LogOptions{After: after, LogFilter: dynomad.LogFilter{}, Lines: 1000, Tail: tail}}
		var lines []dynomad.LogLine
		for {
			more, err := r.Next(t.Context())
			if err != nil {
				break
			}
			lines = append(lines, more...)
		}
		first := max(1, int(written)-int(kept)) // what the ring has
		var at int
		good := false
		for at = first - 1; at <= int(written); at++ {
			if good = fmt.Sprintf("ring-%d", at) == after && at >= 0; good {
				break
			}
		}
		switch {
		case good && len(lines) != int(written)-at:
			t.Errorf("%d lines, the last %d kept: after %q come %d", written, int(kept)+1, after, len(lines))
		case good && len(lines) > 0 && lines[0].Text != fmt.Sprint(at+1):
			t.Errorf("after %q comes %q", after, lines[0].Text)
		case len(lines) > int(written)+1:
			t.Errorf("after %q come %d lines of %d", after, len(lines), written)
		}
	})
}
