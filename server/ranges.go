package server

import (
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/dynomad/dynomad"
)

// How many items a page of a list has: if the client does not say, and at most. Heroku has the same.
const (
	defaultPage = 200
	maxPage     = 1000
)

// attribute is something that a list can be sorted and cut by.
type attribute[T any] struct {
	name    string
	numeric bool
	of      func(T) string
}

// page is what a Range header asks for: "name a..m; max=10, order=desc". The bounds hold whatever the order; a "]" before
// the first or a "[" after the last leaves the bound itself out.
type page struct {
	attribute     string
	first, last   string
	after, before bool // the bounds themselves are left out
	max           int
	descending    bool
}

// respondList sends a list: whole without a Range header, else the part that the header asks for. Of items that share a
// value either all or none are on a page, so that none is lost between two pages.
func respondList[T any](w http.ResponseWriter, r *http.Request, items []T, attributes ...attribute[T]) error {
	if items == nil {
		items = []T{}
	}
	names := make([]string, len(attributes))
	for i, a := range attributes {
		names[i] = a.name
	}
	w.Header().Set("Accept-Ranges", strings.Join(names, ", "))
	header := r.Header.Get("Range")
	if header == "" {
		return respond(w, http.StatusOK, items)
	}
	p, err := parsePage(header)
	if err != nil {
		return err
	}
	i := slices.Index(names, p.attribute)
	if i < 0 {
		return dynomad.Errorf(badRange, "The Range header must name one of %s.", strings.Join(names, ", "))
	}
	of := attributes[i].of
	part, more, err := cut(items, p, attributes[i])
	if err != nil {
		return err
	}
	if len(part) > 0 {
		w.Header().Set("Content-Range", p.attribute+" "+of(part[0])+".."+of(part[len(part)-1])+"; max="+strconv.Itoa(p.max))
	}
	if !more {
		return respond(w, http.StatusOK, part)
	}
	w.Header().Set("Next-Range", p.next(of(part[len(part)-1])))
	return respond(w, http.StatusPartialContent, part)
}

// cut gives the part of a list that is on a page, and whether more follows.
func cut[T any](items []T, p page, by attribute[T]) (part []T, more bool, err error) {
	first, ok := sortable(p.first, by.numeric)
	last, fine := sortable(p.last, by.numeric)
	if !ok || !fine {
		return nil, false, dynomad.Errorf(badRange, "The bounds of a Range by %s must be whole numbers.", by.name)
	}
	key := func(item T) string {
		k, _ := sortable(by.of(item), by.numeric)
		return k
	}
	part = make([]T, 0, len(items))
	for _, item := range items {
		if p.holds(key(item), first, last) {
			part = append(part, item)
		}
	}
	sort.SliceStable(part, func(i, j int) bool {
		if p.descending {
			i, j = j, i
		}
		return key(part[i]) < key(part[j])
	})
	end := min(p.max, len(part))
	for end > 0 && end < len(part) && key(part[end]) == key(part[end-1]) {
		end++
	}
	return part[:end], end < len(part), nil
}

// holds reports whether a value lies between the bounds.
func (p page) holds(value, first, last string) bool {
	low := p.first == "" || value > first || (value == first && !p.after)
	high := p.last == "" || value < last || (value == last && !p.before)
	return low && high
}

// sortable gives a value such that values compare as texts do; it is false for a number that is none.
func sortable(value string, numeric bool) (string, bool) {
	const digits = 18
	if !numeric || value == "" {
		return value, true
	}
	if !digitsPattern.MatchString(value) {
		return "", false
	}
	return strings.Repeat("0", digits-len(value)) + value, true
}

var digitsPattern = regexp.MustCompile(`^[0-9]{1,18}$`)

// next is the Range of the page after one that ends with a value.
func (p page) next(value string) string {
	from, to := p.first, p.last
	if p.after {
		from = "]" + from
	}
	if p.before {
		to += "["
	}
	if p.descending {
		return p.attribute + " " + from + ".." + value + "[; max=" + strconv.Itoa(p.max) + ", order=desc"
	}
	return p.attribute + " ]" + value + ".." + to + "; max=" + strconv.Itoa(p.max)
}

// parsePage reads a Range header. The parameters may be split by commas or semicolons, as clients do both.
func parsePage(header string) (page, error) {
	p := page{max: defaultPage}
	bounds, params, _ := strings.Cut(header, ";")
	var ok bool
	if p.attribute, bounds, ok = strings.Cut(strings.TrimSpace(bounds), " "); !ok {
		return p, badRange
	}
	if p.first, p.last, ok = strings.Cut(strings.TrimSpace(bounds), ".."); !ok {
		return p, badRange
	}
	p.first, p.after = strings.CutPrefix(p.first, "]")
	p.last, p.before = strings.CutSuffix(p.last, "[")
	for _, param := range strings.FieldsFunc(params, func(c rune) bool { return c == ',' || c == ';' }) {
		if err := p.set(strings.Cut(strings.TrimSpace(param), "=")); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *page) set(name, value string, _ bool) error {
	switch {
	case name == "max":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return dynomad.Errorf(badRange, "The max of a Range must be a whole number, 1 or more.")
		}
		p.max = min(n, maxPage)
	case name == "order" && (value == "asc" || value == "desc"):
		p.descending = value == "desc"
	case name != "":
		return badRange
	}
	return nil
}
