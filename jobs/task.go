package jobs

import (
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// killTimeout is how long a dyno has between the stop signal and its end. A Nomad client allows 30 s unless told otherwise
// (max_kill_timeout).
const killTimeout = 30 * time.Second

// pidsLimit is how many processes and threads a dyno may have: enough for a JVM, too few to choke a node. Nomad's Docker
// plugin must not be configured with a lower one: it then refuses the dyno.
const pidsLimit = 2048

// Disk of a dyno, in MB. Nomad wants it larger than what one log stream may keep, and reserves it on the node, so that it
// is sized for many dynos on one.
const (
	diskMB    = 150
	logFiles  = 3
	logFileMB = 10 // of each of stdout and stderr
)

// task renders the one process of a dyno.
func task(in Input, g Group) (*api.Task, error) {
	words, err := commandWords(g.Command)
	if err != nil {
		return nil, err
	}
	config := dockerConfig(g.Image, words)
	if g.Type.Type == dynomad.Web {
		config["ports"] = []string{portLabel}
	}
	return dockerTask(in.Settings, g.Type.Type, g.Type.Size, config, configTemplate(g))
}

// dockerTask renders a process of a size.
func dockerTask(s Settings, name, sizeName string, config map[string]any, environment *api.Template) (*api.Task, error) {
	size, ok := s.Sizes.Find(sizeName)
	if !ok {
		return nil, fmt.Errorf("its size %q is not among the operator's sizes", sizeName)
	}
	return &api.Task{
		Name:        name,
		Driver:      "docker",
		Config:      config,
		Templates:   []*api.Template{environment, maskTemplate()},
		Resources:   resources(size, s.Oversubscription),
		LogConfig:   &api.LogConfig{MaxFiles: ptr(logFiles), MaxFileSizeMB: ptr(logFileMB)},
		KillTimeout: ptr(killTimeout),
	}, nil
}

// capabilities are what a dyno may do as root in its container: enough for images that start as root, put their folders in
// order and go on as another user (as those of nginx and postgres do), for ports below 1024, and for a signal to processes of another
// user. All are among those that Nomad's Docker plugin allows by default (allow_caps); of Docker's own defaults the rest is
// left out: AUDIT_WRITE, FSETID, MKNOD, NET_RAW, SETFCAP, SETPCAP, SYS_CHROOT.
func capabilities() []string {
	return []string{"chown", "dac_override", "fowner", "kill", "net_bind_service", "setgid", "setuid"}
}

// dockerConfig configures Nomad's Docker driver (https://developer.hashicorp.com/nomad/docs/drivers/docker).
// init makes the image's process a child of tini: it is reaped and can be signalled, which PID 1 could ignore.
// A command takes the place of the image's ENTRYPOINT, and Docker then ignores its CMD.
// no-new-privileges makes setuid programs such as sudo run as who starts them; programs that root starts can still become
// another user. The image is pulled only where it is absent: force_pull is not set.
func dockerConfig(image string, words []string) map[string]any {
	config := map[string]any{
		"image":        escape(image),
		"init":         true,
		"cap_drop":     []string{"all"},
		"cap_add":      capabilities(),
		"security_opt": []string{"no-new-privileges"},
		"pids_limit":   pidsLimit,
		"mount":        []map[string]any{maskMount(), logsMount()},
	}
	if len(words) > 0 {
		config["entrypoint"] = escapeAll(words)
	}
	return config
}

// commandWords splits a command into what a container is started with; none is the image's own.
func commandWords(command *string) ([]string, error) {
	if command == nil {
		return nil, nil
	}
	return dynomad.SplitCommand("command", *command)
}

// resources reserves a size on the node. Where the cluster does not oversubscribe memory, Nomad ignores memory_max and
// would end a dyno at what is reserved; so the limit is reserved.
func resources(size dynomad.Size, oversubscription bool) *api.Resources {
	r := &api.Resources{CPU: ptr(size.CPU), MemoryMB: ptr(size.MemoryLimitMB)}
	if oversubscription && size.MemoryLimitMB > size.MemoryMB {
		r.MemoryMB, r.MemoryMaxMB = ptr(size.MemoryMB), ptr(size.MemoryLimitMB)
	}
	return r
}

func disk() *api.EphemeralDisk {
	return &api.EphemeralDisk{SizeMB: ptr(diskMB), Sticky: ptr(false), Migrate: ptr(false)}
}
