package server

import (
	"go/ast"
	"go/token"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// source is the package's functions by name.
type source map[string]*ast.FuncDecl

func functions(files []*ast.File) source {
	all := source{}
	for _, file := range files {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
				all[f.Name.Name] = f
			}
		}
	}
	return all
}

// readers are the ways to read a field of a body; the function field has the name second.
var readers = []string{
	"text", "optionalText", "textOrNil", "flag", "optionalFlag", "flagOrNil", "quantity", "integer", "key", "child", "texts", "env",
	"commands",
}

// reads finds the fields and the query parameters that a function reads, by itself or through functions that it names.
func (s source) reads(name string) (fields, query []string) {
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		f := s[name]
		if f == nil || seen[name] {
			return
		}
		seen[name] = true
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				visit(n.Name)
			case *ast.CallExpr:
				where, text := readBy(n)
				switch {
				case where == "Get" && text != "":
					query = append(query, text)
				case text != "":
					fields = append(fields, text)
				}
			}
			return true
		})
	}
	visit(name)
	slices.Sort(fields)
	slices.Sort(query)
	return slices.Compact(fields), slices.Compact(query)
}

var fieldName = regexp.MustCompile(`^[A-Za-z_-]+$`)

// readBy gives the constant name that a call reads, and by what; "" for other calls.
func readBy(call *ast.CallExpr) (by, name string) {
	arg := 0
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		by = f.Sel.Name
		receiver, _ := f.X.(*ast.Ident)
		if !slices.Contains(readers, by) && (by != "Get" || receiver == nil || receiver.Name != "query") {
			return "", ""
		}
	case *ast.Ident:
		if by, arg = f.Name, 1; by != "field" {
			return "", ""
		}
	}
	if len(call.Args) <= arg {
		return "", ""
	}
	literal, ok := call.Args[arg].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", ""
	}
	if name, _ = strconv.Unquote(literal.Value); !fieldName.MatchString(name) {
		return "", ""
	}
	return by, name
}

// handlerName is the name of a route's handler: "createApp".
func handlerName(rt route) string {
	full := runtime.FuncForPC(reflect.ValueOf(rt.handle).Pointer()).Name()
	return full[strings.LastIndex(full, ".")+1:]
}
