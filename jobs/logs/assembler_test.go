package logs_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad/jobs/logs"
)

// assemble gives the lines of a stream that comes in pieces of the given sizes, over and over.
func assemble(stream []byte, sizes ...int) []string {
	var lines []string
	emit := func(line string) { lines = append(lines, line) }
	var a logs.Assembler
	for i := 0; len(stream) > 0; i++ {
		n := min(max(1, sizes[i%len(sizes)]), len(stream))
		piece := bytes.Clone(stream[:n])
		a.Write(piece, emit)
		for j := range piece {
			piece[j] = 'X' // the caller may use it again
		}
		stream = stream[n:]
	}
	a.Flush(emit)
	return lines
}

// plainly is the same from the whole stream at once, by the words of the documentation.
func plainly(stream []byte) []string {
	var lines []string
	segments := strings.Split(string(stream), "\n")
	for i, s := range segments {
		if i == len(segments)-1 && s == "" {
			break
		}
		s = strings.TrimSuffix(s, "\r")
		line := ""
		for _, c := range s { // ranging over a string gives U+FFFD for each bad byte
			if len(line)+utf8.RuneLen(c) > logs.MaxLine {
				lines, line = append(lines, line), ""
			}
			line += string(c)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestAssembler(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", logs.MaxLine)
	euros := strings.Repeat("€", logs.MaxLine/3)
	tests := map[string]struct {
		stream string
		want   []string
	}{
		"nothing":                   {"", nil},
		"lines":                     {"a\nb\n", []string{"a", "b"}},
		"empty lines":               {"\n\n", []string{"", ""}},
		"unfinished":                {"a\nb", []string{"a", "b"}},
		"carriage returns":          {"a\r\nb\rc\r\r\n\r", []string{"a", "b\rc\r", ""}},
		"control bytes":             {"a\x00\x1b[31mred\x07\n", []string{"a\x00\x1b[31mred\x07"}},
		"no UTF-8":                  {"a\xffb\xe2\x82\nc\xf0\x9f", []string{"a\ufffdb\ufffd\ufffd", "c\ufffd\ufffd"}},
		"U+FFFD itself":             {"\ufffd\n", []string{"\ufffd"}},
		"as long as may be":         {long + "\n" + long + "\r\n", []string{long, long}},
		"too long":                  {long + "y\n", []string{long, "y"}},
		"between characters":        {euros + "€\n", []string{euros, "€"}},
		"twice too long":            {long + long + "\n", []string{long, long}},
		"bad bytes make it longer":  {strings.Repeat("\xff", logs.MaxLine/3+1) + "\n", []string{strings.Repeat("\ufffd", logs.MaxLine/3), "\ufffd"}},
		"a return after a full one": {long + "\ry", []string{long, "\ry"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, sizes := range [][]int{{1 << 20}, {1}, {2, 3}, {7000}} {
				if diff := cmp.Diff(tt.want, assemble([]byte(tt.stream), sizes...)); diff != "" {
					t.Errorf("in pieces of %v (-want +got):\n%s", sizes, diff)
				}
			}
			if diff := cmp.Diff(tt.want, plainly([]byte(tt.stream))); diff != "" {
				t.Errorf("what is meant is another thing (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAssembler_Pending wants it to be the bytes from which a new Assembler would go on with the same lines.
func TestAssembler_Pending(t *testing.T) {
	t.Parallel()
	stream := []byte("one\r\ntwo € \xff\xe2\x82 " + strings.Repeat("é", logs.MaxLine) + "\nthree\r\n€")
	want := plainly(stream)
	for cut := range stream {
		if cut > 60 && cut < len(stream)-60 && cut%logs.MaxLine > 60 {
			continue // in the middle of a long line
		}
		var lines []string
		emit := func(line string) { lines = append(lines, line) }
		var first, second logs.Assembler
		first.Write(bytes.Clone(stream[:cut]), emit)
		second.Write(bytes.Clone(stream[cut-first.Pending():]), emit)
		second.Flush(emit)
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Fatalf("going on from byte %d, %d pending (-want +got):\n%s", cut, first.Pending(), diff)
		}
	}
}

// FuzzAssembler wants the same lines however a stream is cut, and those that are meant.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte("a\r\nb€\xff\n"), uint16(1), uint16(3), uint16(0))
	f.Add([]byte("\r\r\n\n€"), uint16(2), uint16(1), uint16(5000))
	f.Fuzz(func(t *testing.T, seed []byte, one, two, repeat uint16) {
		stream := bytes.Repeat(seed, min(1+int(repeat), 1+(30_000/(len(seed)+1))))
		want := plainly(stream)
		if diff := cmp.Diff(want, assemble(stream, int(one), int(two))); diff != "" {
			t.Errorf("in pieces of %d and %d (-want +got):\n%s", one, two, diff)
		}
		for _, line := range want {
			if !utf8.ValidString(line) || len(line) > logs.MaxLine || strings.Contains(line, "\n") {
				t.Errorf("bad line %q", line)
			}
		}
	})
}
