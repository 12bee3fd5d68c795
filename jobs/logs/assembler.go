package logs

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// MaxLine is the longest line, in bytes, as at Heroku. A longer one is given as several.
const MaxLine = 10_000

// Assembler makes lines of a stream of bytes that comes in pieces. However it is cut, the lines are the same: they end at a line
// feed, with or without a carriage return before it, and are valid UTF-8, with U+FFFD for each byte that is not. Nothing else is
// changed or left out.
type Assembler struct {
	line  []byte // of the line under way, ready to be given out
	raw   int    // bytes of the stream that line is made of
	carry []byte // what cannot be judged yet: the beginning of a character, or a carriage return
}

// Write takes the next piece and emits the lines that it completes.
func (a *Assembler) Write(piece []byte, emit func(string)) {
	data := piece
	if len(a.carry) > 0 {
		data = append(a.carry, piece...)
		a.carry = nil
	}
	for len(data) > 0 {
		data = data[a.take(data, emit):]
	}
}

// take takes some bytes off the front, and gives how many.
func (a *Assembler) take(data []byte, emit func(string)) int {
	if n := a.takeLine(data, emit); n > 0 {
		return n
	}
	switch {
	case data[0] == '\n':
		a.end(emit)
		return 1
	case data[0] == '\r' && len(data) == 1, !utf8.FullRune(data):
		a.carry = append(a.carry, data...)
		return len(data)
	case data[0] == '\r' && data[1] == '\n':
		a.end(emit)
		return 2
	}
	c, size := utf8.DecodeRune(data)
	if len(a.line)+utf8.RuneLen(c) > MaxLine {
		a.end(emit)
	}
	a.line = utf8.AppendRune(a.line, c)
	a.raw += size
	return size
}

// takeLine takes a whole line that is as it should be, which most are. It gives 0 if there is none.
func (a *Assembler) takeLine(data []byte, emit func(string)) int {
	if len(a.line) > 0 || data[0] == '\n' {
		return 0
	}
	n := bytes.IndexByte(data[:min(len(data), MaxLine)], '\n')
	if n < 0 {
		return 0
	}
	line := bytes.TrimSuffix(data[:n], []byte("\r"))
	if !utf8.Valid(line) {
		return 0
	}
	emit(string(line))
	return n + 1
}

func (a *Assembler) end(emit func(string)) {
	emit(string(a.line))
	a.line, a.raw = a.line[:0], 0
}

// Flush emits the line under way, if there is one, as if the stream ended here.
func (a *Assembler) Flush(emit func(string)) {
	rest := a.carry
	a.carry = nil
	for _, c := range bytes.TrimSuffix(rest, []byte("\r")) {
		if len(a.line)+utf8.RuneLen(utf8.RuneError) > MaxLine {
			a.end(emit)
		}
		if c == '\r' {
			a.line = append(a.line, c)
			continue
		}
		a.line = utf8.AppendRune(a.line, utf8.RuneError)
	}
	if len(a.line) > 0 || len(rest) > 0 {
		a.end(emit)
	}
}

// Pending counts the stream's last bytes that no line has been made of yet.
func (a *Assembler) Pending() int { return a.raw + len(a.carry) }

// oneLine makes one line of a text, and not a long one.
func oneLine(text string) string {
	const most = 1000
	text = strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' }), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
