package dynomad

import (
	"context"
	"time"
)

// Authenticate finds whose token it is; Unauthenticated if it is nobody's or has expired.
func (p *Platform) Authenticate(ctx context.Context, token string) (Principal, error) {
	a, err := p.tokens.AuthorizationByHash(ctx, HashToken(token))
	if KindOf(err) == NotFound || (err == nil && a.ExpiresAt != nil && !p.Now().Before(*a.ExpiresAt)) {
		return Principal{}, Errorf(Unauthenticated, "The token is not known or has expired.")
	}
	if err != nil {
		return Principal{}, err
	}
	return a.principal(), nil
}

func (a Authorization) principal() Principal {
	email := a.Email
	if email == "" {
		email = RootEmail
	}
	return Principal{TokenID: a.ID, Email: email, Scopes: a.Scopes, AppID: a.AppID, SpaceID: a.SpaceID}
}

// CreateAuthorization makes a token with at most the rights of the principal; token is the secret, hashed here.
func (p *Platform) CreateAuthorization(ctx context.Context, n NewAuthorization, token string) (Authorization, error) {
	if err := n.Validate(); err != nil {
		return Authorization{}, err
	}
	who := PrincipalFrom(ctx)
	for _, s := range n.Scopes {
		if !who.Has(s) {
			return Authorization{}, Errorf(Forbidden, "This token cannot grant the scope %s, which it does not have.", s)
		}
	}
	now := p.Now()
	a := Authorization{
		ID: p.NewID(), Description: n.Description, Scopes: n.Scopes, AppID: who.AppID, SpaceID: who.SpaceID,
		MakerID: who.TokenID, TokenHash: HashToken(token), CreatedAt: now, UpdatedAt: now,
	}
	if who.Email != RootEmail {
		a.Email = who.Email
	}
	if n.App != "" {
		s, err := p.state(ctx, n.App)
		if err != nil {
			return Authorization{}, err
		}
		a.AppID, a.SpaceID = s.App.ID, ""
	}
	if n.Space != "" {
		space, err := p.Space(ctx, n.Space)
		if err != nil {
			return Authorization{}, err
		}
		if who.AppID != "" {
			return Authorization{}, Errorf(Forbidden, "This token is tied to one app and cannot make one for a space.")
		}
		a.SpaceID = space.ID
	}
	var err error
	if a.ExpiresAt, err = p.expiry(ctx, n.ExpiresIn, now); err != nil {
		return Authorization{}, err
	}
	return a, p.tokens.CreateAuthorization(ctx, a, p.audit(ctx, "authorization.create", "Created a token."))
}

// expiry gives when a new token ends: as asked, but not after its maker.
func (p *Platform) expiry(ctx context.Context, in time.Duration, now time.Time) (*time.Time, error) {
	var at *time.Time
	if in > 0 {
		t := now.Add(in)
		at = &t
	}
	maker, err := p.tokens.Authorization(ctx, PrincipalFrom(ctx).TokenID)
	if err != nil {
		return nil, err
	}
	if maker.ExpiresAt != nil && (at == nil || at.After(*maker.ExpiresAt)) {
		at = maker.ExpiresAt
	}
	return at, nil
}

// Authorizations lists the tokens' records, oldest first.
func (p *Platform) Authorizations(ctx context.Context) ([]Authorization, error) {
	return p.tokens.Authorizations(ctx)
}

// Authorization gives one token's record.
func (p *Platform) Authorization(ctx context.Context, id string) (Authorization, error) {
	return p.tokens.Authorization(ctx, id)
}

// DeleteAuthorization ends a token and all that were made with it. The root token's cannot be deleted.
func (p *Platform) DeleteAuthorization(ctx context.Context, id string) (Authorization, error) {
	return p.tokens.DeleteAuthorization(ctx, id, p.audit(ctx, "authorization.delete", "Deleted a token."))
}

// EnsureRoot records the root token, which has all rights; token is its secret. An earlier root token ends.
func EnsureRoot(now time.Time, id, token string) Authorization {
	return Authorization{
		ID: id, Description: "root token", Scopes: []Scope{ScopeGlobal}, TokenHash: HashToken(token),
		CreatedAt: now, UpdatedAt: now,
	}
}
