package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// board has what benchmarks found beside what was wanted, row by row.
type board struct {
	known map[string]string // misses that docs/benchmarks.md explains: how a row begins, and why
	rows  []boardRow
}

type boardRow struct{ what, found, wanted, met string }

// note adds a figure of which nothing is wanted.
func (o *board) note(what, found string) {
	o.rows = append(o.rows, boardRow{what: what, found: found, wanted: "-", met: "-"})
}

// want adds a figure of which something is wanted. It reports whether that is so, or it is known that it is not.
func (o *board) want(what, found, wanted string, met bool) bool {
	row := boardRow{what: what, found: found, wanted: wanted, met: "yes"}
	if !met {
		row.met = "NO"
		if why := o.known[what]; why != "" {
			row.met, met = "no: "+why, true
		}
	}
	o.rows = append(o.rows, row)
	return met
}

// check is want, and fails the benchmark if it is not so.
func (o *board) check(tb testing.TB, what, found, wanted string, met bool) {
	tb.Helper()
	if !o.want(what, found, wanted, met) {
		tb.Errorf("%s: %s, want %s", what, found, wanted)
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
	o := board{known: map[string]string{"slow": "the disk"}}
	o.note("size", "20 MB")
	met, known, missed := o.want("quick", "1 ms", "2 ms", true), o.want("slow", "3 ms", "2 ms", false), o.want("other", "3 ms", "2 ms", false)
	if !met || !known || missed {
		t.Errorf("got %t %t %t, want true, true, false", met, known, missed)
	}
	const want = `       found  wanted  met
size   20 MB  -       -
quick  1 ms   2 ms    yes
slow   3 ms   2 ms    no: the disk
other  3 ms   2 ms    NO
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
