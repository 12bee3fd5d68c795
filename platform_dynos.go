package dynomad

import (
	"context"
	"time"
)

// Dynos lists an app's dynos, and says for how long the picture has not been fed from the cluster (0 while it is).
func (p *Platform) Dynos(ctx context.Context, key string) (AppState, []Dyno, time.Duration, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return AppState{}, nil, 0, err
	}
	now := p.Now()
	dynos, err := p.withReleaseIDs(ctx, s, p.view.Dynos(s, now))
	return s, dynos, p.view.StaleFor(now), err
}

// Dyno gives one dyno by id, name, "type.name" or "type.N".
func (p *Platform) Dyno(ctx context.Context, key, dynoKey string) (AppState, Dyno, time.Duration, error) {
	s, dynos, stale, err := p.Dynos(ctx, key)
	if err != nil {
		return AppState{}, Dyno{}, 0, err
	}
	d, ok := FindDyno(dynos, dynoKey)
	if !ok {
		return AppState{}, Dyno{}, 0, Errorf(NotFound, "The dyno %s does not exist.", clip(dynoKey))
	}
	return s, d, stale, nil
}

// FindDyno finds a dyno by id, name, "type.name" or "type.N". Of several with the same "type.N" the newest that was not told
// to stop is meant, else the newest.
func FindDyno(dynos []Dyno, key string) (Dyno, bool) {
	var best Dyno
	found := false
	for _, d := range dynos {
		if d.ID == key || d.Name == key || d.Type+"."+d.Name == key {
			return d, true
		}
		if d.TypeN == key && (!found || newer(d, best)) {
			best, found = d, true
		}
	}
	return best, found
}

func newer(a, b Dyno) bool {
	if a.ending() != b.ending() {
		return !a.ending()
	}
	return a.CreatedAt.After(b.CreatedAt)
}

func (d Dyno) ending() bool { return d.State == StateStopping || d.State == StateStopped }

// withReleaseIDs fills in the ids of the releases that the dynos run: the cluster knows only their versions.
func (p *Platform) withReleaseIDs(ctx context.Context, s AppState, dynos []Dyno) ([]Dyno, error) {
	ids := map[int]string{}
	for _, r := range []*Release{s.Last, s.Wanted} {
		if r != nil {
			ids[r.Version] = r.ID
		}
	}
	complete := true
	for _, d := range dynos {
		complete = complete && (ids[d.ReleaseVersion] != "" || d.ReleaseVersion == 0)
	}
	if !complete {
		all, err := p.ledger.Releases(ctx, s.App.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			ids[r.Version] = r.ID
		}
	}
	for i := range dynos {
		dynos[i].ReleaseID = ids[dynos[i].ReleaseVersion]
	}
	return dynos, nil
}
