package dynomad

import (
	"context"
	"fmt"
	"time"
)

// DynoStop is the wish to have one dyno replaced.
type DynoStop struct {
	DynoID      string // the allocation
	Type        string
	RequestedAt time.Time
}

// RestartAll has all kept-up dyno types of an app replaced, as a rollout: new dynos are up before old ones go.
func (p *Platform) RestartAll(ctx context.Context, key string) (AppState, error) {
	return p.edit(ctx, key, func(s AppState) (Edit, error) {
		return p.restart(ctx, s.Types, "Restarted all dynos."), nil
	})
}

// RestartType has one dyno type, named or by id, replaced, as a rollout.
func (p *Platform) RestartType(ctx context.Context, key, typeKey string) (AppState, DynoType, error) {
	var restarted DynoType
	after, err := p.edit(ctx, key, func(s AppState) (Edit, error) {
		t, ok := s.Type(typeKey)
		if !ok {
			return Edit{}, typeMissing(typeKey)
		}
		restarted = t
		return p.restart(ctx, []DynoType{t}, "Restarted the type "+t.Type+"."), nil
	})
	return after, restarted, err
}

// restart gives the types new restart ids. Those that are run by request or schedule have nothing that is kept up.
func (p *Platform) restart(ctx context.Context, types []DynoType, details string) Edit {
	id := p.NewID()
	var e Edit
	for _, t := range types {
		if t.KeptUp() {
			t.RestartID = id
			e.PutTypes = append(e.PutTypes, t)
		}
	}
	if len(e.PutTypes) > 0 {
		e.Audits = []Audit{p.audit(ctx, "dynos.restart", details)}
	}
	return e
}

// StopDyno has one dyno replaced, or ended if it runs once; it is named by id, name, "type.name" or "type.N". One that is ending, or
// is to be replaced and not placed, is left to what is under way. The type of the dyno is given.
func (p *Platform) StopDyno(ctx context.Context, key, dynoKey string) (AppState, string, error) {
	s, d, _, err := p.Dyno(ctx, key, dynoKey)
	if err != nil {
		return AppState{}, "", err
	}
	switch {
	case d.Run:
		return s, d.Type, p.stopRun(ctx, s, d)
	case d.ending() || !d.placed():
		return s, d.Type, nil
	}
	stop := DynoStop{DynoID: d.ID, Type: d.Type, RequestedAt: p.Now()}
	after, err := p.edit(ctx, key, func(AppState) (Edit, error) {
		details := fmt.Sprintf("Restarted the dyno %s (%s).", d.Name, d.TypeN)
		return Edit{Stops: []DynoStop{stop}, Audits: []Audit{p.audit(ctx, "dynos.restart", details)}}, nil
	})
	return after, d.Type, err
}

// RestartDynoOrType has a dyno replaced if the key names one, else a dyno type, as a rollout. The type is given.
func (p *Platform) RestartDynoOrType(ctx context.Context, key, dynoOrType string) (AppState, string, error) {
	s, dynoType, err := p.StopDyno(ctx, key, dynoOrType)
	if KindOf(err) != NotFound {
		return s, dynoType, err
	}
	s, t, typeErr := p.RestartType(ctx, key, dynoOrType)
	if KindOf(typeErr) == NotFound {
		return AppState{}, "", err // the app, or else the dyno, does not exist
	}
	return s, t.Type, typeErr
}

// placed reports whether the dyno has an allocation.
func (d Dyno) placed() bool { return d.Node != "" }
