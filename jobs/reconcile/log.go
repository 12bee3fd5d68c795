package reconcile

import (
	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

// subject is what lines of the log name an app by.
type subject struct {
	app     string // full name
	release int    // the version of the release that is wanted; 0 is none
}

// know remembers what the log names an app by.
func (l *Loop) know(app dynomad.App, wanted *dynomad.Release) {
	s := subject{app: app.Name}
	if wanted != nil {
		s.release = wanted.Version
	}
	l.mu.Lock()
	l.about[app.ID] = s
	l.mu.Unlock()
}

// naming gives what the log names an app by: its id too, since a deleted app's name may be another's.
func (l *Loop) naming(appID string) []any {
	l.mu.Lock()
	s, known := l.about[appID]
	l.mu.Unlock()
	args := []any{"app_id", appID}
	if known {
		args = append(args, s.args()...)
	}
	return args
}

func (s subject) args() []any {
	args := []any{"app", s.app}
	if s.release > 0 {
		args = append(args, "release", s.release)
	}
	return args
}

// log gives a logger whose lines name a pass's app, the release that is wanted, and the request that it is for.
func (l *Loop) log(t target) hclog.Logger {
	s := subject{app: t.name}
	if t.AppState.Wanted != nil {
		s.release = t.AppState.Wanted.Version
	}
	return l.Log.With(withRequest(t.request, s.args())...)
}

// logRun is log for a run.
func (l *Loop) logRun(t *runTarget) hclog.Logger {
	return l.Log.With(withRequest(t.request, append(subject{app: t.app.Name, release: t.ReleaseVersion}.args(), "run", t.Name()))...)
}

func withRequest(id string, args []any) []any {
	if id != "" {
		args = append(args, "request_id", id)
	}
	return args
}
