package dynomad

import (
	"context"
	"fmt"
)

// CreateApp makes an app in a space. It has no dyno types and no release.
func (p *Platform) CreateApp(ctx context.Context, n NewApp) (AppState, error) {
	n = n.Normalize()
	if err := n.Validate(); err != nil {
		return AppState{}, err
	}
	who := PrincipalFrom(ctx)
	if who.AppID != "" {
		return AppState{}, Errorf(Forbidden, "This token is tied to one app and cannot create others.")
	}
	if who.SpaceID != "" {
		space, err := p.Space(ctx, n.Space)
		if err != nil {
			return AppState{}, err
		}
		if space.ID != who.SpaceID {
			return AppState{}, Errorf(NotFound, "The space %s does not exist.", clip(n.Space))
		}
	}
	now := p.Now()
	app := App{
		ID: p.NewID(), Name: n.FullName(), SimpleName: n.Name, Org: n.Org, Description: n.Description, Labels: n.Labels,
		AutoRelease: true, OwnerID: who.TokenID, OwnerEmail: who.Email, CreatedAt: now, UpdatedAt: now,
	}
	app, err := p.apps.CreateApp(ctx, app, n.Space, p.audit(ctx, "app.create", "Created "+app.Name+"."))
	if err != nil {
		return AppState{}, err
	}
	return AppState{App: app}, nil
}

// Apps lists the apps that the principal may see, by name.
func (p *Platform) Apps(ctx context.Context) ([]AppState, error) {
	all, err := p.apps.Apps(ctx)
	if err != nil {
		return nil, err
	}
	who := PrincipalFrom(ctx)
	seen := make([]AppState, 0, len(all))
	for _, s := range all {
		if who.Sees(s.App.ID, s.App.SpaceID) {
			seen = append(seen, s)
		}
	}
	return seen, nil
}

// App gives one app by full name or id.
func (p *Platform) App(ctx context.Context, key string) (AppState, error) { return p.state(ctx, key) }

// UpdateApp changes an app's texts or puts it into or out of maintenance.
func (p *Platform) UpdateApp(ctx context.Context, key string, c AppChange) (AppState, error) {
	if err := c.validate(); err != nil {
		return AppState{}, err
	}
	return p.edit(ctx, key, func(s AppState) (Edit, error) {
		if c.Name != nil && *c.Name != s.App.Name && *c.Name != s.App.SimpleName {
			return Edit{}, Invalidf("name", "Apps cannot be renamed.")
		}
		app, details := s.App, ""
		if c.Maintenance != nil && *c.Maintenance != app.Maintenance {
			app.Maintenance = *c.Maintenance
			details = fmt.Sprintf("Set maintenance to %t.", app.Maintenance)
		}
		if c.Description != nil && *c.Description != app.Description {
			app.Description, details = *c.Description, joinSentences(details, "Changed the description.")
		}
		if c.Labels != nil && *c.Labels != app.Labels {
			app.Labels, details = *c.Labels, joinSentences(details, "Changed the labels.")
		}
		if details == "" {
			return Edit{}, nil
		}
		app.UpdatedAt = p.Now()
		return Edit{App: &app, Audits: []Audit{p.audit(ctx, "app.update", details)}}, nil
	})
}

func (c AppChange) validate() error {
	var fields []textField
	if c.Description != nil {
		fields = append(fields, textField{"description", *c.Description})
	}
	if c.Labels != nil {
		fields = append(fields, textField{"labels", *c.Labels})
	}
	return validTexts(fields...)
}

// DeleteApp removes an app. Its name is free at once; the loop ends its jobs and removes its variables.
func (p *Platform) DeleteApp(ctx context.Context, key string) (AppState, error) {
	who := PrincipalFrom(ctx)
	var change announced
	check := func(app App) error {
		if !who.Sees(app.ID, app.SpaceID) {
			return appMissing(key)
		}
		change = p.announce(ctx, app.ID)
		return nil
	}
	s, err := p.apps.DeleteApp(ctx, key, check, p.audit(ctx, "app.delete", "Deleted the app."))
	p.wakeAfter(ctx, change)
	if err != nil {
		return AppState{}, err
	}
	return s, nil
}

func joinSentences(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}
