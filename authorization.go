package dynomad

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// Authorization is a token's record. The token itself is shown once, when it is made; only its hash is kept.
type Authorization struct {
	ID          string
	Description string
	Email       string // account e-mail shown for it; "" is RootEmail
	Scopes      []Scope
	AppID       string // tied to this app
	SpaceID     string // tied to this space
	MakerID     string // the authorization that made it; "" for the root token's
	TokenHash   string // HashToken of the token
	ExpiresAt   *time.Time
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// HashToken gives what is stored of a token. Tokens are random and long, so a plain SHA-256 is enough.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// NewAuthorization is what a client asks of a new token.
type NewAuthorization struct {
	Description string
	Scopes      []Scope
	App         string // name or id to tie it to
	Space       string
	ExpiresIn   time.Duration // 0 never
}

// Validate checks a NewAuthorization by itself.
func (n NewAuthorization) Validate() error {
	if len(n.Scopes) == 0 {
		return Invalidf("scope", "The scope is missing: one or more of global, read, write, read-protected, write-protected.")
	}
	for _, s := range n.Scopes {
		if !slices.Contains(Scopes(), s) {
			return Invalidf("scope", "The scope %s is not known; scopes are global, read, write, read-protected, write-protected.", quoted(string(s)))
		}
	}
	if n.App != "" && n.Space != "" {
		return Invalidf("space", "A token is tied to an app or to a space, not to both.")
	}
	const longest = 100 * 365 * 24 * time.Hour
	if n.ExpiresIn < 0 || n.ExpiresIn > longest {
		return Invalidf("expires_in", "The field expires_in must be seconds, from 1 to 100 years.")
	}
	return validTexts(textField{"description", n.Description})
}

// tokenStore keeps authorizations.
type tokenStore interface {
	CreateAuthorization(ctx context.Context, a Authorization, audit Audit) error
	Authorizations(ctx context.Context) ([]Authorization, error) // oldest first
	Authorization(ctx context.Context, id string) (Authorization, error)
	// DeleteAuthorization removes it and all that it made, directly or not.
	DeleteAuthorization(ctx context.Context, id string, audit Audit) (Authorization, error)
	AuthorizationByHash(ctx context.Context, hash string) (Authorization, error) // NotFound if there is none
}
