package dynomad

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// CreateBuild makes a build of an image reference and, unless the app has auto-release off, releases it.
func (p *Platform) CreateBuild(ctx context.Context, key string, n NewBuild) (AppState, Build, error) {
	image, err := n.Validate()
	if err != nil {
		return AppState{}, Build{}, err
	}
	return p.addBuild(ctx, key, func(AppState) (Build, error) {
		return Build{
			Image: image, URL: n.URL, Checksum: n.Checksum, Version: n.Version, SHA: n.SHA, Branch: n.Branch, Repo: n.Repo,
			Author: n.Author, Message: n.Message, ProcessTypes: n.ProcessTypes,
		}, nil
	})
}

// Rebuild makes a new build like an earlier one.
func (p *Platform) Rebuild(ctx context.Context, key, id string) (AppState, Build, error) {
	s, old, err := p.Build(ctx, key, id)
	if err != nil {
		return s, old, err
	}
	return p.addBuild(ctx, key, func(AppState) (Build, error) { return old, nil })
}

// addBuild appends a build that from gives, numbered and stamped here, and releases it if the app wants that.
func (p *Platform) addBuild(ctx context.Context, key string, from func(AppState) (Build, error)) (AppState, Build, error) {
	var build Build
	after, err := p.edit(ctx, key, func(s AppState) (Edit, error) {
		var err error
		if build, err = from(s); err != nil {
			return Edit{}, err
		}
		who, now := PrincipalFrom(ctx), p.Now()
		build.ID, build.AppID, build.AppName, build.Number = p.NewID(), s.App.ID, s.App.Name, s.Builds+1
		build.Status, build.UserID, build.UserEmail = BuildSucceeded, who.TokenID, who.Email
		build.ReleaseID, build.CreatedAt, build.UpdatedAt = "", now, now
		e := Edit{Build: &build, Audits: []Audit{p.audit(ctx, "build.create", "Created a build of "+build.Image+".")}}
		if !s.App.AutoRelease {
			return e, nil
		}
		e, err = p.release(ctx, s, e, build, s.ConfigID, "Deploy "+build.Image)
		if err == nil {
			build.ReleaseID = e.Release.ID
		}
		return e, err
	})
	return after, build, err
}

// CreateRelease releases a slug, or rolls back to an earlier release: a new release with its slug and its config vars.
func (p *Platform) CreateRelease(ctx context.Context, key string, n NewRelease) (AppState, Release, error) {
	if err := n.Validate(); err != nil {
		return AppState{}, Release{}, err
	}
	s, err := p.state(ctx, key)
	if err != nil {
		return AppState{}, Release{}, err
	}
	buildID, configID, description := n.Slug, "", n.Description
	if n.Release != "" {
		old, err := p.ledger.Release(ctx, s.App.ID, n.Release)
		if err != nil {
			return AppState{}, Release{}, err
		}
		if old.BuildID == "" {
			return AppState{}, Release{}, Invalidf("release", "Release v%d has no slug to roll back to.", old.Version)
		}
		buildID, configID, description = old.BuildID, old.ConfigID, fmt.Sprintf("Rollback to v%d", old.Version)
	}
	build, err := p.ledger.Build(ctx, s.App.ID, buildID)
	if err != nil {
		return AppState{}, Release{}, err
	}
	if description == "" {
		description = "Deploy " + build.Image
	}
	after, err := p.edit(ctx, key, func(s AppState) (Edit, error) {
		config := configID
		if config == "" {
			config = s.ConfigID
		}
		return p.release(ctx, s, Edit{}, build, config, description)
	})
	if err != nil {
		return AppState{}, Release{}, err
	}
	return after, *after.Last, nil
}

// ChangeConfig sets and removes config vars. A difference is one release; none is none.
func (p *Platform) ChangeConfig(ctx context.Context, key string, change ConfigChange) (AppState, error) {
	return p.edit(ctx, key, func(s AppState) (Edit, error) {
		vars, description, err := s.Config.Apply(change)
		if err != nil || description == "" {
			return Edit{}, err
		}
		config := Config{ID: p.NewID(), Vars: vars}
		e := Edit{Config: &config}
		if s.Build == nil {
			return p.appendRelease(ctx, s, e, "", config.ID, description), nil
		}
		return p.release(ctx, s, e, *s.Build, config.ID, description)
	})
}

// release appends a release of a build to an edit, with the changes to the formation that the slug brings.
func (p *Platform) release(ctx context.Context, s AppState, e Edit, build Build, configID, description string) (Edit, error) {
	if build.AppID != s.App.ID {
		return Edit{}, Errorf(NotFound, "The slug %s does not exist.", build.ID)
	}
	e = p.slugTypes(ctx, s, e, build)
	return p.appendRelease(ctx, s, e, build.ID, configID, description), nil
}

func (p *Platform) appendRelease(ctx context.Context, s AppState, e Edit, buildID, configID, description string) Edit {
	who, now := PrincipalFrom(ctx), p.Now()
	version := 1
	if s.Last != nil {
		version = s.Last.Version + 1
	}
	e.Release = &Release{
		ID: p.NewID(), AppID: s.App.ID, AppName: s.App.Name, Version: version, BuildID: buildID, ConfigID: configID,
		Status: ReleasePending, Description: description, UserID: who.TokenID, UserEmail: who.Email,
		CreatedAt: now, UpdatedAt: now,
	}
	if !runsAnything(s, e) {
		e.Release.Status = ReleaseSucceeded
	}
	e.Audits = append(e.Audits, p.audit(ctx, "release.create", fmt.Sprintf("Released v%d: %s.", version, description)))
	return e
}

// runsAnything reports whether a release made by e has dynos to start. One that has none succeeds at once.
func runsAnything(s AppState, e Edit) bool {
	if e.Release.BuildID == "" || s.App.Maintenance {
		return false
	}
	for _, t := range s.Types {
		if t.KeptUp() && t.Quantity > 0 && !slices.Contains(e.DropTypes, t.ID) {
			return true
		}
	}
	for _, t := range e.PutTypes {
		if t.KeptUp() && t.Quantity > 0 {
			return true
		}
	}
	return false
}

// slugTypes adds what a slug changes of the formation: the types that it names and that do not exist yet are created (web
// at 1, others at 0); one that an earlier slug created and this one lacks goes when it stands at 0; an app with no types at
// all gets a web. A type that is held, and has its command from the slug, is tried again if that is another now.
func (p *Platform) slugTypes(ctx context.Context, s AppState, e Edit, build Build) Edit {
	names := slices.Sorted(maps.Keys(build.ProcessTypes))
	if len(s.Types) == 0 && len(names) == 0 {
		names = []string{Web}
	}
	for _, name := range names {
		if _, ok := s.Type(name); ok {
			continue
		}
		t := p.defaultType(s.App.ID, name)
		_, t.FromSlug = build.ProcessTypes[name]
		e.PutTypes = append(e.PutTypes, t)
		e.Audits = append(e.Audits, p.audit(ctx, "formation.create", fmt.Sprintf("The slug created the type %s: %d of size %s.", t.Type, t.Quantity, t.Size)))
	}
	for _, t := range s.Types {
		if t.Command == nil && t.Failed() && build.ProcessTypes[t.Type] != s.ProcessTypes()[t.Type] {
			e.Forgive = append(e.Forgive, t.ID) // it gets another command
		}
		if _, kept := build.ProcessTypes[t.Type]; t.FromSlug && !kept && t.Quantity == 0 {
			e.DropTypes = append(e.DropTypes, t.ID)
			e.Audits = append(e.Audits, p.audit(ctx, "formation.delete", "The slug no longer has the type "+t.Type+"."))
		}
	}
	return e
}

func (p *Platform) defaultType(appID, name string) DynoType {
	now := p.Now()
	t := DynoType{ID: p.NewID(), AppID: appID, Type: name, Size: p.Rules.DefaultSize, CreatedAt: now, UpdatedAt: now}
	if name == Web {
		t.Port, t.Quantity = p.Rules.DefaultPort, 1
	}
	return t
}

// Releases lists an app's releases, oldest first.
func (p *Platform) Releases(ctx context.Context, key string) (AppState, []Release, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return AppState{}, nil, err
	}
	all, err := p.ledger.Releases(ctx, s.App.ID)
	return s, all, err
}

// Release gives one release of an app by id or version.
func (p *Platform) Release(ctx context.Context, key, idOrVersion string) (AppState, Release, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return AppState{}, Release{}, err
	}
	r, err := p.ledger.Release(ctx, s.App.ID, idOrVersion)
	return s, r, err
}

// ReleaseConfig gives the config vars of one release.
func (p *Platform) ReleaseConfig(ctx context.Context, key, idOrVersion string) (ConfigVars, error) {
	_, r, err := p.Release(ctx, key, idOrVersion)
	if err != nil {
		return nil, err
	}
	return p.ledger.ConfigVars(ctx, r.ConfigID)
}

// Builds lists an app's builds, oldest first.
func (p *Platform) Builds(ctx context.Context, key string) (AppState, []Build, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return AppState{}, nil, err
	}
	all, err := p.ledger.Builds(ctx, s.App.ID)
	return s, all, err
}

// Build gives one build of an app.
func (p *Platform) Build(ctx context.Context, key, id string) (AppState, Build, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return AppState{}, Build{}, err
	}
	b, err := p.ledger.Build(ctx, s.App.ID, id)
	return s, b, err
}

// Slug gives the build that a slug is, if the principal may see its app.
func (p *Platform) Slug(ctx context.Context, id string) (Build, error) {
	b, err := p.ledger.Slug(ctx, id)
	if err != nil {
		return Build{}, err
	}
	who := PrincipalFrom(ctx)
	if who.AppID == "" && who.SpaceID == "" {
		return b, nil
	}
	s, err := p.apps.AppState(ctx, b.AppID)
	if err == nil && who.Sees(s.App.ID, s.App.SpaceID) {
		return b, nil
	}
	if err != nil && KindOf(err) != NotFound {
		return Build{}, err
	}
	return Build{}, Errorf(NotFound, "The slug %s does not exist.", clip(id))
}

// Audits lists who changed what, newest last. An app key chooses one app; else the filter does, and deleted apps' audits
// are among them.
func (p *Platform) Audits(ctx context.Context, key string, f AuditFilter) ([]Audit, error) {
	who := PrincipalFrom(ctx)
	if key != "" {
		s, err := p.state(ctx, key)
		if err != nil {
			return nil, err
		}
		f = AuditFilter{AppID: s.App.ID}
	} else if who.AppID != "" {
		f.AppID = who.AppID
	}
	f.SpaceID = who.SpaceID
	return p.ledger.Audits(ctx, f)
}
