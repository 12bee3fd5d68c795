// Package cli has the commands that use the API: `dynomad deploy`, `ps`, `config:set` …
//
// A command is a row of a table (command) and a function that is given a call: the client, the app, and a printer that knows the
// terminal. A function asks the API, and prints; it decides nothing that the API decides. With --json every command prints what
// the API answered. exit.go has the exit codes and what to do next after an error.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/client"
)

// Env is what the commands find around them. Its zero value is what the process has.
type Env struct {
	Getenv   func(string) string
	Version  string                              // of the program
	Now      func() time.Time                    // tells the age of things
	Poll     time.Duration                       // between two looks at what is waited for
	Terminal func(io.Writer) (int, bool)         // how wide a writer is, if it is a terminal
	Browse   func(context.Context, string) error // opens a URL; nil is the system's way
}

const poll = 500 * time.Millisecond

func (e Env) complete() Env {
	if e.Getenv == nil {
		e.Getenv = os.Getenv
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.Poll == 0 {
		e.Poll = poll
	}
	if e.Terminal == nil {
		e.Terminal = terminal
	}
	return e
}

// command is a row of the table of commands.
type command struct {
	use      string // "apps:create NAME"
	short    string
	long     string
	example  string
	args     cobra.PositionalArgs // nil is none
	app      appUse
	flags    func(*pflag.FlagSet)
	complete func(ctx context.Context, c *call, args []string) []string // names for the next argument
	offline  bool                                                       // needs no daemon
	run      func(ctx context.Context, c *call, args []string) error
}

// appUse says whether a command is about an app.
type appUse int

const (
	noApp    appUse = iota
	needsApp        // named by --app
	argApp          // named by the first argument, or by --app
)

// call is one run of a command.
type call struct {
	*printer
	env    Env
	in     io.Reader
	errOut io.Writer
	flags  *pflag.FlagSet
	client *client.Client // nil if the command is offline
	target target
	app    string // full name or id
}

// group is the title under which the commands are listed.
const group = "api"

// Add adds the commands to the program's root.
func Add(root *cobra.Command, env Env) {
	env = env.complete()
	root.AddGroup(&cobra.Group{ID: group, Title: "Commands that use the API (DYNOMAD_URL, DYNOMAD_TOKEN or dynomad login):"})
	for _, list := range [][]command{
		appCommands(), deployCommands(), dynoCommands(), typeCommands(), configCommands(), releaseCommands(), spaceCommands(), tokenCommands(),
		loginCommands(), proxyCommands(), runCommands(), logCommands(),
	} {
		for _, c := range list {
			root.AddCommand(c.cobra(env))
		}
	}
	root.AddCommand(manCommand(root))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w", err).withHint("%s --help tells how it is used", cmd.CommandPath())
	})
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		err := usage("%q is no command", args[0]).withHint("dynomad --help lists them")
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			err = err.withHint("do you mean %s?", strings.Join(near, " or "))
		}
		return err
	}
}

// cobra makes cobra's command of a row.
func (row command) cobra(env Env) *cobra.Command {
	cmd := &cobra.Command{Use: row.use, Short: row.short, Long: row.long, Example: row.example, GroupID: group, DisableFlagsInUseLine: true}
	f := cmd.Flags()
	f.SortFlags = false
	if row.app != noApp {
		f.StringP("app", "a", "", "the app: its name, with or without -default, or id (DYNOMAD_APP)")
		_ = cmd.RegisterFlagCompletionFunc("app", completion(env, row, completeApps)) // fails for flags that there are not
	}
	if row.flags != nil {
		row.flags(f)
	}
	f.Bool("json", false, "print JSON, for programs")
	check := row.args
	if check == nil {
		check = cobra.NoArgs
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage("%w", err).withHint("usage: dynomad %s", row.use)
		}
		return nil
	}
	if row.complete != nil {
		cmd.ValidArgsFunction = completion(env, row, row.complete)
	} else {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, args, err := row.call(cmd, env, args)
		if err == nil {
			err = row.run(cmd.Context(), c, args)
		}
		return explain(cmd.Context(), c, err)
	}
	return cmd
}

// call makes ready what a run needs. Of a command whose first argument may name the app, that argument is taken away.
func (row command) call(cmd *cobra.Command, env Env, args []string) (*call, []string, error) {
	c := &call{
		printer: newPrinter(cmd.OutOrStdout(), env, cmd.Flags()), env: env, in: cmd.InOrStdin(), errOut: cmd.ErrOrStderr(), flags: cmd.Flags(),
	}
	var err error
	if row.app != noApp {
		name, _ := cmd.Flags().GetString("app")
		if row.app == argApp && len(args) > 0 {
			if name != "" && name != args[0] {
				return c, nil, usage("the app is named twice, as %s and %s", args[0], name)
			}
			name, args = args[0], args[1:]
		}
		if c.app, err = appName(name, env.Getenv("DYNOMAD_APP")); err != nil {
			return c, nil, err
		}
	}
	if row.offline {
		return c, args, nil
	}
	if c.target, err = findTarget(env.Getenv); err != nil {
		return c, nil, err
	}
	c.client, err = c.target.connect(env.Version)
	return c, args, err
}

// shortName is a name that lacks its space: every full name has a dash.
var shortName = regexp.MustCompile(`^[a-zA-Z0-9]+$`)

// appName finds which app is meant.
func appName(flag, fromEnv string) (string, error) {
	name := flag
	if name == "" {
		name = fromEnv
	}
	switch {
	case name == "":
		return "", usage("which app?").withHint("name it with --app or in DYNOMAD_APP; dynomad apps lists them")
	case shortName.MatchString(name):
		return strings.ToLower(name) + "-default", nil
	}
	return name, nil
}

// text gives a flag that is a text; "" for one that the command does not have.
func (c *call) text(flag string) string {
	value, _ := c.flags.GetString(flag)
	return value
}

// is gives a flag that is true or false.
func (c *call) is(flag string) bool {
	value, _ := c.flags.GetBool(flag)
	return value
}

// within bounds a wait by the flag --timeout.
func (c *call) within(ctx context.Context) (context.Context, context.CancelFunc) {
	limit, _ := c.flags.GetDuration("timeout")
	return context.WithTimeoutCause(ctx, limit, errTimeout)
}

func timeoutFlag(f *pflag.FlagSet) {
	f.Duration("timeout", 15*time.Minute, "how long to wait")
}

// pause waits for the next look.
func (c *call) pause(ctx context.Context) error {
	timer := time.NewTimer(c.env.Poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// note tells a person something that is no output.
func (c *call) note(format string, args ...any) {
	fmt.Fprintf(c.errOut, format+"\n", args...) //nolint:errcheck // nobody to tell
}
