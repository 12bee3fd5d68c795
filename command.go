package dynomad

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"mvdan.cc/sh/v3/syntax"
)

// MaxCommand is the longest command, in bytes.
const MaxCommand = 32 << 10

const shellHint = "Commands are not run by a shell; write sh -c '…' to use one."

// SplitCommand splits a command into words as a POSIX shell would, with quotes and backslashes, but expands nothing and
// runs nothing. What only a shell could do (an unquoted ; & | < > ( ) ` or $) is Invalid, as is a quote that is not closed;
// a # is an ordinary character. Inside double quotes $ and ` stand for themselves. A blank command has no words.
// field is what to call the command in the error.
func SplitCommand(field, command string) ([]string, error) {
	if len(command) > MaxCommand {
		return nil, Invalidf(field, "The command must not be longer than %d bytes.", MaxCommand)
	}
	if strings.ContainsRune(command, 0) || !validUTF8(command) {
		return nil, Invalidf(field, "The command must be UTF-8 text without NUL.")
	}
	if !norm.NFC.IsNormalString(command) {
		// Nomad's driver configuration is HCL, which composes accents: the words would not arrive as they were sent.
		return nil, Invalidf(field, "The command has letters with separate accents; write them composed (Unicode NFC).")
	}
	src, words, err := parseWords(command)
	if err != nil {
		return nil, commandError(field, err)
	}
	out := make([]string, 0, len(words))
	for _, w := range words {
		text, err := wordText(src, w.Parts)
		if err != nil {
			return nil, Invalidf(field, "The command has %s outside of quotes. %s", err.Error(), shellHint)
		}
		out = append(out, text)
	}
	return out, nil
}

// parseWords parses the words of a command. The grammar takes a # at a word's start for a comment; since ours does not, it
// is escaped and the text parsed again. The source that the words' positions refer to is returned too.
func parseWords(src string) (string, []*syntax.Word, error) {
	for {
		var words []*syntax.Word
		parser := syntax.NewParser(syntax.Variant(syntax.LangPOSIX))
		for w, err := range parser.WordsSeq(strings.NewReader(src)) {
			if err != nil {
				return "", nil, err
			}
			words = append(words, w)
		}
		at := commentAt(src, words)
		if at < 0 {
			return src, words, nil
		}
		src = src[:at] + `\` + src[at:]
	}
}

// commentAt finds the first # that lies between words, or -1.
func commentAt(src string, words []*syntax.Word) int {
	from := 0
	for _, w := range words {
		if i := strings.IndexByte(src[from:w.Pos().Offset()], '#'); i >= 0 {
			return from + i
		}
		from = int(w.End().Offset())
	}
	if i := strings.IndexByte(src[from:], '#'); i >= 0 {
		return from + i
	}
	return -1
}

// wordText puts a word's parts together from the source's own bytes: the parser's values lack carriage returns.
func wordText(src string, parts []syntax.WordPart) (string, error) {
	var b strings.Builder
	for _, part := range parts {
		text := src[part.Pos().Offset():part.End().Offset()]
		switch part := part.(type) {
		case *syntax.Lit:
			if c := unquotedSpecial(text); c != 0 {
				return "", errors.New(string(c))
			}
			b.WriteString(unescape(text, ""))
		case *syntax.SglQuoted:
			if part.Dollar {
				return "", errors.New("$")
			}
			b.WriteString(text[1 : len(text)-1])
		case *syntax.DblQuoted:
			if part.Dollar {
				return "", errors.New("$")
			}
			b.WriteString(unescape(text[1:len(text)-1], "$`\"\\\n"))
		case *syntax.CmdSubst:
			return "", errors.New(text[:1])
		default:
			return "", errors.New("$")
		}
	}
	return b.String(), nil
}

// unquotedSpecial gives the first $ or ` of an unquoted text that no backslash precedes, or 0.
func unquotedSpecial(text string) byte {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '$', '`':
			return text[i]
		}
	}
	return 0
}

// unescape takes away the backslashes that quote: before any character, or only before those of special. A backslash
// before a line's end takes the line's end with it.
func unescape(text, special string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && (special == "" || strings.IndexByte(special, text[i+1]) >= 0) {
			i++
			if text[i] == '\n' {
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func commandError(field string, err error) error {
	var parse syntax.ParseError
	if !errors.As(err, &parse) {
		return Invalidf(field, "The command cannot be split into words: %s.", err)
	}
	if strings.Contains(parse.Text, "quote") {
		return Invalidf(field, "The command has a quote that is not closed.")
	}
	return Invalidf(field, "The command has something outside of quotes that only a shell understands (%s). %s", parse.Text, shellHint)
}

func validUTF8(s string) bool { return utf8.ValidString(s) }

// validURLPath checks that a path with its query can be sent in a request as it is.
func validURLPath(field, path string) error {
	for _, c := range path {
		if c <= ' ' || c == 0x7f {
			return Invalidf(field, "The field %s must not contain blanks or control characters; write them as %%20 and so on.", field)
		}
	}
	if _, err := url.ParseRequestURI(path); err != nil || !validUTF8(path) {
		return Invalidf(field, "The field %s is no valid path of a URL.", field)
	}
	return nil
}
