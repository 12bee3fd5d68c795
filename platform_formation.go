package dynomad

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Formation gives an app's dyno types, by name.
func (p *Platform) Formation(ctx context.Context, key string) (AppState, error) {
	return p.state(ctx, key)
}

// DynoType gives one dyno type of an app by name or id.
func (p *Platform) DynoType(ctx context.Context, key, typeKey string) (AppState, DynoType, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return AppState{}, DynoType{}, err
	}
	t, ok := s.Type(typeKey)
	if !ok {
		return AppState{}, DynoType{}, typeMissing(typeKey)
	}
	return s, t, nil
}

func typeMissing(key string) error {
	return Errorf(NotFound, "The dyno type %s does not exist.", clip(key))
}

// CreateType adds a dyno type to an app.
func (p *Platform) CreateType(ctx context.Context, key string, spec TypeSpec) (AppState, DynoType, error) {
	t, err := p.Rules.NewType(spec)
	if err != nil {
		return AppState{}, DynoType{}, err
	}
	after, err := p.edit(ctx, key, func(s AppState) (Edit, error) {
		if err := notInMaintenance(s); err != nil {
			return Edit{}, err
		}
		if _, taken := s.Type(t.Type); taken {
			return Edit{}, Errorf(Conflict, "The dyno type %s already exists.", t.Type)
		}
		now := p.Now()
		t.ID, t.AppID, t.CreatedAt, t.UpdatedAt = p.NewID(), s.App.ID, now, now
		details := fmt.Sprintf("Created the type %s: %d of size %s.", t.Type, t.Quantity, t.Size)
		return Edit{PutTypes: []DynoType{t}, Audits: []Audit{p.audit(ctx, "formation.create", details)}}, nil
	})
	return after, t, err
}

// UpdateTypes changes several dyno types, all or none. The types are given in the order of specs.
func (p *Platform) UpdateTypes(ctx context.Context, key string, specs []TypeSpec) (AppState, []DynoType, error) {
	if err := validBatch(specs); err != nil {
		return AppState{}, nil, err
	}
	var changed []DynoType
	after, err := p.edit(ctx, key, func(s AppState) (Edit, error) {
		changed = changed[:0]
		if err := notInMaintenance(s); err != nil {
			return Edit{}, err
		}
		var e Edit
		seen := map[string]bool{}
		for _, spec := range specs {
			old, ok := s.Type(spec.Type)
			if !ok {
				return Edit{}, typeMissing(spec.Type)
			}
			if seen[old.ID] { // once by name, once by id
				return Edit{}, Invalidf("type", "The dyno type %s is in the batch twice.", old.Type)
			}
			seen[old.ID] = true
			t, err := p.Rules.Change(old, spec)
			if err != nil {
				return Edit{}, err
			}
			if details := describeTypeChange(old, t); details != "" {
				t.UpdatedAt = p.Now()
				e.PutTypes = append(e.PutTypes, t)
				e.Audits = append(e.Audits, p.audit(ctx, "formation.update", details))
			}
			changed = append(changed, t)
		}
		return e, nil
	})
	return after, changed, err
}

// UpdateType changes one dyno type, named or by id.
func (p *Platform) UpdateType(ctx context.Context, key, typeKey string, spec TypeSpec) (AppState, DynoType, error) {
	_, t, err := p.DynoType(ctx, key, typeKey)
	if err != nil {
		return AppState{}, DynoType{}, err
	}
	spec.Type = t.Type
	after, types, err := p.UpdateTypes(ctx, key, []TypeSpec{spec})
	if err != nil {
		return AppState{}, DynoType{}, err
	}
	return after, types[0], nil
}

// DeleteType removes a dyno type from an app; its dynos end.
func (p *Platform) DeleteType(ctx context.Context, key, typeKey string) (AppState, DynoType, error) {
	var removed DynoType
	after, err := p.edit(ctx, key, func(s AppState) (Edit, error) {
		if err := notInMaintenance(s); err != nil {
			return Edit{}, err
		}
		t, ok := s.Type(typeKey)
		if !ok {
			return Edit{}, typeMissing(typeKey)
		}
		removed = t
		return Edit{
			DropTypes: []string{t.ID},
			Audits:    []Audit{p.audit(ctx, "formation.delete", "Deleted the type "+t.Type+".")},
		}, nil
	})
	return after, removed, err
}

// validBatch checks what concerns the elements of a batch together.
func validBatch(specs []TypeSpec) error {
	seen := map[string]bool{}
	for _, spec := range specs {
		if spec.Type == "" {
			return Invalidf("type", "An element of the batch names no dyno type.")
		}
		if seen[spec.Type] {
			return Invalidf("type", "The dyno type %s is in the batch twice.", quoted(spec.Type))
		}
		seen[spec.Type] = true
	}
	return nil
}

func notInMaintenance(s AppState) error {
	if s.App.Maintenance {
		return Errorf(Conflict, "The formation of %s cannot be changed while the app is in maintenance.", s.App.Name)
	}
	return nil
}

// describeTypeChange words what differs between two states of a dyno type; "" if nothing does. Environment values are
// never in it.
func describeTypeChange(old, t DynoType) string {
	var parts []string
	if old.Quantity != t.Quantity {
		parts = append(parts, fmt.Sprintf("quantity from %d to %d", old.Quantity, t.Quantity))
	}
	if old.Size != t.Size {
		parts = append(parts, fmt.Sprintf("size from %s to %s", old.Size, t.Size))
	}
	if old.Port != t.Port {
		parts = append(parts, fmt.Sprintf("port from %d to %d", old.Port, t.Port))
	}
	if !equalText(old.Command, t.Command) {
		parts = append(parts, "command")
	}
	if !equalText(old.Healthcheck, t.Healthcheck) {
		parts = append(parts, "health check")
	}
	if !equalText(old.Schedule, t.Schedule) {
		parts = append(parts, "schedule")
	}
	if !equalOptions(old.Options, t.Options) {
		parts = append(parts, "options")
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return fmt.Sprintf("Changed %s: %s.", t.Type, strings.Join(parts, ", "))
}

func equalText(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func equalOptions(a, b *Options) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Image != b.Image || len(a.Env) != len(b.Env) {
		return false
	}
	for name, value := range a.Env {
		if other, ok := b.Env[name]; !ok || other != value {
			return false
		}
	}
	return true
}
