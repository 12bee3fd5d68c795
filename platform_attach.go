package dynomad

import (
	"context"
	"fmt"
)

// executor runs scripts in dynos, and commands that clients talk with.
type executor interface {
	// Exec gives how the script ended. If ctx ends first, the script is ended too before Exec returns, with an error of the
	// kind Timeout (a deadline has passed) or Canceled. It is a Conflict if the dyno does not run.
	Exec(ctx context.Context, in Exec) (Executed, error)
	// Talk runs a command for a client and gives its exit code. If ctx ends first, all that runs in the container is ended before
	// Talk returns an error.
	Talk(ctx context.Context, in Session) (int, error)
}

// Attach runs a command in a dyno that runs: it is named by id, name, "type.name" or "type.N".
func (p *Platform) Attach(ctx context.Context, key, dynoKey string, a Attach) (Executed, error) {
	s, d, _, err := p.Dyno(ctx, key, dynoKey)
	if err != nil {
		return Executed{}, err
	}
	in, err := a.exec()
	if err != nil {
		return Executed{}, err
	}
	if !d.processRuns() {
		return Executed{}, Errorf(Conflict, "The dyno %s is not running: its state is %s.", d.Name, d.State)
	}
	in.App, in.Dyno = s.App, d
	// The line is there before the command runs, however that ends.
	_, err = p.apps.EditApp(ctx, s.App.ID, func(AppState) (Edit, error) {
		details := fmt.Sprintf("Ran %s in the dyno %s (%s).", in.Name, d.Name, d.TypeN)
		return Edit{Audits: []Audit{p.audit(ctx, "dyno.attach", details)}}, nil
	})
	if err != nil {
		return Executed{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, AttachTime)
	defer cancel()
	return p.exec.Exec(ctx, in)
}

// processRuns reports whether there is a process to attach to.
func (d Dyno) processRuns() bool { return d.State == StateRunning || d.State == StateProbeFailure }
