package dynomad_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secretName is how variables and fields are called that hold a secret, or its hash.
var secretName = regexp.MustCompile(`(?i)(token|secret|password|tokenhash)$`)

// compared are the places that compare what is called like a secret with ==, and why that tells nobody anything.
var compared = map[string]string{
	"store/authorizations.go: TokenHash == TokenHash": "of hashes, when the daemon starts: no request comes near",
}

// TestSecretsAreNotCompared holds that nothing compares a token or another secret byte by byte: how long that takes tells how much of it is
// right. They are looked up by their hash, or compared with crypto/subtle.
func TestSecretsAreNotCompared(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "nomadtest" || d.Name() == "bin" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		for _, found := range comparisons(t, path) {
			seen[found] = true
			if compared[found] == "" {
				t.Errorf("%s: use crypto/subtle, or look it up by its hash", found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for place := range compared {
		if !seen[place] {
			t.Errorf("%s is no more", place)
		}
	}
}

// comparisons finds where a file compares secrets: "file: a == b".
func comparisons(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && areSecret(n.X, n.Y) {
				found = append(found, fmt.Sprintf("%s: %s == %s", filepath.ToSlash(path), nameOf(n.X), nameOf(n.Y)))
			}
		case *ast.CallExpr:
			if called := nameOf(n.Fun); len(n.Args) == 2 && (called == "Equal" || called == "Compare" || called == "EqualFold") && areSecret(n.Args[0], n.Args[1]) {
				found = append(found, fmt.Sprintf("%s: %s(%s, %s)", filepath.ToSlash(path), called, nameOf(n.Args[0]), nameOf(n.Args[1])))
			}
		}
		return true
	})
	return found
}

// areSecret reports whether a comparison is of a secret with something that is not written down beside it.
func areSecret(x, y ast.Expr) bool {
	for _, e := range []ast.Expr{x, y} {
		if _, literal := e.(*ast.BasicLit); literal || nameOf(e) == "nil" {
			return false
		}
	}
	return isSecret(x) || isSecret(y)
}

func isSecret(e ast.Expr) bool { return secretName.MatchString(nameOf(e)) }

// nameOf gives the last name of an expression: b of a.b.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.IndexExpr:
		return nameOf(e.X)
	case *ast.ParenExpr:
		return nameOf(e.X)
	case *ast.CallExpr:
		return nameOf(e.Fun)
	}
	return ""
}

// TestComparisons checks that the rule would find one.
func TestComparisons(t *testing.T) {
	t.Parallel()
	const code = `package x
func f(a, token, rootToken string) bool {
	return token == a || a != s.Secret || bytes.Equal(rootToken, a) || token == "" || a == token[0:] || s.Token == nil || tokens == a
}`
	path := filepath.Join(t.TempDir(), "x.go")
	if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := comparisons(t, path); len(found) != 3 {
		t.Errorf("found %q", found)
	}
}
