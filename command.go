package dynomad

import (
	"errors"
	"io"
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
	words, err := splitWords(command)
	var special specialError
	switch {
	case errors.As(err, &special):
		return nil, Invalidf(field, "The command has %s outside of quotes. %s", special.Error(), shellHint)
	case err != nil:
		return nil, commandError(field, err)
	}
	return words, nil
}

// splitWords splits a command piece by piece, each up to a # at a word's start. The grammar takes that for a comment; since
// ours does not, the next piece begins with it, as an ordinary character. So the time it takes grows with the length only,
// however many there are.
func splitWords(command string) ([]string, error) {
	atHash := syntax.NewParser(syntax.Variant(syntax.LangPOSIX), syntax.StopAt("#"))
	anywhere := syntax.NewParser(syntax.Variant(syntax.LangPOSIX))
	var all []string
	for rest := command; ; {
		words, end, err := parsePiece(atHash, rest)
		if parse := (syntax.ParseError{}); errors.As(err, &parse) {
			// It may have stopped inside of "$( )", where a # does begin a comment.
			words, end, err = parsePiece(anywhere, rest)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, words...)
		hash := strings.IndexByte(rest[end:], '#')
		if hash < 0 {
			return all, nil
		}
		rest = rest[end+hash:]
	}
}

// parsePiece gives the words of a piece of a command up to the first # between words, and where the last of them ends. The
// piece's own first character may be a #, which is part of a word.
func parsePiece(parser *syntax.Parser, piece string) (words []string, end int, err error) {
	src := io.Reader(strings.NewReader(piece))
	if rest, ok := strings.CutPrefix(piece, "#"); ok {
		src = io.MultiReader(strings.NewReader("x"), strings.NewReader(rest))
	}
	for w, err := range parser.WordsSeq(src) {
		if err != nil {
			return nil, 0, err
		}
		if strings.Contains(piece[end:w.Pos().Offset()], "#") {
			break
		}
		text, err := wordText(piece, w.Parts)
		if err != nil {
			return nil, 0, err
		}
		words, end = append(words, text), int(w.End().Offset())
	}
	return words, end, nil
}

// specialError is a character outside of quotes that only a shell could do something with.
type specialError string

func (e specialError) Error() string { return string(e) }

// wordText puts a word's parts together from the source's own bytes: the parser's values lack carriage returns.
func wordText(src string, parts []syntax.WordPart) (string, error) {
	var b strings.Builder
	end := parts[0].Pos().Offset()
	for _, part := range parts {
		text := src[part.Pos().Offset():part.End().Offset()]
		if strings.Contains(src[end:part.Pos().Offset()], "#") {
			return "", specialError("#") // a comment was read over: the line before it goes on after it
		}
		end = part.End().Offset()
		switch part := part.(type) {
		case *syntax.Lit:
			if c := unquotedSpecial(text); c != 0 {
				return "", specialError(c)
			}
			b.WriteString(unescape(text, ""))
		case *syntax.SglQuoted:
			if part.Dollar {
				return "", specialError("$")
			}
			b.WriteString(text[1 : len(text)-1])
		case *syntax.DblQuoted:
			if part.Dollar {
				return "", specialError("$")
			}
			b.WriteString(unescape(text[1:len(text)-1], "$`\"\\\n"))
		case *syntax.CmdSubst:
			return "", specialError(text[:1])
		default:
			return "", specialError("$")
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
