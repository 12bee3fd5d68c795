package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/hashicorp/nomad/api"
	"github.com/spf13/cobra"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/store"
)

func rebuildCommand(ctx context.Context, getenv func(string) string) *cobra.Command {
	config, installation := defaultConfig(), ""
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Take in the apps that run on the cluster but are not in the database",
		Long: "Read the apps back from their jobs in Nomad into the database, which may be empty or old. The daemon must not run. Apps\n" +
			"that the database has stay as it has them. Nothing on the cluster is changed, and no dyno is restarted then or when the\n" +
			"daemon starts, if it has the settings that it had: give this command the same, and the daemon's token.\n\n" +
			"What no job tells of cannot be read back: earlier releases, tokens, one-off and scheduled types … It is listed at the end.",
		Args: cobra.NoArgs,
	}
	config.flags(cmd.Flags())
	cmd.Flags().StringVar(&installation, "installation", "", "the installation to take in (default the database's, else the only one found)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := fromEnvironment(cmd.Flags(), getenv); err != nil {
			return err
		}
		if err := config.finish(getenv); err != nil {
			return err
		}
		client, err := nomad.New(nil)
		if err != nil {
			return fmt.Errorf("nomad's settings: %w", err)
		}
		r := &rebuilder{config: config, cluster: client, installation: installation, out: cmd.OutOrStdout()}
		return r.run(ctx)
	}
	return cmd
}

// marked is Nomad, as rebuild reads it.
type marked interface {
	Namespace() string
	Facts(ctx context.Context) (nomad.Facts, error)
	Jobs(ctx context.Context, namespace string) ([]jobs.JobInfo, error)
	JobSpec(ctx context.Context, namespace, id string) (*api.Job, error)
	StableJob(ctx context.Context, namespace, id string) (*api.Job, error)
	Variable(ctx context.Context, namespace, path string) (map[string]string, error)
}

// rebuilder reads apps back from the cluster.
type rebuilder struct {
	config       *Config
	cluster      marked
	installation string // "" until it is chosen
	out          io.Writer

	store    *store.Store
	settings jobs.Settings
	missed   int // apps that could not be taken in
}

// run reads what there is first, so that nothing is made where Nomad does not answer.
func (r *rebuilder) run(ctx context.Context) (err error) {
	facts, err := r.cluster.Facts(ctx)
	if err != nil {
		return err
	}
	all, err := r.cluster.Jobs(ctx, nomad.AllNamespaces)
	if err != nil {
		return err
	}
	closeStore, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	if err := r.choose(ctx, all); err != nil {
		return err
	}
	r.settings = r.config.jobSettings(r.installation, r.cluster.Namespace(), facts)
	lost, known, err := r.lost(ctx, all)
	if err != nil {
		return err
	}
	say(r.out, "Installation %s: %s in Nomad that the database does not have, %d that it has.\n", r.installation, counted(len(lost), "app"), known)
	for _, info := range lost {
		if err := r.takeIn(ctx, info); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.missed++
			say(r.out, "%s: NOT taken in: %v\n", info.ID, err)
		}
	}
	if err := r.skipRuns(ctx, all); err != nil {
		return err
	}
	r.report(len(lost))
	if r.missed > 0 {
		return fmt.Errorf("%d of %s could not be taken in; run it again when what is said above is mended", r.missed, counted(len(lost), "app"))
	}
	return nil
}

// skipRuns keeps the names of jobs of runs from being given again: those are left as they are.
func (r *rebuilder) skipRuns(ctx context.Context, all []jobs.JobInfo) error {
	last := 0
	for _, info := range all {
		last = max(last, jobs.RunNumber(info.ID))
	}
	return r.store.SkipRuns(ctx, last)
}

// open takes the data folder and opens its database, which is made if there is none.
func (r *rebuilder) open(ctx context.Context) (closeAll func() error, err error) {
	dir := r.config.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	release, err := lockDataDir(dir)
	if err != nil {
		return nil, err
	}
	database, keyPath := filepath.Join(dir, databaseFile), filepath.Join(dir, keyFile)
	key, err := store.LoadKey(keyPath)
	if err == nil {
		r.store, err = store.Open(ctx, store.Config{Path: database, Key: key, Now: now})
	}
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return func() error {
		return errors.Join(r.store.Close(), giveToOwner(dir, database, keyPath), release())
	}, nil
}

// choose settles whose jobs are taken in.
func (r *rebuilder) choose(ctx context.Context, all []jobs.JobInfo) error {
	own, err := r.store.Installation(ctx)
	if err != nil {
		return err
	}
	apps, err := r.store.AppIDs(ctx)
	if err != nil {
		return err
	}
	found := map[string]int{}
	for _, info := range all {
		if info.Installation != "" && jobs.OfApp(info) {
			found[info.Installation]++
		}
	}
	r.installation, err = chooseInstallation(r.installation, own, len(apps) > 0, found)
	return err
}

// chooseInstallation gives the installation whose jobs are taken in: the one asked for, else the database's own if it has apps or
// jobs, else the only one that has jobs. found is how many jobs each has.
func chooseInstallation(asked, own string, used bool, found map[string]int) (string, error) {
	switch {
	case asked != "" && asked != own && used:
		return "", fmt.Errorf("the database has apps of the installation %s, whose jobs would be nobody's if it became %s: use an empty data folder", own, asked)
	case asked != "" && found[asked] == 0:
		return "", fmt.Errorf("no app's job of the installation %s was found; found were %s", asked, listInstallations(found))
	case asked != "":
		return asked, nil
	case used || found[own] > 0:
		return own, nil
	case len(found) == 0:
		return "", errors.New("no app's job was found in the namespaces of Nomad that the token may list")
	case len(found) > 1:
		return "", fmt.Errorf("there are apps of several installations, choose one with --installation: %s", listInstallations(found))
	}
	return slices.Collect(maps.Keys(found))[0], nil
}

func listInstallations(found map[string]int) string {
	if len(found) == 0 {
		return "none"
	}
	var texts []string
	for _, id := range slices.Sorted(maps.Keys(found)) {
		texts = append(texts, fmt.Sprintf("%s (%s)", id, counted(found[id], "app")))
	}
	return strings.Join(texts, ", ")
}

// lost gives the installation's jobs whose apps the database does not have, by name, and how many it has.
func (r *rebuilder) lost(ctx context.Context, all []jobs.JobInfo) (lost []jobs.JobInfo, known int, err error) {
	var ids []string
	for _, info := range all {
		if info.Installation == r.installation && jobs.OfApp(info) {
			lost, ids = append(lost, info), append(ids, info.AppID)
		}
	}
	unknown, err := r.store.UnknownApps(ctx, ids)
	if err != nil {
		return nil, 0, err
	}
	lost = slices.DeleteFunc(lost, func(info jobs.JobInfo) bool { return !slices.Contains(unknown, info.AppID) })
	slices.SortFunc(lost, func(a, b jobs.JobInfo) int { return strings.Compare(a.ID, b.ID) })
	return lost, len(ids) - len(lost), nil
}

// takeIn reads one app back and writes it. Config vars that cannot be read keep it out: the daemon would write what it has over
// them.
func (r *rebuilder) takeIn(ctx context.Context, info jobs.JobInfo) error {
	job, err := r.cluster.JobSpec(ctx, info.Namespace, info.ID)
	if err != nil {
		return err
	}
	found, err := jobs.Recover(r.settings, job)
	if err != nil {
		return err
	}
	if found.State.Wanted.Status == dynomad.ReleasePending {
		stable, err := r.cluster.StableJob(ctx, info.Namespace, info.ID)
		switch {
		case err == nil:
			found.Prove(r.settings, stable)
		case dynomad.KindOf(err) != dynomad.NotFound:
			return err
		}
	}
	st := found.State
	items, err := r.cluster.Variable(ctx, info.Namespace, jobs.ConfigPath(st.App.Name, st.ConfigID))
	if err != nil {
		return fmt.Errorf("its config vars: %w", err)
	}
	st.Config = jobs.ConfigVars(items)
	st.App.OwnerEmail = dynomad.RootEmail
	st.Wanted.Description = "Read back from the cluster (" + st.Build.Image + ")"
	err = r.store.Recover(ctx, r.installation, store.RecoveredApp{State: st, Audit: dynomad.Audit{
		ID: uuid.NewString(), Action: "app.rebuild", UserEmail: dynomad.RootEmail, CreatedAt: now(),
		Details: fmt.Sprintf("Read %s back from the cluster, with release v%d of %s.", st.App.Name, st.Wanted.Version, st.Build.Image),
	}})
	if err != nil {
		return err
	}
	r.sayApp(found, len(st.Config))
	return nil
}
