//go:build integration

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

// world is what has been acknowledged: the apps by full name.
type world map[string]*worldApp

type worldApp struct {
	Description string
	Maintenance bool
	AutoRelease bool
	Types       map[string]worldType
	Config      map[string]string
	Builds      []worldBuild
	Releases    []worldRelease
}

type worldType struct {
	Quantity    int
	Size        string
	Command     string // "" is none
	Healthcheck string // "" is none
	FromSlug    bool   // no answer tells
}

type worldBuild struct {
	ID           string // "" until it was read
	Image        string
	ProcessTypes map[string]string
}

type worldRelease struct {
	Build       int // number of the build; 0 is none
	Description string
	Config      map[string]string
}

// clone copies all that a write can change: maps and lists; what is in those is replaced, not changed.
func (w world) clone() world {
	out := world{}
	for name, a := range w {
		b := *a
		b.Types, b.Config = maps.Clone(a.Types), maps.Clone(a.Config)
		b.Builds, b.Releases = slices.Clone(a.Builds), slices.Clone(a.Releases)
		out[name] = &b
	}
	return out
}

// last is the newest release, the zero one if there is none.
func (a *worldApp) last() worldRelease {
	if len(a.Releases) == 0 {
		return worldRelease{}
	}
	return a.Releases[len(a.Releases)-1]
}

// runs are the types that the app's job has; nil if it has no job.
func (a *worldApp) runs() map[string]worldType {
	if a.last().Build == 0 {
		return nil
	}
	return a.Types
}

// count is how many dynos of a type are to run.
func (a *worldApp) count(dynoType string) int {
	if a.Maintenance {
		return 0
	}
	return a.runs()[dynoType].Quantity
}

// command is what a type's dynos run: "" is the image's own.
func (a *worldApp) command(dynoType string) string {
	if own := a.Types[dynoType].Command; own != "" {
		return own
	}
	return a.Builds[a.last().Build-1].ProcessTypes[dynoType]
}

// release appends a release of a build, with what its slug does to the formation. Build 0 is none.
func (a *worldApp) release(build int, config map[string]string, description string) {
	a.Config = config
	a.Releases = append(a.Releases, worldRelease{build, description, config})
	if build == 0 {
		return
	}
	commands := a.Builds[build-1].ProcessTypes
	if len(a.Types) == 0 && len(commands) == 0 {
		a.Types[webType] = worldType{Quantity: 1, Size: defaultSize}
	}
	for name, t := range a.Types {
		if _, kept := commands[name]; t.FromSlug && !kept && t.Quantity == 0 {
			delete(a.Types, name)
		}
	}
	for name := range commands {
		if _, has := a.Types[name]; !has {
			t := worldType{Size: defaultSize, FromSlug: true}
			if name == webType {
				t.Quantity = 1
			}
			a.Types[name] = t
		}
	}
}

const (
	webType     = "web"
	defaultSize = "gp2"
)

// act is one write: the request, the statuses that it may be answered with, what it does if that is a success, and what is answered then.
type act struct {
	method, path, body string
	want               []int
	apply              func(w world, answer []byte) // nil changes nothing
	says               func(before, after world) any
}

func (a act) String() string { return strings.TrimSpace(a.method + " " + a.path + " " + a.body) }

// writer makes up writes.
type writer struct {
	*rand.Rand
	world  world
	prefix string // of the apps' names
	apps   int    // at most
	image  string
}

// next makes up the next write.
func (r writer) next() act {
	names := slices.Sorted(maps.Keys(r.world))
	if len(names) == 0 || (len(names) < r.apps && r.IntN(6) == 0) {
		return r.createApp()
	}
	name := names[r.IntN(len(names))]
	app := r.world[name]
	if len(app.Builds) == 0 && r.IntN(2) == 0 {
		return r.build(name)
	}
	weighted := []struct {
		weight int
		make   func(name string, app *worldApp) act
	}{
		{18, r.changeConfig},
		{10, func(name string, _ *worldApp) act { return r.build(name) }},
		{8, r.createRelease},
		{14, r.createType},
		{18, r.changeType},
		{10, r.changeTypes},
		{7, r.deleteType},
		{9, r.restart},
		{12, r.maintain},
		{3, r.describe},
		{3, r.autoRelease},
		{6, r.deleteApp},
	}
	for {
		n := r.IntN(118)
		for _, choice := range weighted {
			if n -= choice.weight; n < 0 {
				if a := choice.make(name, app); a.method != "" {
					return a
				}
				break // not possible now: another one
			}
		}
	}
}

func (r writer) createApp() act {
	var free []string
	for i := range r.apps {
		if name := fmt.Sprintf("%s%d", r.prefix, i+1); r.world[name+"-default"] == nil {
			free = append(free, name)
		}
	}
	name := free[r.IntN(len(free))]
	return act{
		method: http.MethodPost, path: "/apps", body: marshal(map[string]any{"name": name}), want: []int{http.StatusCreated},
		apply: func(w world, _ []byte) {
			w[name+"-default"] = &worldApp{AutoRelease: true, Types: map[string]worldType{}, Config: map[string]string{}}
		},
		says: func(_, w world) any { return w.saysApp(name + "-default") },
	}
}

func (r writer) deleteApp(name string, _ *worldApp) act {
	return act{
		method: http.MethodDelete, path: "/apps/" + name, want: []int{http.StatusOK},
		apply: func(w world, _ []byte) { delete(w, name) },
		says:  func(w, _ world) any { return w.saysApp(name) },
	}
}

func (r writer) build(name string) act {
	b := worldBuild{Image: r.image}
	switch r.IntN(3) {
	case 0:
		b.ProcessTypes = map[string]string{webType: "/app", "worker": fmt.Sprintf("/app worker %d", r.IntN(3))}
	case 1:
		b.ProcessTypes = map[string]string{"clock": "/app worker 'of a slug'"}
	}
	return act{
		method: http.MethodPost, path: "/apps/" + name + "/builds", want: []int{http.StatusCreated},
		body: marshal(map[string]any{"url": b.Image, "process_types": b.ProcessTypes}),
		apply: func(w world, answer []byte) {
			var made struct{ ID string }
			_ = json.Unmarshal(answer, &made) // one that was cut off has none
			b, a := b, w[name]
			b.ID = made.ID
			a.Builds = append(a.Builds, b)
			if a.AutoRelease {
				a.release(len(a.Builds), a.Config, "Deploy "+b.Image)
			}
		},
		says: func(_, w world) any { return w.saysNewBuild(name) },
	}
}

// createRelease releases a slug or rolls back.
func (r writer) createRelease(name string, app *worldApp) act {
	path := "/apps/" + name + "/releases"
	if len(app.Releases) > 0 && r.IntN(3) > 0 {
		version := 1 + r.IntN(len(app.Releases))
		old := app.Releases[version-1]
		body := marshal(map[string]any{"release": version})
		if old.Build == 0 {
			return act{method: http.MethodPost, path: path, body: body, want: []int{http.StatusUnprocessableEntity}}
		}
		return act{
			method: http.MethodPost, path: path, body: body, want: []int{http.StatusCreated},
			apply: func(w world, _ []byte) {
				w[name].release(old.Build, old.Config, fmt.Sprintf("Rollback to v%d", version))
			},
			says: func(_, w world) any { return w.saysNewRelease(name) },
		}
	}
	if len(app.Builds) == 0 {
		return act{}
	}
	number := 1 + r.IntN(len(app.Builds))
	return act{
		method: http.MethodPost, path: path, want: []int{http.StatusCreated},
		body:  marshal(map[string]any{"slug": app.Builds[number-1].ID, "description": "again"}),
		apply: func(w world, _ []byte) { w[name].release(number, w[name].Config, "again") },
		says:  func(_, w world) any { return w.saysNewRelease(name) },
	}
}

func (r writer) changeConfig(name string, app *worldApp) act {
	values := []string{"plain", "a\nb\r\n", `"quoted" 'twice' \`, "${node.unique.id} {{ key }} #", "ä✓", "", strings.Repeat("long ", 400)}
	change, after := map[string]any{}, maps.Clone(app.Config)
	var set, removed []string
	for range 1 + r.IntN(3) {
		key := string(rune('A' + r.IntN(5)))
		if _, twice := change[key]; twice {
			continue
		}
		if old, has := after[key]; r.IntN(4) == 0 {
			change[key] = nil
			delete(after, key)
			if has {
				removed = append(removed, key)
			}
		} else {
			value := values[r.IntN(len(values))] + fmt.Sprint(r.IntN(3))
			change[key], after[key] = value, value
			if !has || old != value {
				set = append(set, key)
			}
		}
	}
	var parts []string
	slices.Sort(set)
	slices.Sort(removed)
	if len(set) > 0 {
		parts = append(parts, "Set "+strings.Join(set, ", ")+" config vars")
	}
	if len(removed) > 0 {
		parts = append(parts, "Remove "+strings.Join(removed, ", ")+" config vars")
	}
	return act{
		method: http.MethodPatch, path: "/apps/" + name + "/config-vars", body: marshal(change), want: []int{http.StatusOK},
		apply: func(w world, _ []byte) {
			if len(parts) > 0 {
				w[name].release(w[name].last().Build, after, strings.Join(parts, ", "))
			}
		},
		says: func(_, w world) any { return saysConfig(w[name].Config) },
	}
}

func (r writer) createType(name string, app *worldApp) act {
	var free []string
	for _, t := range []string{webType, "worker", "clock"} {
		if _, has := app.Types[t]; !has {
			free = append(free, t)
		}
	}
	if len(free) == 0 {
		return act{}
	}
	dynoType := free[r.IntN(len(free))]
	t := worldType{Quantity: r.IntN(3), Size: defaultSize}
	spec := map[string]any{"type": dynoType, "quantity": t.Quantity}
	if dynoType == webType {
		t.Healthcheck = "/health"
		spec["healthcheck"] = t.Healthcheck
	} else {
		t.Command = "/app worker " + dynoType
		spec["command"] = t.Command
	}
	return formation(act{
		method: http.MethodPost, path: "/apps/" + name + "/formation", body: marshal(spec),
		apply: func(w world, _ []byte) { w[name].Types[dynoType] = t },
		says:  func(_, w world) any { return w.saysType(name, dynoType) },
	}, app)
}

// formation gives a change of the formation the statuses that it may have: in maintenance it is refused.
func formation(a act, app *worldApp) act {
	a.want = []int{http.StatusOK}
	if app.Maintenance {
		a.want, a.apply = []int{http.StatusConflict}, nil
	}
	return a
}

// change makes up a change of a type.
func (r writer) change(dynoType string, t worldType) (map[string]any, worldType) {
	spec := map[string]any{}
	switch r.IntN(6) {
	case 0:
		t.Size = []string{"gp1", "gp2"}[r.IntN(2)]
		spec["size"] = t.Size
	case 1:
		if dynoType == webType {
			t.Healthcheck = []string{"/health", "/health?deep=1"}[r.IntN(2)]
			spec["healthcheck"] = t.Healthcheck
			break
		}
		t.Command = fmt.Sprintf("/app worker %d", r.IntN(4))
		spec["command"] = t.Command
	case 2:
		if t.Quantity < 2 {
			t.Quantity++
			spec["quantity"] = "+1"
			break
		}
		fallthrough
	default:
		t.Quantity = r.IntN(3)
		spec["quantity"] = t.Quantity
	}
	return spec, t
}

func (r writer) changeType(name string, app *worldApp) act {
	types := slices.Sorted(maps.Keys(app.Types))
	if len(types) == 0 {
		return act{}
	}
	dynoType := types[r.IntN(len(types))]
	spec, t := r.change(dynoType, app.Types[dynoType])
	return formation(act{
		method: http.MethodPatch, path: "/apps/" + name + "/formation/" + dynoType, body: marshal(spec),
		apply: func(w world, _ []byte) { w[name].Types[dynoType] = t },
		says:  func(_, w world) any { return w.saysType(name, dynoType) },
	}, app)
}

// changeTypes changes all types at once. Sometimes one of them does not exist, and nothing may change.
func (r writer) changeTypes(name string, app *worldApp) act {
	if len(app.Types) < 2 {
		return act{}
	}
	var specs []map[string]any
	after := map[string]worldType{}
	for _, dynoType := range slices.Sorted(maps.Keys(app.Types)) {
		spec, t := r.change(dynoType, app.Types[dynoType])
		spec["type"], after[dynoType] = dynoType, t
		specs = append(specs, spec)
	}
	a := act{method: http.MethodPatch, path: "/apps/" + name + "/formation"}
	a.apply = func(w world, _ []byte) { maps.Copy(w[name].Types, after) }
	a.says = func(_, w world) any { return w.saysFormation(name) } // all types were sent, by name
	a = formation(a, app)
	if !app.Maintenance && r.IntN(4) == 0 {
		specs = append(specs, map[string]any{"type": "absent", "quantity": 1})
		a.want, a.apply = []int{http.StatusNotFound}, nil
	}
	a.body = marshal(specs)
	return a
}

func (r writer) deleteType(name string, app *worldApp) act {
	types := slices.Sorted(maps.Keys(app.Types))
	if len(types) == 0 {
		return act{}
	}
	dynoType := types[r.IntN(len(types))]
	return formation(act{
		method: http.MethodDelete, path: "/apps/" + name + "/formation/" + dynoType,
		apply: func(w world, _ []byte) { delete(w[name].Types, dynoType) },
		says:  func(w, _ world) any { return w.saysType(name, dynoType) },
	}, app)
}

// restart restarts all, a type, or a dyno, which may not be there.
func (r writer) restart(name string, app *worldApp) act {
	types := slices.Sorted(maps.Keys(app.Types))
	a := act{method: http.MethodDelete, path: "/apps/" + name + "/dynos", want: []int{http.StatusAccepted}}
	pending := map[string]string{"status": "pending"}
	a.says = func(_, _ world) any { return pending }
	if len(types) == 0 || r.IntN(3) == 0 {
		return a
	}
	pending["type"] = types[r.IntN(len(types))]
	a.path += "/" + pending["type"]
	if r.IntN(2) == 0 {
		a.path += ".1"
		a.want = append(a.want, http.StatusNotFound)
	}
	return a
}

// maintain mostly ends maintenance: there little can happen.
func (r writer) maintain(name string, app *worldApp) act {
	on := !app.Maintenance
	if on && r.IntN(4) > 0 {
		return act{}
	}
	return act{
		method: http.MethodPatch, path: "/apps/" + name, body: marshal(map[string]any{"maintenance": on}), want: []int{http.StatusOK},
		apply: func(w world, _ []byte) { w[name].Maintenance = on },
		says:  func(_, w world) any { return w.saysApp(name) },
	}
}

func (r writer) describe(name string, _ *worldApp) act {
	text := fmt.Sprintf("text %d", r.IntN(1000))
	return act{
		method: http.MethodPatch, path: "/apps/" + name, body: marshal(map[string]any{"description": text}), want: []int{http.StatusOK},
		apply: func(w world, _ []byte) { w[name].Description = text },
		says:  func(_, w world) any { return w.saysApp(name) },
	}
}

func (r writer) autoRelease(name string, app *worldApp) act {
	on := !app.AutoRelease
	return act{
		method: http.MethodPatch, path: "/apps/" + name + "/features/auto-release", body: marshal(map[string]any{"enabled": on}),
		want:  []int{http.StatusOK},
		apply: func(w world, _ []byte) { w[name].AutoRelease = on },
		says:  func(_, w world) any { return w.saysFeature(name) },
	}
}

// marshal writes what always can be written.
func marshal(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
