package jobs

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dynomad/dynomad"
)

// Settings are the operator's choices that jobs are rendered by.
type Settings struct {
	Installation string   // id of this installation: the owner mark
	Datacenters  []string // empty is any
	NodePool     string   // "" is Nomad's default
	Namespace    string   // of apps whose space names none; "" is the daemon's own
	Region       string   // "" is the daemon's own

	AppDomain  string // an app is served at <full name>.<domain>
	RouterTags string // template of the service's tags, one a line; "" is DefaultRouterTags
	APIURL     string // base of the link to the app in Nomad's UI; "" is no link

	Drain          time.Duration // between leaving Consul and the stop signal
	MinHealthyTime time.Duration // a new dyno must stay healthy this long
	CheckInterval  time.Duration // of the Consul checks
	DeployTimeout  time.Duration // a rollout not healthy by then has failed

	Sizes            dynomad.Sizes
	Oversubscription bool // the cluster lets memory_max exceed memory; without, a dyno reserves its limit
}

// Validate reports all that is wrong with the settings.
func (s Settings) Validate() error {
	var errs []error
	if s.Installation == "" {
		errs = append(errs, errors.New("the installation has no id"))
	}
	if s.DeployTimeout <= 0 {
		errs = append(errs, fmt.Errorf("the deploy timeout must be longer than nothing, not %s", s.DeployTimeout))
	}
	if s.MinHealthyTime < 0 || s.MinHealthyTime >= s.DeployTimeout {
		errs = append(errs, fmt.Errorf("the minimum healthy time (%s) must be below the deploy timeout (%s)", s.MinHealthyTime, s.DeployTimeout))
	}
	if s.CheckInterval < minCheckInterval {
		errs = append(errs, fmt.Errorf("the check interval must be at least %s, Consul's least, not %s", minCheckInterval, s.CheckInterval))
	}
	if s.Drain < 0 {
		errs = append(errs, fmt.Errorf("the drain must not be negative, as %s is", s.Drain))
	}
	if _, err := routerTags(s.RouterTags, tagData{}); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Group is one kept-up dyno type and what it is to run.
type Group struct {
	Type           dynomad.DynoType
	Count          int
	ReleaseVersion int
	Image          string  // as Docker is to be given it
	Command        *string // nil is the image's own
	ConfigPath     string  // of the Nomad variable with the config vars
	RestartID      string
	Retry          int // how often a rollout with no good one before it was tried again
}

// Input is all that a job depends on.
type Input struct {
	Settings
	App    dynomad.App
	Groups []Group // in any order
}

// InputFor gives the Input of an app's job from what is wanted. It is false when there is nothing to run: the app was
// deleted, has no release with a slug or no kept-up type. A type at quantity 0 is kept, as a group of no dynos. One whose
// rollout failed is at its last good definition, or left out.
func InputFor(settings Settings, w dynomad.Wanted) (Input, bool) {
	release, build := w.Wanted, w.Build
	if w.Deleted || release == nil || build == nil {
		return Input{}, false
	}
	in := Input{Settings: settings, App: w.App}
	retry := retries(w)
	for _, t := range w.Types {
		t, ok := t.Runs()
		if !ok || !t.KeptUp() {
			continue
		}
		in.Groups = append(in.Groups, Group{
			Type:           t,
			Count:          Count(w.App, t),
			ReleaseVersion: release.Version,
			Image:          build.Image,
			Command:        t.CommandIn(build.ProcessTypes),
			ConfigPath:     ConfigPath(w.App.Name, release.ConfigID),
			RestartID:      t.RestartID,
			Retry:          retry,
		})
	}
	return in, len(in.Groups) > 0
}

// Count gives how many dynos of a type are to run now: none in maintenance, which keeps the quantity.
func Count(app dynomad.App, t dynomad.DynoType) int {
	if app.Maintenance || !t.KeptUp() {
		return 0
	}
	return t.Quantity
}

// namespace gives the Nomad namespace of an app's jobs; "" is the daemon's own.
func (s Settings) namespace(app dynomad.App) string {
	if app.NomadNamespace != "" {
		return app.NomadNamespace
	}
	return s.Namespace
}

// validate checks what Spec takes for granted: names are checked when apps and types are made, but end up in a template
// and in tags, where a wrong one would do harm.
func (in Input) validate() error {
	settings := in.Settings
	if err := settings.Validate(); err != nil {
		return err
	}
	if in.App.Name == "" || in.App.ID == "" {
		return errors.New("the app has no name or id")
	}
	if len(in.Groups) == 0 {
		return fmt.Errorf("the app %s has no dyno types to run", in.App.Name)
	}
	if !plain(in.App.Name) || !plain(in.App.Space) {
		return fmt.Errorf("the app's name %q or space %q has characters that names cannot have", in.App.Name, in.App.Space)
	}
	seen := map[string]bool{}
	for _, g := range in.Groups {
		if seen[g.Type.Type] {
			return fmt.Errorf("the dyno type %s is given twice", g.Type.Type)
		}
		seen[g.Type.Type] = true
		if err := g.validate(); err != nil {
			return fmt.Errorf("dyno type %s: %w", g.Type.Type, err)
		}
	}
	return nil
}

func (g Group) validate() error {
	switch {
	case g.Type.Type == "" || !plain(g.Type.Type):
		return errors.New("its name has characters that names cannot have")
	case !g.Type.KeptUp():
		return errors.New("it is run by request or schedule, not kept up")
	case g.Count < 0:
		return fmt.Errorf("its count is negative: %d", g.Count)
	case g.Image == "":
		return errors.New("it has no image")
	case g.ConfigPath == "" || !plain(g.ConfigPath):
		return fmt.Errorf("the path %q of its config vars is empty or has characters that paths cannot have", g.ConfigPath)
	case g.Type.Healthcheck != nil && strings.Contains(*g.Type.Healthcheck, "${"):
		return errors.New("its health check has ${, which Nomad would expand")
	}
	return nil
}

// plain reports whether a name has only characters that mean nothing to Nomad, templates or routers.
func plain(s string) bool {
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '/':
		default:
			return false
		}
	}
	return true
}
