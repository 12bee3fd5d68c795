package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dynomad/dynomad/client"
)

func releaseCommands() []command {
	return []command{
		{
			use: "releases", short: "List releases, newest first", app: needsApp, run: listReleases,
			flags: func(f *pflag.FlagSet) { f.IntP("number", "n", 15, "how many at most; 0 is all") },
		},
		{
			use: "releases:info [VERSION]", short: "Show a release; without VERSION the newest", args: cobra.MaximumNArgs(1), app: needsApp,
			complete: completeReleases, run: showRelease,
			flags: func(f *pflag.FlagSet) { f.Bool("config", false, "its config vars too") },
		},
		{
			use: "rollback [VERSION]", short: "Release an old release's image and config vars again", args: cobra.MaximumNArgs(1), app: needsApp,
			complete: completeReleases, run: rollback, flags: waitFlags,
			long: "Make a new release with the image and the config vars of an old one, and wait until it runs. Without VERSION that is the\n" +
				"newest one before the current that succeeded. Quantities stay.",
		},
	}
}

func listReleases(ctx context.Context, c *call, _ []string) error {
	releases, err := c.client.Releases(ctx, c.app)
	if err != nil {
		return err
	}
	slices.Reverse(releases)
	if most, _ := c.flags.GetInt("number"); most > 0 {
		releases = releases[:min(most, len(releases))]
	}
	return c.show(releases, func() {
		if len(releases) == 0 {
			c.note("%s has no releases. dynomad deploy IMAGE -a %s makes the first.", c.app, c.app)
			return
		}
		var rows [][]cell
		for _, r := range releases {
			mark, text := "", r.Description
			if r.Current {
				mark = "*"
			}
			if r.AdditionalInfo != "" {
				text += ": " + r.AdditionalInfo
			}
			rows = append(rows, []cell{
				{text: r.Tag() + mark}, {r.Status, stateColor(r.Status)}, {text: c.age(r.CreatedAt)}, {text: r.User.Email}, {text: text},
			})
		}
		c.table([]string{"RELEASE", "STATUS", "AGE", "BY", "WHAT"}, rows)
	})
}

// releaseOrNewest is the release that an argument names, else the newest.
func (c *call) releaseOrNewest(ctx context.Context, args []string) (client.Release, error) {
	if len(args) > 0 {
		return c.client.Release(ctx, c.app, args[0])
	}
	newest, err := c.newest(ctx)
	if err == nil && newest.ID == "" {
		err = failed(exitNotFound, "%s has no releases", c.app).withHint("dynomad deploy IMAGE -a %s makes the first", c.app)
	}
	return newest, err
}

// releaseInfo is a release with its image and, if they were asked for, its config vars.
type releaseInfo struct {
	client.Release
	Image  string            `json:"image"`
	Config map[string]string `json:"config_vars,omitempty"`
}

func showRelease(ctx context.Context, c *call, args []string) error {
	release, err := c.releaseOrNewest(ctx, args)
	if err != nil {
		return err
	}
	info := releaseInfo{Release: release}
	if release.Slug != nil {
		build, err := c.client.Build(ctx, c.app, release.Slug.ID)
		if err != nil {
			return err
		}
		info.Image = build.Image
	}
	if c.is("config") {
		if info.Config, err = c.client.ReleaseConfigVars(ctx, c.app, release.ID); err != nil {
			return err
		}
	}
	return c.show(info, func() {
		status := []cell{{text: "Status"}, {release.Status, stateColor(release.Status)}}
		c.table(nil, [][]cell{
			cells("Release", release.Tag()), status, cells("What", release.Description), cells("Why", orDash(release.AdditionalInfo)),
			cells("Image", orDash(info.Image)), cells("By", release.User.Email), cells("When", release.CreatedAt.Format("2006-01-02 15:04:05 MST")),
			cells("Id", release.ID),
		})
		if info.Config != nil {
			c.say("")
			c.printVars(info.Config, false)
		}
	})
}

func rollback(ctx context.Context, c *call, args []string) error {
	to, err := c.rollbackTo(ctx, args)
	if err != nil {
		return err
	}
	release, err := c.client.CreateRelease(ctx, c.app, client.NewRelease{Release: to})
	if err != nil {
		return err
	}
	return c.roll(ctx, release, release.Description+" of "+c.app)
}

// rollbackTo is the release that an argument names, else the newest good one before the current.
func (c *call) rollbackTo(ctx context.Context, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	releases, err := c.client.Releases(ctx, c.app)
	if err != nil {
		return "", err
	}
	to := goodBefore(releases)
	if to == "" {
		return "", failed(exitNotFound, "%s has no release before the current one that succeeded", c.app).withHint("dynomad releases -a %s lists all", c.app)
	}
	return to, nil
}

// goodBefore is the version of the newest release that can be rolled back to, before the current one.
func goodBefore(releases []client.Release) string {
	past := false
	for _, r := range slices.Backward(releases) {
		if past && r.EligibleForRollback {
			return r.Tag()
		}
		past = past || r.Current
	}
	return ""
}
