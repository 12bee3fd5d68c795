package jobs

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// configRoot is the folder of all our Nomad variables.
const configRoot = "dynomad"

// Files of the templates, in a task's own folders. private/ is kept in memory, out of what Nomad's API shows, and not in the container:
// what the dyno can reach it can replace by a link, which Nomad and Docker follow on the node, as root.
const (
	configFile = "private/config.env"
	maskFile   = "private/none"
	apiSocket  = secretsDir + "/api.sock"
)

// Where a dyno finds the folders that Nomad gives it (https://developer.hashicorp.com/nomad/docs/runtime/environment).
const (
	allocDir   = "/alloc"
	taskDir    = "/local"
	secretsDir = "/secrets"
	logsDir    = allocDir + "/logs"
)

// ConfigPrefix is what the paths of all config vars' variables begin with.
const ConfigPrefix = configRoot + "/"

// ConfigPath gives the path of the Nomad variable with one version of an app's config vars. The path of no version is that
// of an app whose config vars were never set.
func ConfigPath(appName, configID string) string {
	if configID == "" {
		configID = "none"
	}
	return strings.Join([]string{configRoot, appName, configID}, "/")
}

// VariablePrefix is what the paths of all variables of one app begin with.
func VariablePrefix(appName string) string {
	return strings.Join([]string{configRoot, appName, ""}, "/")
}

// runMark is what the folder of a one-off dyno's own variables begins with (see GrantPath).
const runMark = "run-"

// uuid is the form of a config version's id.
var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// VersionOf gives the config version that a variable of an app is of; ok is false if it is of none of any store's.
func VersionOf(appName, path string) (id string, ok bool) {
	id = configID(appName, path)
	return id, uuid.MatchString(id)
}

// OfRun reports whether a variable of an app is one run's.
func OfRun(appName, path string) bool {
	return strings.HasPrefix(path, VariablePrefix(appName)+runMark)
}

// ConfigItems gives the items of that variable: the config vars, and what stays the same for the app's life, which also
// makes them never empty: Nomad refuses a variable without items.
func ConfigItems(app dynomad.App, vars dynomad.ConfigVars) map[string]string {
	items := make(map[string]string, len(vars)+2)
	maps.Copy(items, vars)
	items["DYNOMAD_APP"] = app.Name
	items["DYNOMAD_SPACE"] = app.Space
	return items
}

// configTemplate makes a dyno's environment of the variable and of what differs from dyno to dyno and release to release.
// Values are written as JSON, which the reader of env files undoes: they arrive as they are, whatever is in them. The
// variable never changes, so neither does the environment of a dyno that is started again (noop). A variable that is not
// there holds the dyno back until it is.
func configTemplate(g Group) *api.Template {
	var b strings.Builder
	writeVariable(&b, strconv.Quote(g.ConfigPath))
	fmt.Fprintf(&b, "DYNO=%s.{{ add 1 (env \"NOMAD_ALLOC_INDEX\" | parseInt) }}\n", g.Type.Type)
	fmt.Fprintf(&b, "DYNOMAD_RELEASE=v%d\n", g.ReleaseVersion)
	if g.Type.Type == dynomad.Web {
		fmt.Fprintf(&b, "PORT=%d\n", g.Type.Port)
	}
	return envTemplate(b.String())
}

// writeVariable writes the part of a template that has all items of a Nomad variable. Its path is an expression of a template.
func writeVariable(b *strings.Builder, path string) {
	fmt.Fprintf(b, "{{ with nomadVar %s }}{{ range .Tuples }}{{ .K }}={{ .V | toJSON }}\n{{ end }}{{ end }}", path)
}

// folders ends an environment. Nomad's Docker driver mounts the folders where the environment says they are
// (containerBinds in drivers/docker/driver.go), so a config var must not have the last word: it would move the socket of Nomad's API
// to where nothing masks it.
const folders = "NOMAD_ALLOC_DIR=" + allocDir + "\nNOMAD_TASK_DIR=" + taskDir + "\nNOMAD_SECRETS_DIR=" + secretsDir + "\n"

// envTemplate makes a dyno's environment of a text.
func envTemplate(text string) *api.Template {
	return &api.Template{
		EmbeddedTmpl: ptr(text + folders),
		DestPath:     ptr(configFile),
		Envvars:      ptr(true),
		ChangeMode:   ptr("noop"),
		Perms:        ptr("0600"),
	}
}

// maskTemplate makes the file that hides Nomad's API from the dyno (see maskMount).
func maskTemplate() *api.Template {
	return &api.Template{
		EmbeddedTmpl: ptr("Dynos have no access to Nomad.\n"),
		DestPath:     ptr(maskFile),
		ChangeMode:   ptr("noop"),
		Perms:        ptr("0444"),
	}
}

// maskMount lays a file over the socket of Nomad's API that every task gets. Anybody in the container may use the socket,
// and where ACLs are off anybody who does owns the cluster.
func maskMount() map[string]any {
	return map[string]any{"type": "bind", "source": maskFile, "target": apiSocket, "readonly": true}
}

// logsMount hides the folder of a dyno's output from it. Nomad writes there as root and follows links: a dyno that put one in the
// place of the next file could write any file of its node.
func logsMount() map[string]any {
	return map[string]any{"type": "tmpfs", "target": logsDir, "readonly": true}
}
