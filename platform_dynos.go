package dynomad

import (
	"context"
	"time"
)

// DynoPicture is an app's dynos as the view shows them for one state of the app. The view shows that state the same ones for
// as long as its version is the same, until a time.
type DynoPicture struct {
	Dynos   []Dyno
	Version uint64
	Until   time.Time
}

// DynoLook is a look at an app's dynos: all that their list is made of is fixed, and the list is not made yet.
type DynoLook struct {
	Stale time.Duration // for how long the picture has not been fed from the cluster; 0 while it is

	state AppState
	view  uint64
	now   time.Time
}

// App is the app looked at.
func (l DynoLook) App() App { return l.state.App }

// DynoMark says what a list of dynos was made of.
type DynoMark struct {
	state, view uint64
	from, until time.Time
}

// Shows reports whether a look would give the very list that has a mark: the app is of the same app state, the view of the same
// version, and no dyno looks different by now because of the time alone. A clock that was set back is another time.
func (l DynoLook) Shows(m DynoMark) bool {
	return m.state != 0 && m.state == l.state.Revision && m.view == l.view && !l.now.Before(m.from) && l.now.Before(m.until)
}

// LookAtDynos looks at an app's dynos. It is cheap.
func (p *Platform) LookAtDynos(ctx context.Context, key string) (DynoLook, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return DynoLook{}, err
	}
	now := p.Now()
	return DynoLook{Stale: p.view.StaleFor(now), state: s, view: p.view.DynosVersion(s.App), now: now}, nil
}

// Dynos lists the dynos that are looked at.
func (p *Platform) Dynos(ctx context.Context, l DynoLook) ([]Dyno, DynoMark, error) {
	picture := p.view.Dynos(l.state, l.now)
	mark := DynoMark{state: l.state.Revision, view: picture.Version, from: l.now, until: picture.Until}
	dynos, err := p.withReleaseIDs(ctx, l.state, picture.Dynos)
	return dynos, mark, err
}

// Dyno gives one dyno by id, name, "type.name" or "type.N".
func (p *Platform) Dyno(ctx context.Context, key, dynoKey string) (AppState, Dyno, time.Duration, error) {
	look, err := p.LookAtDynos(ctx, key)
	if err != nil {
		return AppState{}, Dyno{}, 0, err
	}
	dynos, _, err := p.Dynos(ctx, look)
	if err != nil {
		return AppState{}, Dyno{}, 0, err
	}
	d, ok := FindDyno(dynos, dynoKey)
	if !ok {
		return AppState{}, Dyno{}, 0, Errorf(NotFound, "The dyno %s does not exist.", clip(dynoKey))
	}
	return look.state, d, look.Stale, nil
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
	ids := map[int]string{0: ""} // of none
	for _, r := range []*Release{s.Last, s.Wanted} {
		if r != nil {
			ids[r.Version] = r.ID
		}
	}
	for i, d := range dynos {
		id, known := ids[d.ReleaseVersion]
		if !known {
			var err error
			if id, err = p.ledger.ReleaseID(ctx, s.App.ID, d.ReleaseVersion); err != nil {
				return nil, err
			}
			ids[d.ReleaseVersion] = id
		}
		dynos[i].ReleaseID = id
	}
	return dynos, nil
}
