package jobs

import (
	"fmt"
	"strings"
)

// bom is dropped by HCL's reader where a text begins with it.
const bom = "\ufeff"

var templateMarks = strings.NewReplacer("${", "$${", "%{", "%%{")

// escape makes Nomad pass a text of a driver's config to the driver as it is. Nomad reads these texts as HCL templates: "${"
// is written "$${" and "%{" "%%{" (https://developer.hashicorp.com/nomad/docs/job-specification/hcl2/expressions).
// Where such an escape stands in the text already, doubling is not enough: HCL reads "$$${" in one way or another by what
// stands before it. Such a text becomes one expression, a quoted string with code points for what could be special.
// One thing is out of reach: HCL puts text into Unicode's normal form C.
func escape(s string) string {
	if strings.Contains(s, "$${") || strings.Contains(s, "%%{") || strings.HasPrefix(s, bom) {
		return quotedExpression(s)
	}
	return templateMarks.Replace(s)
}

func escapeAll(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = escape(w)
	}
	return out
}

const (
	expressionStart = `${"`
	expressionEnd   = `"}`
)

// quotedExpression writes a text as ${"…"}.
func quotedExpression(s string) string {
	var b strings.Builder
	b.WriteString(expressionStart)
	for _, c := range s {
		if special(c) {
			fmt.Fprintf(&b, `\u%04x`, c)
		} else {
			b.WriteRune(c)
		}
	}
	b.WriteString(expressionEnd)
	return b.String()
}

func special(c rune) bool {
	return strings.ContainsRune(`"\$%`+bom, c) || c < ' ' || c == 0x7f
}
