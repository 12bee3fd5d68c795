package jobs

import (
	"strconv"
	"strings"

	"github.com/dynomad/dynomad"
)

// Keys of meta. A job's meta carries what never changes, since a change of it restarts every group; a group's meta carries
// what is to restart the group's dynos when it changes.
const (
	metaOwner = "dynomad"        // job, service: id of the installation that keeps it
	metaAppID = "dynomad_app_id" // job, service
	metaSpace = "dynomad_space"  // job
	metaRun   = "dynomad_run_id" // job of a run: the run's id
	metaApp   = "dynomad_app"    // service: the full name

	metaType    = "dynomad_type"    // group, service
	metaRelease = "dynomad_release" // group: version of the release that it runs
	metaRestart = "dynomad_restart" // group: restart id of the type; absent before the first restart
	metaRetry   = "dynomad_retry"   // group: how often a first rollout that failed was tried again; absent at 0
	metaCheck   = "dynomad_check"   // group web: hash of its check's type and path
)

// portLabel names the one port of a web group.
const portLabel = "http"

// JobID gives the id of an app's job; it is also the name of the job and of its Consul service.
func JobID(app dynomad.App) string { return app.Name }

// Owner reads a job's or a service's owner mark: the installation that keeps it and the app's id. ok is false where there is no mark.
func Owner(meta map[string]string) (installation, appID string, ok bool) {
	installation, ok = meta[metaOwner]
	return installation, meta[metaAppID], ok && installation != ""
}

func ownerMeta(installation string, app dynomad.App) map[string]string {
	return map[string]string{
		metaOwner: installation,
		metaAppID: app.ID,
		metaSpace: app.Space,
	}
}

// TypeN gives the name that a dyno shares with those it replaces, "web.1" for the allocation index 0.
func TypeN(dynoType string, index int) string { return dynoType + "." + strconv.Itoa(index+1) }

// allocIndex reads the index from an allocation's name; 0 if there is none.
func allocIndex(name string) int {
	open := strings.LastIndexByte(name, '[')
	if open < 0 || !strings.HasSuffix(name, "]") {
		return 0
	}
	index, err := strconv.Atoi(name[open+1 : len(name)-1])
	if err != nil || index < 0 {
		return 0
	}
	return index
}
