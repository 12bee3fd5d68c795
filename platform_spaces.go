package dynomad

import "context"

// spaceStore keeps spaces. Keys are a space's name or id.
type spaceStore interface {
	CreateSpace(ctx context.Context, space Space, audit Audit) (Space, error)
	Spaces(ctx context.Context) ([]Space, error) // by name
	Space(ctx context.Context, key string) (Space, error)
	DeleteSpace(ctx context.Context, key string, audit Audit) (Space, error) // Conflict while it has apps, or is the default one
}

// CreateSpace makes a space.
func (p *Platform) CreateSpace(ctx context.Context, n NewSpace) (Space, error) {
	if err := n.Validate(); err != nil {
		return Space{}, err
	}
	now := p.Now()
	space := Space{
		ID: p.NewID(), Name: n.Name, Description: n.Description, NomadNamespace: n.NomadNamespace,
		CreatedAt: now, UpdatedAt: now,
	}
	return p.spaces.CreateSpace(ctx, space, p.audit(ctx, "space.create", "Created the space "+n.Name+"."))
}

// Spaces lists the spaces that the principal may see, by name.
func (p *Platform) Spaces(ctx context.Context) ([]Space, error) {
	all, err := p.spaces.Spaces(ctx)
	if err != nil {
		return nil, err
	}
	seen := make([]Space, 0, len(all))
	for _, s := range all {
		if ok, err := p.seesSpace(ctx, s); err != nil {
			return nil, err
		} else if ok {
			seen = append(seen, s)
		}
	}
	return seen, nil
}

// Space gives one space by name or id.
func (p *Platform) Space(ctx context.Context, key string) (Space, error) {
	s, err := p.spaces.Space(ctx, key)
	if err != nil {
		return Space{}, err
	}
	ok, err := p.seesSpace(ctx, s)
	if err != nil {
		return Space{}, err
	}
	if !ok {
		return Space{}, Errorf(NotFound, "The space %s does not exist.", clip(key))
	}
	return s, nil
}

// seesSpace reports whether the principal's ties let it know of a space: its own, or the one that its app is in.
func (p *Platform) seesSpace(ctx context.Context, s Space) (bool, error) {
	who := PrincipalFrom(ctx)
	if who.AppID != "" {
		app, err := p.apps.AppState(ctx, who.AppID)
		if KindOf(err) == NotFound {
			return false, nil
		}
		return app.App.SpaceID == s.ID, err
	}
	return who.SpaceID == "" || who.SpaceID == s.ID, nil
}

// DeleteSpace removes a space that has no apps.
func (p *Platform) DeleteSpace(ctx context.Context, key string) (Space, error) {
	return p.spaces.DeleteSpace(ctx, key, p.audit(ctx, "space.delete", "Deleted the space "+clip(key)+"."))
}
