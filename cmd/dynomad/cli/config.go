package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/client"
)

func configCommands() []command {
	return []command{
		{
			use: "config", short: "Show config vars", app: needsApp, run: config,
			flags: func(f *pflag.FlagSet) {
				f.BoolP("shell", "s", false, "as NAME='value', for a shell or a .env file")
			},
		},
		{
			use: "config:get NAME", short: "Print one config var", args: cobra.ExactArgs(1), app: needsApp, complete: completeVars, run: configGet,
		},
		{
			use: "config:set [NAME=VALUE]...", short: "Set config vars, in one release", args: cobra.ArbitraryArgs, app: needsApp,
			run: configSet,
			long: "Set config vars. All of them are one release; values that are as before make none.\n" +
				"A file has a NAME=VALUE a line; quotes are as in a shell, nothing is expanded, # starts a comment. Secrets are better\n" +
				"read from a file or standard input: command lines are seen by everybody on the machine.",
			example: "  dynomad config:set COLOR=red DEBUG=1 -a api\n  dynomad config:set --file .env -a api\n  pass show api | dynomad config:set --file - -a api",
			flags: func(f *pflag.FlagSet) {
				f.StringP("file", "f", "", "read them from a file; - is standard input")
				configWaitFlags(f)
			},
		},
		{
			use: "config:unset NAME...", short: "Remove config vars, in one release", args: cobra.MinimumNArgs(1), app: needsApp,
			complete: completeVars, run: configUnset, flags: configWaitFlags,
		},
	}
}

func configWaitFlags(f *pflag.FlagSet) {
	f.Bool("wait", false, "wait until the release runs")
	timeoutFlag(f)
}

func config(ctx context.Context, c *call, _ []string) error {
	vars, err := c.client.ConfigVars(ctx, c.app)
	if err != nil {
		return err
	}
	return c.show(vars, func() { c.printVars(vars, c.is("shell")) })
}

func (c *call) printVars(vars map[string]string, shell bool) {
	if shell {
		for _, name := range sortedKeys(vars) {
			c.say("%s=%s", name, shellQuoted(vars[name]))
		}
		return
	}
	var rows [][]cell
	for _, name := range sortedKeys(vars) {
		rows = append(rows, cells(name, vars[name]))
	}
	c.table(nil, rows)
}

// shellQuoted quotes a value for a shell.
func shellQuoted(value string) string { return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'" }

func configGet(ctx context.Context, c *call, args []string) error {
	vars, err := c.client.ConfigVars(ctx, c.app)
	if err != nil {
		return err
	}
	value, ok := vars[args[0]]
	if !ok {
		return failed(exitNotFound, "%s has no config var %s", c.app, args[0]).withHint("dynomad config -a %s lists them", c.app)
	}
	return c.show(map[string]string{args[0]: value}, func() { c.say("%s", value) })
}

func configSet(ctx context.Context, c *call, args []string) error {
	change := map[string]*string{}
	if name := c.text("file"); name != "" {
		vars, err := c.readVars(name)
		if err != nil {
			return err
		}
		for name, value := range vars {
			change[name] = &value
		}
	}
	for i, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" { // it may be the value, which is nobody's business
			return usage("argument %d is no NAME=VALUE", i+1).withHint("config:unset removes config vars; --file reads them from a file")
		}
		change[name] = &value
	}
	if len(change) == 0 {
		return usage("nothing to set").withHint("usage: dynomad config:set NAME=VALUE… or --file .env")
	}
	return c.changeConfig(ctx, change, "Set "+strings.Join(sortedKeys(change), ", "))
}

// readVars reads config vars from a file, or from standard input.
func (c *call) readVars(name string) (map[string]string, error) {
	from := c.in
	if name != "-" {
		f, err := os.Open(name) //nolint:gosec // the user names the file
		if err != nil {
			return nil, usage("%w", err)
		}
		defer f.Close() //nolint:errcheck // only read
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	vars, err := parseVars(string(text))
	if err != nil {
		return nil, usage("%s: %w", name, err)
	}
	return vars, nil
}

func configUnset(ctx context.Context, c *call, args []string) error {
	vars, err := c.client.ConfigVars(ctx, c.app)
	if err != nil {
		return err
	}
	change := map[string]*string{}
	for _, name := range args {
		if _, ok := vars[name]; !ok {
			return failed(exitNotFound, "%s has no config var %s; nothing was changed", c.app, name)
		}
		change[name] = nil
	}
	return c.changeConfig(ctx, change, "Removed "+strings.Join(sortedKeys(change), ", "))
}

// changeConfig changes config vars, tells of the release that it made, and follows it if that is wanted.
func (c *call) changeConfig(ctx context.Context, change map[string]*string, done string) error {
	before, err := c.newest(ctx)
	if err != nil {
		return err
	}
	vars, err := c.client.UpdateConfigVars(ctx, c.app, change)
	if err != nil {
		return err
	}
	after, err := c.newest(ctx)
	if err != nil {
		return err
	}
	if !c.json {
		if after.Version == before.Version {
			c.say("Nothing differs, so there is no new release.")
			return nil
		}
		c.say("%s: %s", done, after.Tag())
	}
	if c.is("wait") && after.Version != before.Version {
		ctx, cancel := c.within(ctx)
		defer cancel()
		if _, err := c.follow(ctx, after); err != nil {
			return err
		}
		if !c.json {
			c.say("%s", c.paint(green, after.Tag()+" has succeeded."))
		}
	}
	return c.show(vars, func() {})
}

// newest is the app's newest release; a zero one if there is none.
func (c *call) newest(ctx context.Context) (client.Release, error) {
	releases, err := c.client.Releases(ctx, c.app)
	if err != nil || len(releases) == 0 {
		return client.Release{}, err
	}
	return releases[len(releases)-1], nil
}
