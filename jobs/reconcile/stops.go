package reconcile

import (
	"context"
	"fmt"

	"github.com/dynomad/dynomad"
)

// stopDynos replaces the dynos that users want replaced. A web dyno is stopped alone only if another one is ready to take its
// traffic and no rollout runs; else its whole type gets a restart id, which starts new dynos before the old ones go. The wish
// is recorded until the dyno is seen to go: a daemon that is killed asks again, which does no harm, and the next dyno is not
// stopped in the belief that this one takes its traffic. Until then it waits.
func (l *Loop) stopDynos(ctx context.Context, t target) (waits bool, err error) {
	for _, stop := range t.Stops {
		here, ready, fresh := l.Live.Peers(t.namespace, t.name, stop.DynoID)
		switch {
		case !fresh:
			return false, dynomad.Errorf(dynomad.Unavailable, "The cluster is out of sight: a dyno waits to be replaced.")
		case !here:
		case t.Applied.RollingOut || (stop.Type == dynomad.Web && ready == 0):
			if err := l.Desired.RestartInstead(ctx, t.App.ID, stop, l.NewID()); err != nil {
				return false, fmt.Errorf("restarting a type in a dyno's stead: %w", err)
			}
			l.log(t).Info("restarting the type in the dyno's stead", "type", stop.Type, "dyno", stop.DynoID)
			l.Wake(t.App.ID)
			continue
		default:
			if err := l.Cluster.StopAlloc(ctx, t.namespace, stop.DynoID); err != nil {
				return false, err
			}
			l.log(t).Info("stopped a dyno to have it replaced", "type", stop.Type, "dyno", stop.DynoID)
			return true, nil
		}
		if err := l.Desired.StopDone(ctx, t.App.ID, stop.DynoID); err != nil {
			return false, fmt.Errorf("recording the stop of a dyno: %w", err)
		}
	}
	return false, nil
}
