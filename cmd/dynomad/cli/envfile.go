package cli

import (
	"fmt"
	"regexp"
	"strings"
)

// varName is the name of a config var at the start of a line.
var varName = regexp.MustCompile(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=`)

// parseVars reads lines of NAME=VALUE. Quotes are those of a shell: in single quotes all is literal, in double quotes a backslash
// makes \n, \r, \t and takes the meaning from what else follows; both may span lines. Outside of quotes a value ends with the line
// or at a blank and #. Nothing is expanded: $ is a $.
func parseVars(text string) (map[string]string, error) {
	vars := map[string]string{}
	p := &varParser{rest: strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n"), line: 1}
	for {
		p.skip()
		if p.rest == "" {
			return vars, nil
		}
		start := p.line
		m := varName.FindStringSubmatch(p.rest)
		if m == nil {
			return nil, fmt.Errorf("line %d is no NAME=VALUE", start)
		}
		p.take(len(m[0]))
		value, err := p.value()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", start, err)
		}
		vars[m[1]] = value
	}
}

type varParser struct {
	rest string
	line int
}

// take moves on.
func (p *varParser) take(n int) string {
	taken := p.rest[:n]
	p.line += strings.Count(taken, "\n")
	p.rest = p.rest[n:]
	return taken
}

// skip passes over blanks, empty lines and comments.
func (p *varParser) skip() {
	for p.rest != "" {
		switch p.rest[0] {
		case ' ', '\t', '\n', '\r':
			p.take(1)
		case '#':
			p.take(p.toLineEnd())
		default:
			return
		}
	}
}

func (p *varParser) toLineEnd() int {
	if end := strings.IndexByte(p.rest, '\n'); end >= 0 {
		return end
	}
	return len(p.rest)
}

// value reads what stands after the equals sign.
func (p *varParser) value() (string, error) {
	if p.take(len(p.rest)-len(strings.TrimLeft(p.rest, " \t"))) != "" && strings.HasPrefix(p.rest, "#") {
		p.take(p.toLineEnd())
	}
	var value, blanks strings.Builder // blanks count only if something follows them
	for p.rest != "" && p.rest[0] != '\n' {
		if strings.IndexByte(" \t\r", p.rest[0]) >= 0 {
			blanks.WriteString(p.take(1))
			if strings.HasPrefix(p.rest, "#") {
				p.take(p.toLineEnd())
			}
			continue
		}
		part, err := p.part()
		if err != nil {
			return "", err
		}
		value.WriteString(blanks.String() + part)
		blanks.Reset()
	}
	return value.String(), nil
}

// part reads one character, with a backslash before it or not, or what stands between quotes.
func (p *varParser) part() (string, error) {
	switch c := p.rest[0]; {
	case c == '\'' || c == '"':
		return p.quoted(c)
	case c == '\\' && len(p.rest) > 1 && p.rest[1] != '\n':
		p.take(1)
	}
	return p.take(1), nil
}

// quoted reads what stands between quotes.
func (p *varParser) quoted(quote byte) (string, error) {
	p.take(1)
	var value strings.Builder
	for p.rest != "" {
		c := p.take(1)[0]
		switch {
		case c == quote:
			return value.String(), nil
		case c == '\\' && quote == '"' && p.rest != "":
			value.WriteString(unescaped(p.take(1)))
		default:
			value.WriteByte(c)
		}
	}
	return "", fmt.Errorf("a %c is not closed", quote)
}

func unescaped(c string) string {
	switch c {
	case "n":
		return "\n"
	case "r":
		return "\r"
	case "t":
		return "\t"
	}
	return c
}
