package fallback

import (
	"time"

	"github.com/dynomad/dynomad"
)

// condition is what visitors are told of an app. It is also the id of the answer's JSON form.
type condition string

const (
	missing     condition = "not_found"
	maintenance condition = "maintenance"
	starting    condition = "starting"
	unavailable condition = "unavailable"
)

// conditionOf tells what is the matter with an app that routers do not know now. A dyno that was made before oldest and is not
// ready by now is not starting any more.
//
//	in maintenance, or web is at 0                               maintenance
//	its first release is being rolled out                        starting
//	a web dyno is ready (routers are about to know), or on its   starting
//	way and still young
//	a newer release is being rolled out, no web dyno is there    starting
//	anything else: it fails, was never deployed, has no web      unavailable
func conditionOf(s dynomad.AppState, dynos []dynomad.Dyno, oldest time.Time) condition {
	web, hasWeb := s.Type(dynomad.Web)
	switch {
	case s.App.Maintenance, hasWeb && web.Quantity == 0:
		return maintenance
	case s.Wanted == nil || !hasWeb:
		return unavailable
	}
	pending := s.Wanted.Status == dynomad.ReleasePending
	alive, soon := webDynos(dynos, oldest)
	if soon || (pending && (s.Wanted.Version == 1 || !alive)) {
		return starting
	}
	return unavailable
}

// webDynos reports whether an app has web dynos that were not told to stop, and whether one of them is ready or soon will be.
func webDynos(dynos []dynomad.Dyno, oldest time.Time) (alive, soon bool) {
	for _, d := range dynos {
		if d.Type != dynomad.Web || d.State == dynomad.StateStopping || d.State == dynomad.StateStopped {
			continue
		}
		alive = true
		soon = soon || d.Ready || (onItsWay(d.State) && d.CreatedAt.After(oldest))
	}
	return alive, soon
}

// onItsWay reports whether a dyno that is not ready may soon be.
func onItsWay(s dynomad.DynoState) bool {
	return s == dynomad.StateWaiting || s == dynomad.StatePending || s == dynomad.StateRunning
}
