package openapi

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPage checks that the page shows every operation and type, that its links lead somewhere, and that it loads nothing.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := Page()
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, path := range regexp.MustCompile(`(?m)^  "(/[^"]*)": \{`).FindAllStringSubmatch(string(document), -1) {
		if !strings.Contains(text, `<code class="path">`+path[1]+"</code>") {
			t.Errorf("%s is not on the page", path[1])
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(text, -1) {
		id := strings.NewReplacer("%20", " ").Replace(link[1])
		if !strings.Contains(text, `id="`+id+`"`) {
			t.Errorf("the link #%s leads nowhere", link[1])
		}
	}
	for _, bad := range []string{"<script", "src=", "@import", "url(", "<link"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", "DynoType", "app-crashed", "Needs the scope"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if len(page) > 1<<20 {
		t.Errorf("the page has %d bytes", len(page))
	}
	balanced(t, text)
}

// balanced checks that every element is closed where it should be.
func balanced(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = append(open, e.Name.Local)
		case xml.EndElement:
			if n := len(open); n == 0 || open[n-1] != e.Name.Local {
				t.Fatalf("</%s> closes %v", e.Name.Local, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 && !slices.Equal(open, nil) {
		t.Errorf("not closed: %v", open)
	}
}
