// Package openapi holds the description of the API in OpenAPI 3.1, and shows it as a page. The description is made by the tests
// of package server, of the table of routes, the types of answers and bodies, and the recorded transcripts: make golden.
package openapi

import (
	_ "embed"
	"slices"
)

//go:embed openapi.json
var document []byte

// Document gives the description, as JSON.
func Document() []byte { return slices.Clone(document) }
