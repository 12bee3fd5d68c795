package reconcile

import (
	"context"
	"slices"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// sweep removes variables of config versions that the store does not know: one restored from a backup has none of the versions
// that came after it. The job must be the wanted one and have proved good, so that Nomad has no reason to go back to a job of those
// days, and no dyno may be left that reads the variable, whatever version of the job it is of.
func (l *Loop) sweep(ctx context.Context, t target) error {
	if !l.stands(t) {
		return nil
	}
	paths, fresh := l.Live.Unread(t.namespace, t.name)
	if !fresh {
		return nil
	}
	return l.removeUnknown(ctx, t, paths, func(path string) bool {
		id, ok := jobs.VersionOf(t.name, path)
		return ok && !slices.ContainsFunc(t.Configs, func(c dynomad.ConfigRef) bool { return c.ID == id })
	})
}

// stands reports whether the job is what is wanted and has proved good. Of an app with nothing to run there must be no job at all:
// one that is not ours may read what is below the app's name.
func (l *Loop) stands(t target) bool {
	if t.want.Job == nil {
		_, exists, fresh := l.Live.Job(t.namespace, t.name)
		return fresh && !exists
	}
	return t.matches && !t.Applied.RollingOut && t.Applied.SpecHash == t.want.Hash && !t.failed() &&
		t.AppState.Wanted.Status == dynomad.ReleaseSucceeded
}

// sweepDeleted removes what is left of a deleted app: variables that the store does not know, and those of its runs. They stay if
// the name has a new app, which sweeps itself, or a job of somebody else's. What there is, is listed before either is looked for,
// so that nothing is listed that comes with a newer app.
func (l *Loop) sweepDeleted(ctx context.Context, t target) error {
	paths, err := l.Cluster.VariablePaths(ctx, t.namespace, jobs.VariablePrefix(t.name))
	if err != nil || len(paths) == 0 {
		return err
	}
	if _, err := l.Desired.AppIDByName(ctx, t.name); dynomad.KindOf(err) != dynomad.NotFound {
		return err
	}
	if _, exists, err := l.Cluster.Job(ctx, t.namespace, t.name); err != nil || exists {
		return err
	}
	return l.removeUnknown(ctx, t, paths, func(path string) bool {
		_, ok := jobs.VersionOf(t.name, path)
		return ok || jobs.OfRun(t.name, path)
	})
}

func (l *Loop) removeUnknown(ctx context.Context, t target, paths []string, which func(path string) bool) error {
	for _, path := range paths {
		if !which(path) {
			continue
		}
		if err := l.Cluster.DeleteVariable(ctx, t.namespace, path); err != nil {
			return err
		}
		l.log(t).Info("removed a variable that is not in the records", "path", path)
	}
	return nil
}
