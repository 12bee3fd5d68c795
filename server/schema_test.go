package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dynomad/dynomad"
)

// schema is a JSON Schema.
type schema = map[string]any

// schemas makes JSON Schemas of Go types. Structs become components; the comments on their fields become descriptions.
type schemas struct {
	tb         testing.TB
	comments   map[string]string // by "type.Field" and "type"
	components map[string]any
}

func newSchemas(tb testing.TB) *schemas {
	return &schemas{tb: tb, comments: comments(tb), components: map[string]any{}}
}

// of gives the schema of a type.
func (s *schemas) of(t reflect.Type) schema {
	if special := s.special(t); special != nil {
		return special
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nullable(s.of(t.Elem()))
	case reflect.Slice:
		return schema{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int:
		return schema{"type": "integer"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.Interface:
		return schema{}
	case reflect.Struct:
		return s.component(t)
	}
	s.tb.Fatalf("no schema for %s", t)
	return nil
}

// special gives the schemas of types that are not worded as Go would.
func (s *schemas) special(t reflect.Type) schema {
	text, whole := schema{"type": "string"}, schema{"type": "integer"}
	switch reflect.New(t).Elem().Interface().(type) {
	case dynomad.Scope:
		return schema{"type": "string", "enum": dynomad.Scopes()}
	case optionsAnswer:
		return schema{"type": "object", "additionalProperties": false, "properties": schema{
			"env":   schema{"type": []string{"object", "null"}, "additionalProperties": text},
			"image": schema{"type": []string{"string", "null"}},
		}}
	case quantityBody:
		return schema{"anyOf": []schema{whole, {"type": "string", "pattern": `^[+-]?[0-9]{1,9}$`}}}
	case integerBody:
		return schema{"anyOf": []schema{whole, {"type": "string", "pattern": `^[0-9]{1,9}$`}}}
	case secondsBody:
		return schema{"type": "integer", "minimum": 1, "maximum": longestToken}
	case keyBody:
		return schema{"type": []string{"string", "integer"}}
	case valueBody:
		return schema{"type": []string{"string", "number", "boolean", "null"}}
	case notesBody:
		return schema{"type": "object", "additionalProperties": nullable(s.of(t.Elem()))}
	case batchBody:
		list := schema{"type": "array", "items": s.of(reflect.TypeFor[elementBody]())}
		return schema{"anyOf": []schema{list, {"type": "object", "required": []string{"updates"}, "properties": schema{"updates": list}}}}
	}
	return nil
}

// nullable is a schema that also allows null.
func nullable(s schema) schema {
	if kind, ok := s["type"].(string); ok && s["enum"] == nil {
		s["type"] = []string{kind, "null"}
		return s
	}
	if kinds, ok := s["type"].([]string); ok && slices.Contains(kinds, "null") {
		return s
	}
	return schema{"anyOf": []schema{s, {"type": "null"}}}
}

// componentName is the name of a struct's schema: "appAnswer" is App.
func componentName(t reflect.Type) string {
	name := strings.TrimSuffix(t.Name(), "Answer")
	return strings.ToUpper(name[:1]) + name[1:]
}

// component makes a struct's schema, once, and refers to it.
func (s *schemas) component(t reflect.Type) schema {
	if t.Name() == "" { // one inside of another
		return s.object(t, "")
	}
	name := componentName(t)
	if s.components[name] == nil {
		s.components[name] = schema{} // so that a type may contain itself
		s.components[name] = s.object(t, t.Name())
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

// object makes the schema of a struct's fields. In an answer every field is required that is not left out when empty; in a body
// those are that say so, and the others may be null.
func (s *schemas) object(t reflect.Type, name string) schema {
	body := strings.HasSuffix(name, "Body")
	properties, required := schema{}, []string{}
	for _, field := range reflect.VisibleFields(t) {
		tag, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		if tag == "" || (len(field.Index) > 1 && properties[tag] != nil) {
			continue
		}
		must := !body && option != "omitempty" || field.Tag.Get("must") != ""
		if must {
			required = append(required, tag)
		}
		property := s.property(declarer(t, field), field, tag)
		if body && !must {
			property = nullable(property)
		}
		if text := s.comments[declarer(t, field)+"."+field.Name]; text != "" {
			property["description"] = text
		}
		properties[tag] = property
	}
	slices.Sort(required)
	made := schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		made["required"] = slices.Compact(required)
	}
	if text := s.comments[name]; text != "" {
		made["description"] = text
	}
	return made
}

// declarer is the name of the struct that declares a field: t, or one that t embeds.
func declarer(t reflect.Type, field reflect.StructField) string {
	for _, i := range field.Index[:len(field.Index)-1] {
		t = t.Field(i).Type
	}
	return t.Name()
}

// property makes the schema of one field.
func (s *schemas) property(owner string, field reflect.StructField, tag string) schema {
	made := s.of(field.Type)
	_, isRef := made["$ref"]
	switch {
	case isRef:
	case strings.HasSuffix(tag, "_at"):
		made["format"] = "date-time"
	case tag == "id" && owner != "errorAnswer" && owner != "readyAnswer" && !strings.HasSuffix(owner, "Body"):
		made["format"] = "uuid"
	}
	if values := enums()[owner+"."+field.Name]; values != nil {
		made["enum"] = values
	}
	return made
}

// enums are the values of fields that have no others.
func enums() map[string][]string {
	var states []string
	for _, state := range dynomad.DynoStates() {
		states = append(states, string(state))
	}
	states = append(states, "up", "starting", "crashed", "down") // Heroku's
	return map[string][]string{
		"dynoAnswer.State":     states,
		"releaseAnswer.Status": {dynomad.ReleasePending, dynomad.ReleaseSucceeded, dynomad.ReleaseFailed},
		"releaseAnswer.State":  {"pending", "success", "failure"},
		"statusesAnswer.State": {"pending", "success", "failure"},
		"pendingAnswer.Status": {"pending"},
	}
}

// comments reads what the package's source says of its structs and their fields.
func comments(tb testing.TB) map[string]string {
	tb.Helper()
	found := map[string]string{}
	for _, file := range parsed(tb) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				if len(n.Specs) == 1 && n.Doc != nil {
					if spec, ok := n.Specs[0].(*ast.TypeSpec); ok && spec.Doc == nil {
						found[spec.Name.Name] = sentence(spec.Name.Name, n.Doc)
					}
				}
			case *ast.TypeSpec:
				if st, ok := n.Type.(*ast.StructType); ok {
					for _, field := range st.Fields.List {
						for _, name := range field.Names {
							found[n.Name.Name+"."+name.Name] = strings.TrimSpace(field.Comment.Text())
						}
					}
				}
			}
			return true
		})
	}
	return found
}

// sentence is a type's comment without the type's name: "appAnswer is an app: …" is "An app: …".
func sentence(name string, doc *ast.CommentGroup) string {
	text := strings.Join(strings.Fields(doc.Text()), " ")
	for _, verb := range []string{" is ", " are "} {
		if rest, ok := strings.CutPrefix(text, name+verb); ok {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return text
}

// parsed is the source of this package, tests included.
func parsed(tb testing.TB) []*ast.File {
	tb.Helper()
	packages, err := parser.ParseDir(token.NewFileSet(), ".", nil, parser.ParseComments) //nolint:staticcheck // no build tags here
	if err != nil {
		tb.Fatal(err)
	}
	var files []*ast.File
	for _, p := range packages {
		for _, file := range p.Files {
			files = append(files, file)
		}
	}
	return files
}
