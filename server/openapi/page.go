package openapi

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed page.html
var pageText string

// Page gives the description as one page of HTML without scripts, which loads nothing.
func Page() ([]byte, error) { return page() }

// page makes the page once, when somebody first looks at it.
var page = sync.OnceValues(func() ([]byte, error) {
	var d description
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, fmt.Errorf("read the description: %w", err)
	}
	tmpl, err := template.New("page").Funcs(template.FuncMap{"words": words}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("read the page: %w", err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, d); err != nil {
		return nil, fmt.Errorf("make the page: %w", err)
	}
	return out.Bytes(), nil
})

// words makes what stands between backticks code.
func words(text string) template.HTML {
	var out strings.Builder
	for i, part := range strings.Split(text, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		out.WriteString(part)
	}
	return template.HTML(out.String()) //nolint:gosec // escaped above
}

// The parts of an OpenAPI document that the page shows.
type (
	description struct {
		Info struct{ Title, Version, Description string }
		Tags []struct{ Name, Description string }
		// Paths has, by path and method, the operations.
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]schema }
	}
	operation struct {
		Method, Path         string `json:"-"`
		ID                   string `json:"operationId"`
		Summary, Description string
		Scope                string `json:"x-scope"`
		Tags                 []string
		Parameters           []parameter
		RequestBody          *body
		Responses            map[string]body
	}
	parameter struct{ Name, In, Description string }
	body      struct {
		Status      string `json:"-"`
		Required    bool
		Description string
		Content     map[string]struct {
			Schema   schema
			Examples map[string]example
		}
	}
	example struct {
		Name    string `json:"-"`
		Summary string
		Value   json.RawMessage
	}
	schema struct {
		Ref         string `json:"$ref"`
		Type        any
		Format      string
		Pattern     string
		Description string
		Enum        []string
		Required    []string
		Items       *schema
		AnyOf       []schema
		Properties  map[string]schema
		// Additional is a schema, or false.
		Additional json.RawMessage `json:"additionalProperties"`
	}
)

// Operations lists a tag's operations, by path.
func (d description) Operations(tag string) []operation {
	order := []string{"get", "post", "put", "patch", "delete"}
	var list []operation
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range order {
			if op, ok := d.Paths[path][method]; ok && slices.Contains(op.Tags, tag) {
				op.Method, op.Path = strings.ToUpper(method), path
				list = append(list, op)
			}
		}
	}
	return list
}

// Answers lists an operation's answers by status, the others last.
func (op operation) Answers() []body {
	var list []body
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		answer := op.Responses[status]
		answer.Status = status
		list = append(list, answer)
	}
	return list
}

// Schema gives what a body is made of; nil if it is no JSON.
func (b body) Schema() *schema {
	for media, content := range b.Content {
		if media == "application/json" {
			return &content.Schema
		}
	}
	return nil
}

// Examples lists a body's examples by name.
func (b body) Examples() []example {
	var list []example
	for _, content := range b.Content {
		for name, e := range content.Examples {
			e.Name = name
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b example) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// JSON gives an example as it is read best.
func (e example) JSON() string {
	var out bytes.Buffer
	if json.Indent(&out, e.Value, "", "  ") != nil {
		return string(e.Value)
	}
	return out.String()
}

// Paragraphs cuts a description at its empty lines.
func (d description) Paragraphs(text string) []string { return strings.Split(text, "\n\n") }

// field is a property of an object.
type field struct {
	Name     string
	Required bool
	schema
}

// Fields lists the properties of an object by name.
func (s schema) Fields() []field {
	var list []field
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		list = append(list, field{name, slices.Contains(s.Required, name), s.Properties[name]})
	}
	return list
}

// Link is the name of the type that a schema is or contains, "" if there is none.
func (s schema) Link() string {
	if s.Ref != "" {
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	}
	inner := s.AnyOf
	if s.Items != nil {
		inner = append(inner, *s.Items)
	}
	if values, ok := s.values(); ok {
		inner = append(inner, values)
	}
	for _, part := range inner {
		if name := part.Link(); name != "" {
			return name
		}
	}
	return ""
}

// values is the schema of an object's values that have any name.
func (s schema) values() (schema, bool) {
	var values schema
	if len(s.Additional) == 0 || s.Additional[0] != '{' {
		return values, false
	}
	err := json.Unmarshal(s.Additional, &values)
	return values, err == nil
}

// Words says in words what a schema allows.
func (s schema) Words() string {
	values, open := s.values()
	switch {
	case s.Ref != "":
		return s.Link()
	case len(s.AnyOf) > 0:
		return join(s.AnyOf, schema.Words)
	case s.Items != nil:
		return "array of " + s.Items.Words()
	case open:
		return "object of " + values.Words()
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, ", ")
	case s.Format != "":
		return s.types() + " (" + s.Format + ")"
	}
	return s.types()
}

func (s schema) types() string {
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		return join(t, func(v any) string { return fmt.Sprint(v) })
	}
	return "anything"
}

func join[T any](list []T, word func(T) string) string {
	words := make([]string, len(list))
	for i, item := range list {
		words[i] = word(item)
	}
	return strings.Join(words, " or ")
}

// Class is what the page's style calls the method.
func (op operation) Class() string { return strings.ToLower(op.Method) }
