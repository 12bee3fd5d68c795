package jobs

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// Recovered is what a job tells of the app that it was rendered from, for a store that has lost it.
type Recovered struct {
	Installation string // in the owner mark
	// State is the app's, as the store is to have it again. What the job does not tell is empty: the ids of the space, the
	// types, the release and the build, the config vars, descriptions and labels. Wanted is Last; both have the version, the
	// config version, the status and the time of the register. The types' definitions are on record as good if the release is
	// (else see Prove).
	State   dynomad.AppState
	Stopped bool // ended by hand: its dynos would be started again
	// Replaced are the types whose dynos would be replaced, because the job cannot be rendered again as it is.
	Replaced []string
	Notes    []string // what of it is uncertain, each a sentence
}

// Recover reads an app back from a job of Spec's that Nomad gave. The settings are the daemon's, as for Spec, but for the
// installation: the job tells of it. An error says why the job cannot be taken for an app's; such a job is better left alone.
func Recover(s Settings, job *api.Job) (Recovered, error) {
	app, installation, err := recoverApp(s, job)
	if err != nil {
		return Recovered{}, err
	}
	r := Recovered{Installation: installation, Stopped: deref(job.Stop)}
	groups, err := r.groups(s, app.Name, job.TaskGroups)
	if err != nil {
		return Recovered{}, err
	}
	r.State = state(app, groups)
	r.State.Wanted.Status = dynomad.ReleasePending // until the loop has seen how its rollout ended
	if deref(job.Stable) {
		r.State.Wanted.Status = dynomad.ReleaseSucceeded
		for i, t := range r.State.Types {
			good := t.Definition()
			r.State.Types[i].Record.Good = &good
		}
	}
	submitted := time.Unix(0, deref(job.SubmitTime)).UTC()
	r.State.Wanted.CreatedAt, r.State.Wanted.UpdatedAt = submitted, submitted
	last := *r.State.Wanted
	r.State.Last = &last
	s.Installation = installation
	if r.Replaced, err = replaced(s, r.State, job); err != nil {
		return Recovered{}, err
	}
	r.noteGroups(groups)
	return r, nil
}

// Prove takes from an earlier version of the job, the last that was rolled out well, which definitions of its types have proved
// good: of a release whose rollout has not ended, or has failed, nobody knows that. Without them a type could be blamed for what
// its release did, or be held at what has just failed.
func (r *Recovered) Prove(s Settings, stable *api.Job) {
	before, err := Recover(s, stable)
	if err != nil {
		r.note("The version of its job that was rolled out well last cannot be read: %s.", err)
		return
	}
	for i, t := range r.State.Types {
		if was, ok := before.State.Type(t.Type); ok {
			r.State.Types[i].Record.Good = was.Record.Good
		}
	}
}

// recoverApp reads the owner mark and the names, which are in no place but in meta and in the job's own name.
func recoverApp(s Settings, job *api.Job) (app dynomad.App, installation string, err error) {
	installation, appID, ok := Owner(job.Meta)
	name, space := deref(job.ID), job.Meta[metaSpace]
	simple, named := strings.CutSuffix(name, "-"+space)
	switch {
	case !ok || appID == "":
		return app, "", errors.New("it has no owner mark")
	case deref(job.Type) != api.JobTypeService:
		return app, "", fmt.Errorf("it is a job of the type %s, not an app's", deref(job.Type))
	case !named || space == "":
		return app, "", fmt.Errorf("its name does not end in its space, %q", space)
	}
	if err := (dynomad.NewApp{Name: simple, Space: space}).Validate(); err != nil {
		return app, "", err
	}
	app = dynomad.App{ID: appID, Name: name, SimpleName: simple, Space: space, AutoRelease: true}
	if namespace := deref(job.Namespace); namespace != s.Namespace {
		app.NomadNamespace = namespace
	}
	return app, installation, nil
}

// groups reads a job's groups, sorted by type.
func (r *Recovered) groups(s Settings, appName string, all []*api.TaskGroup) ([]Group, error) {
	groups := make([]Group, 0, len(all))
	for _, tg := range all {
		g, err := recoverGroup(appName, tg)
		if err == nil {
			g.Type.Size, err = r.size(s, g.Type.Type, tg.Tasks[0].Resources)
		}
		if err != nil {
			return nil, fmt.Errorf("its group %s: %w", deref(tg.Name), err)
		}
		groups = append(groups, g)
	}
	if len(groups) == 0 {
		return nil, errors.New("it has no groups")
	}
	slices.SortFunc(groups, func(a, b Group) int { return strings.Compare(a.Type.Type, b.Type.Type) })
	return groups, nil
}

// recoverGroup reads a group back, but for the size.
func recoverGroup(appName string, tg *api.TaskGroup) (Group, error) {
	name := deref(tg.Name)
	if tg.Meta[metaType] != name || len(tg.Tasks) != 1 {
		return Group{}, errors.New("it is no dyno type's")
	}
	if err := dynomad.ValidType("type", name); err != nil {
		return Group{}, err
	}
	content := groupContent(tg)
	g := Group{
		Type:           dynomad.DynoType{Type: name, Quantity: content.Count, Port: content.Port, RestartID: tg.Meta[metaRestart]},
		Count:          content.Count,
		ReleaseVersion: content.Release,
		Image:          content.Image,
	}
	if content.Release < 1 || content.Image == "" {
		return Group{}, errors.New("it names no release or no image")
	}
	if content.CheckPath != "" {
		g.Type.Healthcheck = &content.CheckPath
	}
	if retry := tg.Meta[metaRetry]; retry != "" {
		g.Retry, _ = strconv.Atoi(retry)
	}
	var err error
	if g.Command, err = recoverCommand(content.Command); err != nil {
		return Group{}, err
	}
	g.Type.Command = g.Command
	g.ConfigPath, err = recoverConfigPath(appName, tg.Tasks[0].Templates)
	return g, err
}

// recoverCommand writes words as a command that is split into them again.
func recoverCommand(words []string) (*string, error) {
	if len(words) == 0 {
		return nil, nil //nolint:nilnil // the image's own command
	}
	command := joinWords(words)
	again, err := dynomad.SplitCommand("command", command)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(again, words) {
		return nil, errors.New("its command cannot be written as one")
	}
	return &command, nil
}

// configRead is how configTemplate begins.
var configRead = regexp.MustCompile(`^\{\{ with nomadVar "([^"]+)" \}\}`)

// recoverConfigPath finds the path of the config vars' variable in a task's template.
func recoverConfigPath(appName string, templates []*api.Template) (string, error) {
	path := configPath(templates)
	switch id := configID(appName, path); {
	case path == "":
		return "", errors.New("it reads no config vars")
	case id == "" || ConfigPath(appName, id) != path:
		return "", fmt.Errorf("its config vars are at %s, where this app has none", path)
	}
	return path, nil
}

// configPath gives the path of the variable that a task's templates read config vars of; "" if there is none.
func configPath(templates []*api.Template) string {
	for _, t := range Present(templates) {
		if !deref(t.Envvars) { // its place on the node has changed once
			continue
		}
		if found := configRead.FindStringSubmatch(deref(t.EmbeddedTmpl)); found != nil {
			return found[1]
		}
	}
	return ""
}

// configID gives the config version that a variable's path is of; "" if it is of none.
func configID(appName, path string) string {
	id, ok := strings.CutPrefix(path, VariablePrefix(appName))
	if !ok || strings.Contains(id, "/") {
		return ""
	}
	return id
}

// size names the size that has a task's resources: as they would be rendered now, else as they would be if the cluster's
// memory oversubscription were the other way.
func (r *Recovered) size(s Settings, dynoType string, have *api.Resources) (string, error) {
	for _, oversubscription := range []bool{s.Oversubscription, !s.Oversubscription} {
		names := sizesOf(s.Sizes, have, oversubscription)
		if len(names) > 1 {
			r.note("The size of %s is one of %s, which have the same resources; it is taken for %s.", dynoType, strings.Join(names, ", "), names[0])
		}
		if len(names) > 0 {
			return names[0], nil
		}
	}
	cpu, memory, limit := limits(have)
	return "", fmt.Errorf("its resources (%d MHz, %d to %d MiB) are of none of the sizes %s: run with the same table of sizes as the daemon",
		cpu, memory, limit, strings.Join(s.Sizes.Names(), ", "))
}

func sizesOf(sizes dynomad.Sizes, have *api.Resources, oversubscription bool) []string {
	var names []string
	for _, size := range sizes {
		cpu, memory, limit := limits(resources(size, oversubscription))
		haveCPU, haveMemory, haveLimit := limits(have)
		if cpu == haveCPU && memory == haveMemory && limit == haveLimit {
			names = append(names, size.Name)
		}
	}
	return names
}

// state makes an app's state of its groups. All run one release: the newest that a group has.
func state(app dynomad.App, groups []Group) dynomad.AppState {
	newest := slices.MaxFunc(groups, func(a, b Group) int { return a.ReleaseVersion - b.ReleaseVersion })
	id := configID(app.Name, newest.ConfigPath)
	st := dynomad.AppState{
		App:      app,
		ConfigID: id,
		Wanted:   &dynomad.Release{AppID: app.ID, AppName: app.Name, Version: newest.ReleaseVersion, ConfigID: id},
		Build: &dynomad.Build{
			AppID: app.ID, AppName: app.Name, Number: 1, Image: newest.Image, URL: newest.Image, Status: dynomad.BuildSucceeded,
		},
		Builds: 1,
	}
	for _, g := range groups {
		g.Type.AppID = app.ID
		st.Types = append(st.Types, g.Type)
	}
	return st
}

// replaced gives the types of a job whose dynos Nomad would replace if the job were registered as the state is rendered.
func replaced(s Settings, st dynomad.AppState, job *api.Job) ([]string, error) {
	input, ok := InputFor(s, dynomad.Wanted{AppState: st})
	if !ok {
		return nil, errors.New("it has nothing to run")
	}
	again, err := Spec(input)
	if err != nil {
		return nil, err
	}
	want := Content(again)
	all := !maps.Equal(again.Meta, job.Meta) || !slices.Equal(again.Datacenters, job.Datacenters) ||
		s.NodePool != "" && s.NodePool != deref(job.NodePool)
	var types []string
	for name, have := range Content(job) {
		if all || have.Number != want[name].Number {
			types = append(types, name)
		}
	}
	slices.Sort(types)
	return types, nil
}

// noteGroups says what of the groups the state cannot hold.
func (r *Recovered) noteGroups(groups []Group) {
	asleep := true
	for _, g := range groups {
		asleep = asleep && g.Count == 0
		if g.ReleaseVersion != r.State.Wanted.Version {
			r.note("%s runs release v%d, the app v%d, which it is brought to.", g.Type.Type, g.ReleaseVersion, r.State.Wanted.Version)
		}
		if g.Retry > 0 {
			r.note("The first rollout of %s had failed and was tried again.", g.Type.Type)
		}
	}
	if asleep {
		r.note("All its types stand at 0: if it was in maintenance, its quantities are lost.")
	}
	if r.Stopped {
		r.note("Its job was stopped by hand: its dynos are started again, unless the app is deleted.")
	}
}

func (r *Recovered) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// OfApp reports whether a job's name is that of an app, as opposed to a run of one: those have a "_", which no app's has.
func OfApp(info JobInfo) bool { return !strings.Contains(info.ID, "_") }

// ConfigVars takes what ConfigItems added out of a variable's items.
func ConfigVars(items map[string]string) dynomad.ConfigVars {
	vars := dynomad.ConfigVars{}
	for name, value := range items {
		if !dynomad.ReservedVar(name) {
			vars[name] = value
		}
	}
	return vars
}
