package server

import "github.com/dynomad/dynomad"

// Route is a line of the table of routes, for tests.
type Route struct {
	Method, Path, Kind string
	Scope              dynomad.Scope
	Open, Tied         bool
}

// The kinds of resource that matter to tokens with ties.
const (
	KindApp   = kindApp
	KindSpace = kindSpace
	KindSlug  = kindSlug
	KindToken = kindToken
)

// Routes gives the table of routes.
func Routes() []Route {
	return convert(routes, func(r route) Route {
		return Route{Method: r.method, Path: r.path, Kind: r.kind, Scope: r.scope, Open: r.open, Tied: r.tied}
	})
}
