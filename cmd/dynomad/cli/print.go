package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// printer writes what a command found, as a terminal shows it best.
type printer struct {
	out   io.Writer
	json  bool
	width int // of the terminal, in characters; 0 is no terminal, where nothing is cut
	color bool
	now   func() time.Time
}

// terminal tells how wide a writer is, if it is a terminal.
func terminal(w io.Writer) (int, bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	return width, err == nil
}

func newPrinter(out io.Writer, env Env, flags *pflag.FlagSet) *printer {
	p := &printer{out: out, now: env.Now}
	p.json, _ = flags.GetBool("json")
	width, isTerminal := env.Terminal(out)
	if isTerminal {
		p.width = width
		p.color = env.Getenv("NO_COLOR") == "" && env.Getenv("TERM") != "dumb"
	}
	return p
}

// say prints a line.
func (p *printer) say(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...) //nolint:errcheck // nobody to tell
}

// show prints a value as JSON if that is wanted, else as text does.
func (p *printer) show(value any, text func()) error {
	if !p.json {
		text()
		return nil
	}
	enc := json.NewEncoder(p.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// The colours.
const (
	plain  = ""
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	bold   = "\x1b[1m"
	reset  = "\x1b[0m"
)

// paint colours a text, if there are colours.
func (p *printer) paint(color, text string) string {
	if !p.color || color == plain || text == "" {
		return text
	}
	return color + text + reset
}

// cell is a field of a table.
type cell struct {
	text  string
	color string
}

// cells makes cells without colour.
func cells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, text := range texts {
		row[i].text = text
	}
	return row
}

// table prints rows in columns. If they are too wide for the terminal, the last column is cut.
func (p *printer) table(head []string, rows [][]cell) {
	var all [][]cell
	if head != nil {
		top := cells(head...)
		for i := range top {
			top[i].color = bold
		}
		all = append(all, top)
	}
	all = append(all, rows...)
	widths := []int{}
	for _, row := range all {
		for i := range row {
			row[i].text = clean(row[i].text)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	for _, row := range all {
		p.row(row, widths)
	}
}

func (p *printer) row(row []cell, widths []int) {
	var line strings.Builder
	left := p.width
	for i, c := range row {
		text := c.text
		if i == len(row)-1 {
			text = p.fit(text, left)
		}
		line.WriteString(p.paint(c.color, text))
		pad := widths[i] - utf8.RuneCountInString(text) + 2
		if i < len(row)-1 {
			line.WriteString(strings.Repeat(" ", pad))
		}
		left -= widths[i] + 2
	}
	p.say("%s", strings.TrimRight(line.String(), " "))
}

// least is what stays of a column that is cut.
const least = 10

// fit cuts a text to what is left of the terminal's width.
func (p *printer) fit(text string, left int) string {
	left = max(left, least)
	if p.width == 0 || utf8.RuneCountInString(text) <= left {
		return text
	}
	return string([]rune(text)[:left-1]) + "…"
}

// clean keeps what others wrote from reaching the terminal as commands, and on one line.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// age words how long ago something was.
func (p *printer) age(t time.Time) string {
	switch d := p.now().Sub(t); {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// stateColor is the colour of a state of a dyno, a release or a build.
func stateColor(state string) string {
	switch state {
	case "running", "succeeded":
		return green
	case "app-crashed", "start-failure", "probe-failure", "failed":
		return red
	case "pending", "waiting", "stopping":
		return yellow
	}
	return plain
}

// plural words a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// orDash is a text, or a dash for none.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
