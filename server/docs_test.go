package server

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dynomad/dynomad"
)

// TestDocs holds docs/api.md against the table of routes and the table of errors.
func TestDocs(t *testing.T) {
	t.Parallel()
	for _, fault := range docsFaults(readDocs(t)) {
		t.Error(fault)
	}
}

// TestDocs_faults spoils the document in every way that TestDocs is to find.
func TestDocs_faults(t *testing.T) {
	t.Parallel()
	doc := readDocs(t)
	for _, rt := range routes {
		row := docsRow(rt)
		want := fmt.Sprintf("%s %s has no row like %q", rt.method, rt.path, row)
		if faults := docsFaults(strings.ReplaceAll(doc, row, "|")); !slices.Contains(faults, want) {
			t.Errorf("nobody misses %s %s: %q", rt.method, rt.path, faults)
		}
	}
	for kind, f := range failures {
		want := fmt.Sprintf("the error %s (%d) is not in the table", f.id, f.status)
		if faults := docsFaults(strings.ReplaceAll(doc, "`"+f.id+"`", "")); !slices.Contains(faults, want) {
			t.Errorf("nobody misses the error of kind %s: %q", kind, faults)
		}
	}
	for added, want := range map[string]string{
		"\n`GET /nowhere`":                          "GET /nowhere is no route",
		"\nPUT /apps/api-default {}":                "PUT /apps/api-default is no route",
		"\n`GET /apps/{application}`":               "GET /apps/{application} is no route",
		"\nuse `DELETE /apps/{app}/builds`.":        "DELETE /apps/{app}/builds is no route",
		"\n| `GET /apps` | write | 200 |":           "GET /apps needs the scope read, not write",
		"\n| 418 | `teapot` | when |":               "418 teapot is no error",
		"\n| 400 | `not_found` | when |":            "400 not_found is no error",
		"\n[see](#no-such-heading)":                 "no heading for the link #no-such-heading",
		"\n(GET /apps/api-default/formation/web/x)": "GET /apps/api-default/formation/web/x is no route",
	} {
		if faults := docsFaults(doc + added); !slices.Contains(faults, want) {
			t.Errorf("%q: got %q, want %q", added, faults, want)
		}
	}
}

func readDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	docsEndpoint = regexp.MustCompile(`\b(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[\w~{}/.%:-]*)`)
	docsScope    = regexp.MustCompile("(?m)^\\| `([A-Z]+) (/[^` ]*)` \\| ([^|]*) \\|")
	docsError    = regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `([a-z_]+)` \\|")
	docsHeading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	docsLink     = regexp.MustCompile(`\]\(#([^)]+)\)`)
	docsNoAnchor = regexp.MustCompile(`[^\w -]`)
)

// docsFaults says what is wrong with the document.
func docsFaults(doc string) []string {
	return slices.Concat(docsRouteFaults(doc), docsErrorFaults(doc), docsLinkFaults(doc))
}

// docsRouteFaults finds routes without a row, and endpoints, rows or examples that are of no route.
func docsRouteFaults(doc string) []string {
	var faults []string
	for _, rt := range routes {
		if row := docsRow(rt); !strings.Contains(doc, "\n"+row) {
			faults = append(faults, fmt.Sprintf("%s %s has no row like %q", rt.method, rt.path, row))
		}
	}
	for _, m := range docsEndpoint.FindAllStringSubmatch(doc, -1) {
		method, path := m[1], strings.TrimRight(m[2], ".:")
		if !slices.ContainsFunc(routes, func(rt route) bool { return rt.method == method && docsFits(rt.path, path) }) {
			faults = append(faults, method+" "+path+" is no route")
		}
	}
	for _, m := range docsScope.FindAllStringSubmatch(doc, -1) {
		for _, rt := range routes {
			if want := docsScopeOf(rt); rt.method == m[1] && rt.path == m[2] && want != m[3] {
				faults = append(faults, fmt.Sprintf("%s %s needs the scope %s, not %s", m[1], m[2], want, m[3]))
			}
		}
	}
	return faults
}

// docsRow is how the row of a route starts.
func docsRow(rt route) string {
	return fmt.Sprintf("| `%s %s` | %s |", rt.method, rt.path, docsScopeOf(rt))
}

func docsScopeOf(rt route) string {
	if rt.open {
		return "none"
	}
	return string(rt.scope)
}

// docsFits reports whether a path is a route's own, or one of an example, where the keys have values.
func docsFits(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	return len(want) == len(got) && slices.EqualFunc(want, got, func(want, got string) bool {
		return want == got || (strings.HasPrefix(want, "{") && got != "" && !strings.HasPrefix(got, "{"))
	})
}

// docsErrorFaults finds errors that are not in the table of errors, and rows that are of none.
func docsErrorFaults(doc string) []string {
	var faults []string
	known := map[string]dynomad.Kind{}
	for kind, f := range failures {
		known[fmt.Sprintf("%d %s", f.status, f.id)] = kind
	}
	listed := map[string]bool{}
	for _, m := range docsError.FindAllStringSubmatch(doc, -1) {
		row := m[1] + " " + m[2]
		listed[row] = true
		if _, ok := known[row]; !ok {
			faults = append(faults, row+" is no error")
		}
	}
	for _, f := range failures {
		if !listed[strconv.Itoa(f.status)+" "+f.id] {
			faults = append(faults, fmt.Sprintf("the error %s (%d) is not in the table", f.id, f.status))
		}
	}
	return faults
}

// docsLinkFaults finds links within the document that lead to no heading.
func docsLinkFaults(doc string) []string {
	anchors := map[string]bool{}
	for _, m := range docsHeading.FindAllStringSubmatch(doc, -1) {
		plain := docsNoAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		anchors[strings.ReplaceAll(plain, " ", "-")] = true
	}
	var faults []string
	for _, m := range docsLink.FindAllStringSubmatch(doc, -1) {
		if !anchors[m[1]] {
			faults = append(faults, "no heading for the link #"+m[1])
		}
	}
	return faults
}
