package dynomad

import (
	"context"
	"slices"
)

// Scope is a right that a token carries, as Heroku defines them.
type Scope string

// The scopes. The -protected ones add what can reveal config var values: the values, one-off dynos, attach and logs.
const (
	ScopeGlobal         Scope = "global"
	ScopeRead           Scope = "read"
	ScopeWrite          Scope = "write"
	ScopeReadProtected  Scope = "read-protected"
	ScopeWriteProtected Scope = "write-protected"
)

// Scopes lists every scope.
func Scopes() []Scope {
	return []Scope{ScopeGlobal, ScopeRead, ScopeWrite, ScopeReadProtected, ScopeWriteProtected}
}

// RootEmail is the account of the root token.
const RootEmail = "root@dynomad.local"

// Principal is who sends a request: the holder of a token.
type Principal struct {
	TokenID string
	Email   string
	Scopes  []Scope
	AppID   string // tied to this app, if set
	SpaceID string // tied to this space, if set
	Root    bool
}

// Has reports whether one of the principal's scopes includes s: global includes all, write includes read, a -protected
// one includes its plain one, and write-protected includes read-protected.
func (p Principal) Has(s Scope) bool {
	return slices.ContainsFunc(p.Scopes, func(held Scope) bool { return held.includes(s) })
}

func (s Scope) includes(other Scope) bool {
	switch s {
	case ScopeGlobal:
		return true
	case ScopeWriteProtected:
		return other != ScopeGlobal
	case ScopeReadProtected:
		return other == ScopeRead || other == ScopeReadProtected
	case ScopeWrite:
		return other == ScopeWrite || other == ScopeRead
	case ScopeRead:
		return other == ScopeRead
	}
	return false
}

// Sees reports whether the principal's ties let it know of an app.
func (p Principal) Sees(appID, spaceID string) bool {
	if p.AppID != "" {
		return p.AppID == appID
	}
	return p.SpaceID == "" || p.SpaceID == spaceID
}

type principalKey struct{}

// WithPrincipal gives a context that carries who sends the request.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom gives who sends the request, or the zero Principal, which may do nothing.
func PrincipalFrom(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}
