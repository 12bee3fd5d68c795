package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// board has what benchmarks found beside what was wanted, row by row.
type board struct {
	known map[string]knownMiss // by row
	rows  []boardRow
}

type boardRow struct{ what, found, wanted, met string }

// knownMiss is a miss that docs/benchmarks.md explains. It has a bound of its own: what was measured, with room for the machine's noise.
type knownMiss struct {
	why   string
	bound bound
}

// bound is what a figure is held to.
type bound struct {
	than  float64
	least bool // else it is the most
}

func atLeast(v float64) bound { return bound{than: v, least: true} }

func atMost(v float64) bound { return bound{than: v} }

func (d bound) holds(v float64) bool {
	if d.least {
		return v >= d.than
	}
	return v <= d.than
}

// figure is what a benchmark found, in a unit that word words.
type figure struct {
	what  string
	value float64
	word  func(float64) string
	more  string // said beside it
}

// inTimes is a figure that is one of another one's.
func inTimes(what string, v float64) figure {
	return figure{what: what, value: v, word: func(v float64) string { return fmt.Sprintf("%.2f", v) }}
}

// inSeconds is a figure in seconds.
func inSeconds(what string, d time.Duration) figure {
	return figure{what: what, value: d.Seconds(), word: func(v float64) string { return short(time.Duration(v * float64(time.Second))) }}
}

// inBytes is a figure in bytes.
func inBytes(what string, n float64) figure {
	return figure{what: what, value: n, word: func(v float64) string { return mebibytes(int(v)) }}
}

// inPercent is a figure that is a part of a whole.
func inPercent(what string, v float64) figure {
	return figure{what: what, value: v, word: func(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) }}
}

// inNumber is a figure without a unit.
func inNumber(what string, v float64) figure {
	return figure{what: what, value: v, word: func(v float64) string { return fmt.Sprintf("%.0f", v) }}
}

func (f figure) String() string { return f.word(f.value) + f.more }

// held words what the figure is held to.
func (f figure) held(d bound) string {
	if d.least {
		return "at least " + f.word(d.than)
	}
	return "at most " + f.word(d.than)
}

func mebibytes(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// note adds a figure of which nothing is wanted.
func (o *board) note(what, found string) {
	o.rows = append(o.rows, boardRow{what: what, found: found, wanted: "-", met: "-"})
}

// want adds a figure of which something is wanted. It reports whether that is so, or it is known that it is not, and it is no worse than
// is known.
func (o *board) want(f figure, wanted bound) bool {
	row := boardRow{what: f.what, found: f.String(), wanted: f.held(wanted), met: "yes"}
	met := wanted.holds(f.value)
	if !met {
		row.met = "NO"
		if miss, ok := o.known[f.what]; ok {
			met = miss.bound.holds(f.value)
			row.met = map[bool]string{true: "no, ", false: "NO, not even "}[met] + f.held(miss.bound) + ": " + miss.why
		}
	}
	o.rows = append(o.rows, row)
	return met
}

// check is want, and fails the benchmark if it is not so.
func (o *board) check(tb testing.TB, f figure, wanted bound) {
	tb.Helper()
	if !o.want(f, wanted) {
		row := o.rows[len(o.rows)-1]
		tb.Errorf("%s: %s, want %s (%s)", f.what, row.found, row.wanted, row.met)
	}
}

// String is the table of all rows.
func (o *board) String() string {
	rows := [][]string{{"", "found", "wanted", "met"}}
	for _, r := range o.rows {
		rows = append(rows, []string{r.what, r.found, r.wanted, r.met})
	}
	return table(rows)
}

// table aligns rows of cells.
func table(rows [][]string) string {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) // to memory
	}
	_ = w.Flush() // to memory
	return out.String()
}

// quantile gives what the q-th part of some durations is at most. It sorts them.
func quantile(took []time.Duration, q float64) time.Duration {
	slices.Sort(took)
	return took[min(int(q*float64(len(took))), len(took)-1)]
}

// median gives the middle of some durations or rates, that between the two middle ones of an even number. It sorts them.
func median[T time.Duration | float64](took []T) T {
	slices.Sort(took)
	n := len(took)
	return (took[(n-1)/2] + took[n/2]) / 2
}

// short words a duration in about three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 100*time.Millisecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
}

func TestBoard(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	o := board{known: map[string]knownMiss{
		"slow": {"the disk", atMost(0.004)}, "slower": {"the disk", atMost(0.004)}, "few": {"the writers", atLeast(0.4)}, "fewer": {"the writers", atLeast(0.4)},
	}}
	o.note("size", "20 MB")
	most, least := atMost(0.002), atLeast(0.5)
	for _, row := range []struct {
		f     figure
		bound bound
		want  bool
	}{
		{inSeconds("quick", 2*ms), most, true},
		{inSeconds("slow", 4*ms), most, true},
		{inSeconds("slower", 5*ms), most, false},
		{inSeconds("other", 3*ms), most, false},
		{inTimes("many", 0.5), least, true},
		{inTimes("few", 0.4), least, true},
		{inTimes("fewer", 0.39), least, false},
		{inTimes("none", math.NaN()), least, false},
		{inTimes("nothing", math.NaN()), most, false},
	} {
		if got := o.want(row.f, row.bound); got != row.want {
			t.Errorf("%s: got %t, want %t", row.f.what, got, row.want)
		}
	}
	const want = `         found    wanted           met
size     20 MB    -                -
quick    2.00 ms  at most 2.00 ms  yes
slow     4.00 ms  at most 2.00 ms  no, at most 4.00 ms: the disk
slower   5.00 ms  at most 2.00 ms  NO, not even at most 4.00 ms: the disk
other    3.00 ms  at most 2.00 ms  NO
many     0.50     at least 0.50    yes
few      0.40     at least 0.50    no, at least 0.40: the writers
fewer    0.39     at least 0.50    NO, not even at least 0.40: the writers
none     NaN      at least 0.50    NO
nothing  NaN      at most 0.00     NO
`
	if got := o.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for want, took := range map[time.Duration][]time.Duration{7: {7}, 5: {9, 1, 5}, 4: {1, 9, 3, 5}} {
		if got := median(took); got != want {
			t.Errorf("the median of %v is %d, want %d", took, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{2346 * time.Millisecond: "2.35 s", 345600 * time.Microsecond: "346 ms", 1234567: "1.23 ms"} {
		if got := short(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
