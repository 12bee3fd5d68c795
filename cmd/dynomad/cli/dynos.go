package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/client"
)

func dynoCommands() []command {
	return []command{
		{
			use: "ps [TYPE]", short: "List dynos, by type", args: cobra.MaximumNArgs(1), app: needsApp, complete: completeTypes, run: ps,
			long: "List an app's dynos: number, name, state, release, how long it has been in that state, and what is wrong.\n" +
				"A dyno may be named by its number (web.1) or its name everywhere.",
		},
		{
			use: "ps:wait", short: "Wait until all that is wanted runs", app: needsApp, run: psWait, flags: timeoutFlag,
			long: "Wait until the newest release has succeeded and every dyno type has its quantity of dynos running that release.\n" +
				"The exit code is 6 if the release fails and 7 after --timeout.",
		},
		{
			use: "ps:restart [TYPE or DYNO]", short: "Replace dynos without a gap: all, a type's or one", args: cobra.MaximumNArgs(1), app: needsApp,
			complete: completeDynosAndTypes, run: psRestart, flags: func(f *pflag.FlagSet) {
				f.Bool("wait", false, "wait until the new dynos run and the old ones are gone")
				timeoutFlag(f)
			},
		},
		{
			use: "ps:stop DYNO", short: "Stop a dyno; another takes its place", args: cobra.ExactArgs(1), app: needsApp, complete: completeDynos,
			run: psStop,
		},
		{
			use: "ps:kill DYNO", short: "Send a signal to a dyno's processes", args: cobra.ExactArgs(1), app: needsApp, complete: completeDynos,
			run: psKill, flags: func(f *pflag.FlagSet) {
				f.StringP("signal", "s", "TERM", "name or number: "+strings.Join(sortedKeys(signals()), ", "))
			},
		},
	}
}

// dyno is a dyno with its number: "web.1".
type dyno struct {
	client.Dyno
	Number string `json:"dyno"` // "" for one that is on its way out
}

// label names a dyno to people.
func (d dyno) label() string { return cmp.Or(d.Number, d.Type+"."+d.Name) }

// reason is why the dyno is in its state, after a colon; "" if there is nothing to say.
func (d dyno) reason() string {
	if d.AdditionalInfo == "" {
		return ""
	}
	return ": " + d.AdditionalInfo
}

// note is what there is to say of a dyno besides its state.
func (d dyno) note() string {
	if d.State == client.StateRunning && !d.Ready && d.AdditionalInfo == "" {
		return ", not ready yet"
	}
	return d.reason()
}

// dynos lists the app's dynos with their numbers, which are the names that Heroku's clients see.
func (c *call) dynos(ctx context.Context) ([]dyno, error) {
	list, err := c.client.Dynos(ctx, c.app)
	if err != nil {
		return nil, err
	}
	numbered, err := c.client.HerokuDynos(ctx, c.app)
	if err != nil {
		return nil, err
	}
	numbers := map[string]string{}
	for _, d := range numbered {
		if _, digits, ok := strings.Cut(d.Name, "."); ok && digits != "" {
			numbers[d.ID] = d.Name
		}
	}
	dynos := []dyno{}
	for _, d := range list {
		dynos = append(dynos, dyno{d, numbers[d.ID]})
	}
	return dynos, nil
}

func ps(ctx context.Context, c *call, args []string) error {
	types, err := c.client.Formation(ctx, c.app)
	if err != nil {
		return err
	}
	dynos, err := c.dynos(ctx)
	if err != nil {
		return err
	}
	if len(args) > 0 {
		if !slices.ContainsFunc(types, func(t client.DynoType) bool { return t.Type == args[0] }) {
			return failed(exitNotFound, "the app %s has no dyno type %s", c.app, args[0]).withHint("dynomad ps:scale -a %s lists them", c.app)
		}
		types = slices.DeleteFunc(types, func(t client.DynoType) bool { return t.Type != args[0] })
		dynos = slices.DeleteFunc(dynos, func(d dyno) bool { return d.Type != args[0] })
	}
	return c.show(dynos, func() {
		if len(types) == 0 && len(dynos) == 0 {
			c.note("%s has no dyno types. dynomad deploy IMAGE -a %s makes the type web.", c.app, c.app)
		}
		c.printDynos(types, dynos)
	})
}

// printDynos prints the dynos below their types. Columns are the same for all.
func (c *call) printDynos(types []client.DynoType, dynos []dyno) {
	for _, d := range dynos {
		switch {
		case slices.ContainsFunc(types, func(t client.DynoType) bool { return t.Type == d.Type }):
		case d.Type == oneOff:
			types = append(types, client.DynoType{Type: d.Type, Size: d.Size, OneOff: true})
		default:
			types = append(types, client.DynoType{Type: d.Type, Size: d.Size, AdditionalInfo: "removed"})
		}
	}
	for i, t := range types {
		if i > 0 {
			c.say("")
		}
		c.say("%s", c.paint(bold, "=== "+heading(t)))
		if t.AdditionalInfo != "" {
			c.say("%s", c.paint(yellow, clean(t.AdditionalInfo)))
		}
		var rows [][]cell
		for _, d := range dynos {
			if d.Type == t.Type {
				rows = append(rows, c.dynoRow(d))
			}
		}
		if len(rows) > 0 {
			c.table(nil, rows)
		}
	}
}

// oneOff is the type of dynos that were run by a command of their own.
const oneOff = "run"

func heading(t client.DynoType) string {
	command := "the image's command"
	switch {
	case t.Command != nil:
		command = *t.Command
	case t.Type == oneOff:
		command = "commands of their own"
	}
	kind := strconv.Itoa(t.Quantity) + " × " + t.Size
	switch {
	case t.OneOff:
		kind = "one-off, " + t.Size
	case t.Schedule != nil:
		kind += ", at " + *t.Schedule
	case t.Port != nil:
		kind += ", port " + strconv.Itoa(*t.Port)
	}
	if t.Healthcheck != nil {
		kind += ", checked at " + *t.Healthcheck
	}
	return clean(fmt.Sprintf("%s (%s): %s", t.Type, kind, command))
}

func (c *call) dynoRow(d dyno) []cell {
	version := "-"
	if d.Release.Version > 0 {
		version = "v" + strconv.Itoa(d.Release.Version)
	}
	info := d.AdditionalInfo
	switch {
	case d.Type == oneOff && d.Command != nil:
		info = strings.TrimSpace(*d.Command + "  " + info)
	case d.State == client.StateRunning && !d.Ready && info == "":
		info = "not ready"
	case d.Restarts > 0 && info == "":
		info = plural(d.Restarts, "restart")
	}
	return []cell{
		{text: orDash(d.Number)}, {text: d.Name}, {d.State, stateColor(d.State)}, {text: version}, {text: c.age(d.UpdatedAt)}, {text: info},
	}
}

func psRestart(ctx context.Context, c *call, args []string) error {
	before, err := c.dynos(ctx)
	if err != nil {
		return err
	}
	var done client.Pending
	what := "all dynos of " + c.app
	if len(args) > 0 {
		what = args[0]
		done, err = c.client.Restart(ctx, c.app, args[0])
	} else {
		done, err = c.client.RestartAll(ctx, c.app)
	}
	if err != nil {
		return err
	}
	if !c.is("wait") {
		return c.show(done, func() { c.say("Restarting %s. With --wait the command ends when that is done.", what) })
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	if err := c.settle(ctx, restarted(before, args)); err != nil {
		return err
	}
	return c.show(done, func() { c.say("Restarted %s.", what) })
}

// restarted are the ids of those dynos that a restart replaces: all, those of a type, or one.
func restarted(dynos []dyno, args []string) map[string]bool {
	ids := map[string]bool{}
	for _, d := range dynos {
		if len(args) == 0 || slices.Contains([]string{d.Type, d.ID, d.Name, d.Number, d.Type + "." + d.Name}, args[0]) {
			ids[d.ID] = true
		}
	}
	return ids
}

func psStop(ctx context.Context, c *call, args []string) error {
	done, err := c.client.StopDyno(ctx, c.app, args[0])
	if err != nil {
		return err
	}
	return c.show(done, func() {
		if strings.HasPrefix(args[0], "run.") {
			c.say("Stopping %s.", args[0])
			return
		}
		c.say("Stopping %s; another takes its place.", args[0])
	})
}

// signals are the signals that a dyno can be sent by name.
func signals() map[string]int {
	return map[string]int{
		"HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15, "CONT": 18, "STOP": 19,
	}
}

func psKill(ctx context.Context, c *call, args []string) error {
	name := strings.TrimPrefix(strings.ToUpper(c.text("signal")), "SIG")
	number, known := signals()[name]
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= 64 {
		number, known = n, true
	}
	if !known {
		return usage("there is no signal %q", c.text("signal")).withHint("signals are %s, and numbers", strings.Join(sortedKeys(signals()), ", "))
	}
	done, err := c.client.Attach(ctx, c.app, args[0], client.Attach{Command: []string{"sh", "-c", fmt.Sprintf("kill -%d -1", number)}})
	if err != nil {
		return err
	}
	if done.ExitCode != 0 && done.ExitCode != ended {
		return failed(exitFailed, "the signal could not be sent: %s", cmp.Or(strings.TrimSpace(clean(done.Stderr)), "exit code "+strconv.Itoa(done.ExitCode)))
	}
	return c.show(done, func() { c.say("Sent signal %s to %s.", name, args[0]) })
}

// ended is the exit code of a command in a dyno that the command ended.
const ended = 137

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
