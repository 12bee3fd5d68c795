package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/client"
)

func deployCommands() []command {
	return []command{
		{
			use: "deploy IMAGE", short: "Release an image and wait until it runs", args: cobra.ExactArgs(1), app: needsApp, run: deploy,
			long: "Release an image and tell how its dynos come up, until the release has succeeded or failed. IMAGE has a tag or a digest.\n" +
				"If it fails, the reasons are printed, the exit code is 6, and the release before goes on serving.\n" +
				"Ctrl-C ends the waiting, not the release.",
			example: "  dynomad deploy registry.example/team/api:7 -a api\n" +
				"  dynomad deploy api:8 -a api --process 'worker=node worker.js'",
			flags: func(f *pflag.FlagSet) {
				f.StringArray("process", nil, "a dyno `TYPE=COMMAND` of this image; can be repeated")
				f.String("message", "", "what is new, for people")
				f.String("sha", "", "the commit that the image was made of")
				waitFlags(f)
			},
		},
	}
}

func waitFlags(f *pflag.FlagSet) {
	f.Bool("no-wait", false, "do not wait for the release's end")
	timeoutFlag(f)
}

func deploy(ctx context.Context, c *call, args []string) error {
	processes, err := c.processes()
	if err != nil {
		return err
	}
	build, err := c.client.CreateBuild(ctx, c.app, client.NewBuild{
		URL: args[0], ProcessTypes: processes, Message: c.text("message"), SHA: c.text("sha"),
	})
	if err != nil {
		return err
	}
	release, err := c.released(ctx, build)
	if err != nil {
		return err
	}
	return c.roll(ctx, release, "Deploying "+build.Image+" to "+build.App.Name)
}

// processes are the dyno types and commands that the flags name.
func (c *call) processes() (map[string]string, error) {
	list, err := c.flags.GetStringArray("process")
	if err != nil {
		return nil, err
	}
	processes := map[string]string{}
	for _, one := range list {
		dynoType, command, ok := strings.Cut(one, "=")
		if !ok || dynoType == "" {
			return nil, usage("%q is no TYPE=COMMAND", one)
		}
		processes[dynoType] = command
	}
	return processes, nil
}

// released gives the release of a build. If the app does not release builds by itself, it is released here.
func (c *call) released(ctx context.Context, build client.Build) (client.Release, error) {
	if build.Release != nil {
		return c.client.Release(ctx, c.app, build.Release.ID)
	}
	return c.client.CreateRelease(ctx, c.app, client.NewRelease{Slug: build.ID})
}

// roll tells of a release that was just made, and follows it unless nobody wants to wait.
func (c *call) roll(ctx context.Context, release client.Release, doing string) error {
	if c.is("no-wait") {
		return c.show(release, func() { c.say("%s: %s", doing, release.Tag()) })
	}
	if !c.json {
		c.say("%s: %s", doing, release.Tag())
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	release, err := c.follow(ctx, release)
	if err != nil {
		return err
	}
	return c.show(release, func() {
		c.say("%s", c.paint(green, release.Tag()+" has succeeded."))
		if app, err := c.client.App(ctx, c.app); err == nil {
			c.say("%s", app.WebURL)
		}
	})
}
