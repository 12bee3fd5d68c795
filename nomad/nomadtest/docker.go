package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	dockerSocket = "/var/run/docker.sock"
	dockerWithin = 60 * time.Second // for finding or starting Docker, another program's start or end included
	installHint  = "install it (Debian: apt-get install docker.io iptables, or run tools/docker.sh)"
)

// engine is the Docker that the cluster uses.
type engine struct {
	api    *dockerAPI
	host   string   // as in DOCKER_HOST
	bridge string   // interface of its default network
	lock   *useLock // nil when the Docker in use cannot be one of ours
	proc   *Process // nil when Docker was found running
}

// openEngine finds a Docker that answers, or starts one if there is none.
func openEngine(ctx context.Context, cfg Config, dataRoot string) (*engine, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerWithin)
	defer cancel()
	e, err := findOrStart(ctx, cfg, dataRoot)
	if err != nil {
		return nil, err
	}
	if e.bridge, err = e.api.bridgeName(ctx); err != nil {
		return nil, errors.Join(err, e.close(ctx))
	}
	return e, nil
}

func findOrStart(ctx context.Context, cfg Config, dataRoot string) (*engine, error) {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return findEngine(ctx, host)
	}
	host := "unix://" + dockerSocket
	if os.Geteuid() != 0 {
		return findEngine(ctx, host)
	}
	api, err := newDockerAPI(host)
	if err != nil {
		return nil, err
	}
	e := &engine{api: api, host: host, lock: &useLock{path: dockerLock}}
	err = poll(ctx, func(ctx context.Context) error { return e.joinOrStart(ctx, cfg, dataRoot) })
	if err != nil {
		return nil, errors.Join(err, e.lock.release())
	}
	return e, nil
}

func findEngine(ctx context.Context, host string) (*engine, error) {
	api, err := newDockerAPI(host)
	if err != nil {
		return nil, err
	}
	if err := api.ping(ctx); err != nil {
		return nil, fmt.Errorf("docker does not answer at %s and only root can start one: %w", host, err)
	}
	return &engine{api: api, host: host}, nil
}

// joinOrStart is one try to share the Docker that runs, else to start one with nobody else doing the same.
func (e *engine) joinOrStart(ctx context.Context, cfg Config, dataRoot string) error {
	if err := e.lock.share(); err != nil {
		return err
	}
	if e.api.ping(ctx) == nil {
		return nil
	}
	if err := e.lock.own(); err != nil {
		return errors.Join(err, e.lock.release())
	}
	if e.api.ping(ctx) == nil {
		return e.lock.share()
	}
	if err := e.startDaemon(ctx, cfg, dataRoot); err != nil {
		return permanentError{errors.Join(err, e.lock.release())}
	}
	return nil
}

func (e *engine) startDaemon(ctx context.Context, cfg Config, dataRoot string) error {
	if err := checkDocker(); err != nil {
		return err
	}
	if err := sweepDockers(ctx, os.TempDir()); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", dockerDirPrefix)
	if err != nil {
		return err
	}
	// A configuration of the machine's own could contradict our flags.
	err = os.WriteFile(filepath.Join(dir, "daemon.json"), []byte("{}"), 0o600)
	err = errors.Join(err, os.Mkdir(filepath.Join(dir, "tmp"), 0o700), hostNow(ctx).record(dir))
	if err != nil {
		return err
	}
	if dataRoot == "" {
		dataRoot = filepath.Join(dir, "data")
	}
	e.proc = &Process{command: daemonCommand(dir, dataRoot, e.api.ping)}
	cfg.Logger.Info("starting docker", "dir", dir)
	if err := e.proc.start(ctx); err != nil {
		return errors.Join(explainDaemon(err, e.proc.LogPath()), os.RemoveAll(dir))
	}
	if err := e.lock.describe(dir); err != nil {
		return errors.Join(err, e.proc.Kill())
	}
	if err := e.lock.share(); err != nil {
		return errors.Join(err, e.proc.Kill())
	}
	return startReaper(ctx, e.lock.path, dir)
}

// daemonCommand outlives us: the daemon may have users beside its starter, and reaper.sh ends it.
func daemonCommand(dir, dataRoot string, ready func(context.Context) error) Command {
	return Command{
		Name: "docker",
		Path: "dockerd",
		Args: []string{
			"--config-file=" + filepath.Join(dir, "daemon.json"),
			"--host=unix://" + dockerSocket,
			"--data-root=" + dataRoot,
			"--exec-root=" + filepath.Join(dir, "exec"),
			"--pidfile=" + filepath.Join(dir, "docker.pid"),
			"--shutdown-timeout=3",
		},
		Env:   agentEnv(dir),
		Dir:   dir,
		Log:   filepath.Join(dir, "docker.log"),
		Ready: ready,

		outlivesUs: true,
	}
}

// checkDocker says in one line what has to be installed before dockerd can run.
func checkDocker() error {
	if _, err := exec.LookPath("dockerd"); err != nil {
		return errors.New("docker does not run and dockerd is not installed: " + installHint)
	}
	if _, err := exec.LookPath("iptables"); err != nil {
		return errors.New("dockerd needs iptables, which is not installed: " + installHint)
	}
	if _, err := exec.LookPath("flock"); err != nil {
		return errors.New("flock is not installed: install it (Debian: apt-get install util-linux)")
	}
	return nil
}

// explainDaemon puts the usual reasons why dockerd does not start before its own long ones.
func explainDaemon(err error, logPath string) error {
	log := strings.ToLower(lastLines(logPath, 40))
	switch {
	case strings.Contains(log, "iptables"):
		return fmt.Errorf("dockerd cannot use iptables: load its kernel modules or check that you are root: %w", err)
	case strings.Contains(log, "overlay"):
		return fmt.Errorf("dockerd cannot use overlayfs: load the kernel module overlay: %w", err)
	}
	return err
}

// close gives the Docker up, and returns when it has ended if it is one of ours and had no other users.
func (e *engine) close(ctx context.Context) error {
	e.api.http.CloseIdleConnections()
	if e.lock == nil {
		return nil
	}
	if err := e.lock.release(); err != nil {
		return err
	}
	return awaitReaper(ctx, e.lock.path)
}
