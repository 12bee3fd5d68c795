package cli

import (
	"context"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/client"
)

func appCommands() []command {
	return []command{
		{use: "apps", short: "List apps", run: listApps, flags: func(f *pflag.FlagSet) { f.StringP("space", "s", "", "only those of a space") }},
		{
			use: "apps:create NAME", short: "Create an app", args: cobra.ExactArgs(1), run: createApp,
			long:    "Create an app. Its full name is NAME, a dash and the space; NAME may be the full name too.",
			example: "  dynomad apps:create api\n  dynomad apps:create api --space staging",
			flags: func(f *pflag.FlagSet) {
				f.StringP("space", "s", "", "the space (default \"default\")")
				f.StringP("description", "d", "", "what the app is")
			},
		},
		{use: "apps:info [APP]", short: "Show an app", args: cobra.MaximumNArgs(1), app: argApp, complete: completeApps, run: showApp},
		{
			use: "apps:destroy [APP]", short: "Delete an app and all that runs of it", args: cobra.MaximumNArgs(1), app: argApp,
			complete: completeApps, flags: confirmFlag, run: destroyApp,
		},
		{
			use: "maintenance:on", short: "Stop all dynos of an app; visitors see a page", app: needsApp,
			run: func(ctx context.Context, c *call, _ []string) error { return c.maintain(ctx, true) },
		},
		{
			use: "maintenance:off", short: "Bring an app's dynos back", app: needsApp,
			run: func(ctx context.Context, c *call, _ []string) error { return c.maintain(ctx, false) },
		},
		{
			use: "open [APP]", short: "Open an app in the browser", args: cobra.MaximumNArgs(1), app: argApp, complete: completeApps, run: openApp,
			long:  "Print the app's URL and open it, where there is a browser.",
			flags: func(f *pflag.FlagSet) { f.Bool("nomad", false, "its job in the Nomad UI instead") },
		},
	}
}

func listApps(ctx context.Context, c *call, _ []string) error {
	apps, err := c.client.Apps(ctx)
	if err != nil {
		return err
	}
	shown := []client.App{}
	for _, app := range apps {
		if space := c.text("space"); space == "" || app.Space.Name == space || app.Space.ID == space {
			shown = append(shown, app)
		}
	}
	return c.show(shown, func() {
		if len(shown) == 0 {
			c.note("There are no apps. dynomad apps:create NAME makes one.")
			return
		}
		var rows [][]cell
		for _, app := range shown {
			state := cell{text: "on"}
			switch {
			case app.Maintenance:
				state = cell{"maintenance", yellow}
			case app.Image == "":
				state = cell{text: "not deployed"}
			}
			rows = append(rows, []cell{{text: app.Name}, state, {text: scales(app.Formation)}, {text: orDash(app.Image)}, {text: app.WebURL}})
		}
		c.table([]string{"APP", "STATE", "DYNOS", "IMAGE", "URL"}, rows)
	})
}

func createApp(ctx context.Context, c *call, args []string) error {
	name, space, _ := strings.Cut(args[0], "-")
	if flag := c.text("space"); flag != "" {
		if space != "" && space != flag {
			return usage("the space is named twice, as %s and %s", space, flag)
		}
		space = flag
	}
	app, err := c.client.CreateApp(ctx, client.NewApp{Name: name, Space: space, Description: c.text("description")})
	if err != nil {
		return err
	}
	return c.show(app, func() { c.say("Created %s. Deploy an image: dynomad deploy IMAGE -a %s", app.Name, app.Name) })
}

func showApp(ctx context.Context, c *call, _ []string) error {
	app, err := c.client.App(ctx, c.app)
	if err != nil {
		return err
	}
	return c.show(app, func() {
		c.table(nil, [][]cell{
			cells("Name", app.Name), cells("Description", orDash(app.Description)), cells("Space", app.Space.Name),
			cells("URL", app.WebURL), cells("Image", orDash(app.Image)), cells("Dynos", orDash(scales(app.Formation))),
			cells("Maintenance", onOff(app.Maintenance)), cells("Nomad", app.NomadURL), cells("Id", app.ID), cells("Owner", app.Owner.Email),
		})
	})
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func destroyApp(ctx context.Context, c *call, _ []string) error {
	app, err := c.client.App(ctx, c.app)
	if err != nil {
		return err
	}
	if err := c.confirm("delete "+app.Name+" and all that runs of it", app.Name); err != nil {
		return err
	}
	if app, err = c.client.DeleteApp(ctx, app.ID); err != nil {
		return err
	}
	return c.show(app, func() { c.say("Deleted %s. Its dynos are ending.", app.Name) })
}

func (c *call) maintain(ctx context.Context, on bool) error {
	app, err := c.client.UpdateApp(ctx, c.app, client.AppChange{Maintenance: &on})
	if err != nil {
		return err
	}
	return c.show(app, func() {
		if on {
			c.say("%s is in maintenance: its dynos stop. dynomad maintenance:off -a %s brings them back.", app.Name, app.Name)
			return
		}
		c.say("%s is out of maintenance: its dynos start.", app.Name)
	})
}

func openApp(ctx context.Context, c *call, _ []string) error {
	app, err := c.client.App(ctx, c.app)
	if err != nil {
		return err
	}
	page := app.WebURL
	if c.is("nomad") {
		page = app.NomadURL
	}
	if err := c.show(map[string]string{"url": page}, func() { c.say("%s", page) }); err != nil || c.json {
		return err
	}
	browse := c.env.Browse
	if browse == nil {
		browse = c.browse
	}
	if err := browse(ctx, page); err != nil {
		c.note("No browser could be opened: %v", err)
	}
	return nil
}

// browse opens a URL where there is a screen. Only web pages are opened: the URL comes from the daemon.
func (c *call) browse(ctx context.Context, page string) error {
	if !strings.HasPrefix(page, "http://") && !strings.HasPrefix(page, "https://") {
		return nil
	}
	if runtime.GOOS == "darwin" {
		return exec.CommandContext(ctx, "open", page).Run() //nolint:gosec // a web page
	}
	if c.env.Getenv("DISPLAY") == "" && c.env.Getenv("WAYLAND_DISPLAY") == "" {
		return nil
	}
	return exec.CommandContext(ctx, "xdg-open", page).Run() //nolint:gosec // a web page
}
