package server

import (
	"net/http"

	"github.com/dynomad/dynomad"
)

// operation is what the API's description says of a route, besides what follows from the table of routes and from the answer's type.
type operation struct {
	summary  string // a line
	about    string // more, if there is more to know
	status   int    // of success; 0 is 200
	answer   any    // a value of the answer's type; nil is text or HTML, or nothing
	media    string // of the answer; "" is JSON
	body     any    // a value of the request's type; nil is no body
	optional bool   // the body may be left out
	query    map[string]string
	conflict string // when it is 409
	missing  string // when it is 404, where the path names nothing
	never    bool   // there is no success
	noNews   bool   // 204 if nothing came after what the client has
}

// section is a group of operations, in the order of the documentation.
type section struct {
	tag, about string
	operations map[string]operation // by "METHOD path"
}

// sections describe every route.
func sections() []section {
	return []section{
		{"Apps", "An app's full name is its name, a dash and its space: `api-default`. That or its id is the key in every path.", appOperations()},
		{"Spaces", "A space is a group of apps; `default` always exists.", spaceOperations()},
		{"Formation", "The dyno types of an app: how to start its processes, and how many of each.", formationOperations()},
		{"Dynos", "What runs: one row for each running, starting or lately ended dyno.", dynoOperations()},
		{"Config vars", "The app's environment.", configOperations()},
		{"Builds", "Image references that can be released.", buildOperations()},
		{"Releases", "A slug with config vars, numbered 1, 2, 3 … in the app.", releaseOperations()},
		{"Logs", "What dynos write, and what happens to them: `docs/logs.md`.", logOperations()},
		{"Features and audits", "", extraOperations()},
		{"Account", "Who the token is, and what it likes.", accountOperations()},
		{"Tokens", "", tokenOperations()},
		{"Health", "These need no token.", healthOperations()},
	}
}

func appOperations() map[string]operation {
	one := appAnswer{}
	return map[string]operation{
		"POST /apps": {
			summary: "Create an app", status: 201, body: newAppBody{}, answer: one, conflict: "the name is taken",
			missing: "there is no such space",
		},
		"GET /apps":         {summary: "List apps, by name", answer: []appAnswer{}},
		"GET /users/~/apps": {summary: "List apps, as Heroku's clients ask for them", answer: []appAnswer{}},
		"GET /apps/{app}":   {summary: "Show an app", answer: one},
		"PATCH /apps/{app}": {
			summary: "Change an app, or put it in maintenance", body: appChangeBody{}, optional: true, answer: one,
			about: "`maintenance: true` stops the dynos of all types and keeps the quantities for later. Apps cannot be renamed.",
		},
		"DELETE /apps/{app}": {
			summary: "Delete an app", answer: one,
			about: "Ends its dynos and removes its job, service and config vars from the cluster. Answers with the app as it was.",
		},
		"GET /apps/{app}/addons":             {summary: "List add-ons: there are none", answer: []onlyID{}},
		"GET /apps/{app}/collaborators":      {summary: "List collaborators: there are none", answer: []onlyID{}},
		"GET /apps/{app}/pipeline-couplings": {summary: "Show an app's pipeline: it is in none", never: true},
	}
}

func spaceOperations() map[string]operation {
	return map[string]operation{
		"POST /spaces":           {summary: "Create a space", status: 201, body: newSpaceBody{}, answer: spaceAnswer{}, conflict: "the name is taken"},
		"GET /spaces":            {summary: "List spaces, by name", answer: []spaceAnswer{}},
		"GET /spaces/{space}":    {summary: "Show a space", answer: spaceAnswer{}},
		"DELETE /spaces/{space}": {summary: "Delete a space", answer: spaceAnswer{}, conflict: "it has apps, or is `default`"},
	}
}

func formationOperations() map[string]operation {
	const maintenance = "the app is in maintenance"
	return map[string]operation{
		"GET /sizes":             {summary: "List sizes of dynos, smallest first", answer: []sizeAnswer{}},
		"GET /dyno-sizes":        {summary: "List sizes in Heroku's shape", answer: []dynoSizeAnswer{}},
		"GET /dyno-sizes/{size}": {summary: "Show a size in Heroku's shape", answer: dynoSizeAnswer{}},
		"POST /apps/{app}/formation": {
			summary: "Create a dyno type", body: newTypeBody{}, answer: dynoTypeAnswer{}, conflict: "it exists, or " + maintenance,
		},
		"GET /apps/{app}/formation": {
			summary: "List dyno types", answer: []dynoTypeAnswer{}, about: "Shows what is wanted; GET dynos shows what runs.",
		},
		"PATCH /apps/{app}/formation": {
			summary: "Scale or change dyno types: all or nothing", body: batchBody{}, answer: []dynoTypeAnswer{}, conflict: maintenance,
			about: "An array of changes, or an object with the array `updates`. Only what is sent changes. A quantity restarts nothing; " +
				"another command, size, port or health check replaces the dynos of that type. Answers in the order of the request.",
		},
		"GET /apps/{app}/formation/{type}": {summary: "Show a dyno type", answer: dynoTypeAnswer{}},
		"PATCH /apps/{app}/formation/{type}": {
			summary: "Scale or change a dyno type", body: typeBody{}, optional: true, answer: dynoTypeAnswer{}, conflict: maintenance,
		},
		"DELETE /apps/{app}/formation/{type}": {summary: "Remove a dyno type", answer: dynoTypeAnswer{}, conflict: maintenance},
	}
}

func dynoOperations() map[string]operation {
	attach := operation{
		summary: "Run an allowed command in a dyno", status: http.StatusAccepted, body: attachBody{}, answer: executedAnswer{},
		conflict: "its process does not run, or the output is too long",
		about: "`command`, joined by blanks, must match `^sh -c kill -[0-9]+ -1$`; the only `alias` is `java_heap_dump`. Anything else is " +
			"403. Longer than 60 s is 504. An exit code other than 0 is 202 too.",
	}
	restart := func(summary string) operation {
		return operation{
			summary: summary, status: http.StatusAccepted, answer: pendingAnswer{},
			about: "The answer comes before anything happens. New dynos are healthy before old ones go.",
		}
	}
	return map[string]operation{
		"GET /apps/{app}/dynos": {
			summary: "List dynos, by type and number", answer: []dynoAnswer{},
			about: "Answered from memory. `Dynomad-Stale: 12` says that the cluster has not been heard from for 12 seconds.",
		},
		"POST /apps/{app}/dynos": {
			summary: "Run a dyno once", status: http.StatusCreated, body: runBody{}, optional: true, answer: dynoAnswer{},
			conflict: "nothing was released yet, a name of env is reserved, or too many are under way",
			about: "It has the image and config vars of the release that the app runs, and stays listed for an hour after its end, with its exit " +
				"code. With `Accept: application/vnd.heroku+json; version=3` the command is run by `/bin/sh -c`.",
		},
		"GET /apps/{app}/dynos/{dyno}": {summary: "Show a dyno", answer: dynoAnswer{}},
		"GET /apps/{app}/dyno/{dyno}":  {summary: "Show a dyno (the same)", answer: dynoAnswer{}},
		"DELETE /apps/{app}/dynos":     restart("Restart all dynos"),
		"DELETE /apps/{app}/dynos/{dyno}": restart(
			"Restart a dyno if the key names one, else a dyno type"),
		"POST /apps/{app}/dynos/{dyno}/actions/stop":        restart("Stop a dyno; another takes its place, but not that of a one-off"),
		"DELETE /apps/{app}/formations/{type}":              restart("Restart a dyno type"),
		"POST /apps/{app}/formations/{type}/actions/stop":   restart("Restart a dyno type (the same)"),
		"DELETE /apps/{app}/formations/{type}/actions/stop": restart("Restart a dyno type (the same)"),
		"GET /apps/{app}/dynos/{dyno}/stream": {
			summary: "Talk with the command of an attached dyno, over a WebSocket", never: true,
			about: "Where `attach_url` of a dyno that was made with `attach` leads; its secret is good once, for 60 seconds. docs/attached.md has the messages.",
			query: map[string]string{"secret": "as in attach_url", "tty": "0 for a command without a terminal", "keep": "1 for a command that runs on if its client is lost"},
		},
		"POST /apps/{app}/dynos/{dyno}/actions/attach": attach,
		"POST /apps/{app}/{dyno}/actions/attach":       attach,
	}
}

func configOperations() map[string]operation {
	vars := map[string]string{}
	return map[string]operation{
		"GET /apps/{app}/config-vars": {summary: "Show config vars", answer: vars},
		"PATCH /apps/{app}/config-vars": {
			summary: "Set and remove config vars", body: configBody{}, optional: true, answer: vars, conflict: "a name is reserved",
			about: "All of it is one release; no difference, no release. Answers with all config vars as they are now.",
		},
		"GET /apps/{app}/config-vars/notes": {summary: "Show what config vars are for", answer: map[string]noteAnswer{}},
		"PATCH /apps/{app}/config-vars/notes": {
			summary: "Say what config vars are for", body: notesBody{}, optional: true, answer: map[string]noteAnswer{},
		},
	}
}

func buildOperations() map[string]operation {
	const note = "Released at once unless the feature auto-release is off."
	return map[string]operation{
		"POST /apps/{app}/builds": {
			summary: "Deploy an image", status: 201, body: newBuildBody{}, answer: buildAnswer{}, about: note,
		},
		"GET /apps/{app}/builds":         {summary: "List builds, newest last", answer: []buildAnswer{}},
		"GET /apps/{app}/builds/{build}": {summary: "Show a build", answer: buildAnswer{}},
		"PUT /apps/{app}/builds/{build}": {summary: "Build again", status: 201, answer: buildAnswer{}, about: note},
		"DELETE /apps/{app}/builds/{build}": {
			summary: "Stop a build: it has always ended", never: true, conflict: "always",
		},
		"GET /apps/{app}/builds/{build}/result": {summary: "Show a build's output: there is none", answer: buildResult{}},
		"GET /slugs/{slug}":                     {summary: "Show the build that made a slug", answer: buildAnswer{}},
	}
}

func releaseOperations() map[string]operation {
	return map[string]operation{
		"POST /apps/{app}/releases": {
			summary: "Release a slug, or roll back", status: 201, body: newReleaseBody{}, answer: releaseAnswer{},
			conflict: "the build has not succeeded",
			about:    "Exactly one of `slug` and `release` is needed. A rollback is a new release with the old slug and the old config vars.",
		},
		"GET /apps/{app}/releases":                    {summary: "List releases, newest last", answer: []releaseAnswer{}},
		"GET /apps/{app}/releases/{release}":          {summary: "Show a release", answer: releaseAnswer{}},
		"GET /apps/{app}/releases/{release}/statuses": {summary: "Show reports on a release: there are none", answer: statusesAnswer{}},
		"GET /apps/{app}/releases/{release}/config-vars": {
			summary: "Show the config vars of a release", answer: map[string]string{},
		},
	}
}

func logOperations() map[string]operation {
	const lines, plainOrEvents = "lines", "text/plain, text/event-stream"
	return map[string]operation{
		"GET /apps/{app}/logs": {
			summary: "Read an app's logs", media: plainOrEvents, noNews: true,
			about: "Lines like `2026-11-22T01:02:03.456Z app[web.1]: text`, oldest first; with `Accept: text/event-stream` as events. With " +
				"`tail=1` the answer does not end. `Last-Event-ID` goes on after an event; 204 says that nothing came after it.",
			query: map[string]string{
				"tail": "1 to go on for as long as it is read", lines: "how many of the newest lines, 0 to 1500; default 100",
				"dyno": "`web.1`, a dyno's name, or a dyno type", "type": "a dyno type", "source": "`app` or `dynomad`",
			},
		},
		"POST /apps/{app}/log-sessions": {
			summary: "Make a URL that gives an app's logs without a token", status: 201, body: logSessionBody{}, optional: true,
			answer: logSessionAnswer{}, about: "The URL is good to connect for 5 minutes.",
		},
		"GET /log-sessions/{session}": {
			summary: "Read the logs of a log session", media: plainOrEvents, noNews: true, about: "The URL is its own permission.",
		},
	}
}

func extraOperations() map[string]operation {
	return map[string]operation{
		"GET /apps/{app}/features":           {summary: "List features", answer: []featureAnswer{}},
		"GET /apps/{app}/features/{feature}": {summary: "Show a feature", answer: featureAnswer{}},
		"PATCH /apps/{app}/features/{feature}": {
			summary: "Turn a feature on or off", body: featureBody{}, answer: featureAnswer{}, conflict: "the feature cannot be changed",
		},
		"GET /apps/{app}/audits": {summary: "List who changed what in an app", answer: []auditAnswer{}, query: auditQuery()},
		"GET /audits": {
			summary: "List who changed what, deleted apps too", answer: []auditAnswer{}, query: auditQuery(),
		},
	}
}

func auditQuery() map[string]string {
	return map[string]string{"app": "full name or id of an app", "space": "name of a space"}
}

func accountOperations() map[string]operation {
	return map[string]operation{
		"GET /account":             {summary: "Show who the token is", answer: accountAnswer{}},
		"GET /account/rate-limits": {summary: "Show how many requests are left", answer: rateLimitsAnswer{}},
		"GET /organizations":       {summary: "List the organizations of apps", answer: []orgAnswer{}},
		"GET /favorites":           {summary: "List favorite apps", answer: []appAnswer{}},
		"POST /favorites": {
			summary: "Make an app a favorite", status: 201, body: favoriteBody{}, answer: appAnswer{}, missing: "there is no such app",
		},
		"DELETE /favorites": {
			summary: "Make an app no favorite", body: favoriteBody{}, answer: appAnswer{}, missing: "it is no favorite",
		},
		"DELETE /favorites/{app}": {summary: "Make an app no favorite (the same)", answer: appAnswer{}},
	}
}

func tokenOperations() map[string]operation {
	return map[string]operation{
		"POST /oauth/authorizations": {
			summary: "Make a token", status: 201, body: newTokenBody{}, answer: authorizationAnswer{},
			missing: "there is no such app or space",
			about:   "The secret, `access_token.token`, is shown this once. Nobody grants more than they have.",
		},
		"GET /oauth/authorizations":                 {summary: "List tokens, oldest first", answer: []authorizationAnswer{}},
		"GET /oauth/authorizations/{authorization}": {summary: "Show a token's record", answer: authorizationAnswer{}},
		"DELETE /oauth/authorizations/{authorization}": {
			summary: "Revoke a token", answer: authorizationAnswer{}, conflict: "it is the root token",
		},
	}
}

func healthOperations() map[string]operation {
	return map[string]operation{
		"GET /healthz": {summary: "Say that the daemon serves", answer: healthAnswer{}},
		"GET /readyz": {
			summary: "Say whether the store, Nomad and Consul answer", answer: readyAnswer{},
			about: "503, with the same fields and those of an error, if one does not.",
		},
		"GET /metrics":      {summary: "Metrics for Prometheus", media: "text/plain", missing: "they are served elsewhere (DYNOMAD_METRICS_LISTEN)"},
		"GET /openapi.json": {summary: "This description", answer: map[string]any{}},
		"GET /docs":         {summary: "This description as a page", media: "text/html"},
	}
}

// The bodies of requests. A field without the tag must may be left out or be null; the comment is its description. What a handler
// reads and what stands here is compared by TestOpenAPI_bodies.
type (
	newAppBody struct {
		Name        string `json:"name" must:"be there"` // letters a to z and digits; with a dash and the space at most 24 characters
		Space       string `json:"space"`                // name of a space; `default` if absent
		Description string `json:"description"`          // free text
		Labels      string `json:"labels"`               // free text
		Org         string `json:"org"`                  // free text
	}
	appChangeBody struct {
		Maintenance bool   `json:"maintenance"` // true stops all dynos, false brings them back
		Description string `json:"description"` // free text
		Labels      string `json:"labels"`      // free text
		Name        string `json:"name"`        // the app's own: apps cannot be renamed
	}
	newSpaceBody struct {
		Name           string `json:"name" must:"be there"` // letters a to z, digits and dashes; at most 22 characters
		Description    string `json:"description"`          // free text
		NomadNamespace string `json:"nomad_namespace"`      // the Nomad namespace of the apps' jobs; the daemon's own if absent
	}
	typeBody struct {
		Type               string       `json:"type"`               // name of the dyno type; ignored where the path names it
		Quantity           quantityBody `json:"quantity"`           // how many to keep up: a whole number, or a text of one; in PATCH also "+1" and "-1"
		Size               string       `json:"size"`               // name of a size
		DynoSize           sizeBody     `json:"dyno_size"`          // Heroku's way to say size
		Port               integerBody  `json:"port"`               // of web only: the port that the app listens on, 1024 to 65535; the app finds it in PORT
		Command            string       `json:"command"`            // what to run, split into words without a shell; null is the slug's or the image's own
		Healthcheck        string       `json:"healthcheck"`        // of web only: a path to GET; null is whether the port accepts connections
		RemoveCommand      bool         `json:"remove-command"`     // the same as a null command
		RemoveHealthcheck  bool         `json:"removeHealthcheck"`  // the same as a null healthcheck
		RemoveHealthcheck2 bool         `json:"remove-healthcheck"` // the same as a null healthcheck
		OneOff             bool         `json:"oneoff"`             // run by request only, never kept up
		Schedule           string       `json:"schedule"`           // five fields of cron, in UTC
		Options            optionsBody  `json:"options"`            // overrides for one-off dynos
	}
	newTypeBody struct {
		Type string `json:"type" must:"be there"` // letters a to z and digits, at most 32; only web has a port and traffic
		typeBody
	}
	elementBody struct {
		Type string `json:"type" must:"be there"` // name of a dyno type that exists
		typeBody
	}
	batchBody    struct{} // an array of elementBody, or an object with the array updates
	quantityBody int
	integerBody  int
	secondsBody  int
	keyBody      string
	sizeBody     struct {
		ID   string `json:"id"`   // id of a size
		Name string `json:"name"` // name of a size
	}
	optionsBody struct {
		Env   map[string]valueBody `json:"env"`   // names and values
		Image string               `json:"image"` // image to run instead
	}
	runBody struct {
		Command    string               `json:"command"`      // what to run, split into words without a shell; needed unless type has one
		Type       string               `json:"type"`         // a one-off or scheduled dyno type to run; `run` if absent
		Attach     bool                 `json:"attach"`       // a client is to connect to its terminal
		ForceNoTTY bool                 `json:"force_no_tty"` // with attach: the command gets no terminal
		Size       string               `json:"size"`         // name of a size
		DynoSize   sizeBody             `json:"dyno_size"`    // Heroku's way to say size
		Env        map[string]valueBody `json:"env"`          // wins over config vars
		TimeToLive integerBody          `json:"time_to_live"` // seconds, 1 to 86400; it is ended then
		Image      string               `json:"image"`        // image to run instead
	}
	valueBody  string
	configBody map[string]valueBody // a name that is null is removed
	noteBody   struct {
		Description string `json:"description"` // what the config var is for
		Required    bool   `json:"required"`    // a remark: nothing enforces it
	}
	notesBody    map[string]noteBody
	newBuildBody struct {
		URL          string            `json:"url"`           // docker://host/repository:tag or repository:tag; needed here or in source_blob
		Checksum     string            `json:"checksum"`      // free text, kept and shown
		Version      string            `json:"version"`       // free text, kept and shown
		SHA          string            `json:"sha"`           // the commit
		Branch       string            `json:"branch"`        // free text, kept and shown
		Repo         string            `json:"repo"`          // free text, kept and shown
		Author       string            `json:"author"`        // free text, kept and shown
		Message      string            `json:"message"`       // free text, kept and shown
		ProcessTypes map[string]string `json:"process_types"` // dyno types and their commands
		SourceBlob   sourceBody        `json:"source_blob"`   // Heroku's way
	}
	sourceBody struct {
		URL      string `json:"url"`      // as url
		Checksum string `json:"checksum"` // as checksum
		Version  string `json:"version"`  // as version
	}
	newReleaseBody struct {
		Slug        string  `json:"slug"`        // id of a build of this app
		Release     keyBody `json:"release"`     // id or version (1, "1", "v1") of a release to roll back to
		Description string  `json:"description"` // free text
	}
	featureBody struct {
		Enabled bool `json:"enabled" must:"be there"`
	}
	favoriteBody struct {
		App string `json:"app" must:"be there"` // full name or id of an app
	}
	newTokenBody struct {
		Scope       []dynomad.Scope `json:"scope" must:"be there"` // what the token may do
		Description string          `json:"description"`           // free text
		App         string          `json:"app"`                   // name or id of the app to tie it to
		Space       string          `json:"space"`                 // name or id of the space to tie it to
		ExpiresIn   secondsBody     `json:"expires_in"`            // seconds, from 1 to 100 years
	}
	logSessionBody struct {
		Lines    integerBody `json:"lines"`     // how many of the newest lines, 0 to 1500
		Tail     bool        `json:"tail"`      // go on for as long as it is read
		Source   string      `json:"source"`    // app or dynomad
		Type     string      `json:"type"`      // a dyno type
		Dyno     string      `json:"dyno"`      // web.1, a dyno's name, or a dyno type
		DynoName string      `json:"dyno_name"` // the same
	}
	attachBody struct {
		Command []string `json:"command"` // words of an allowed command
		Alias   string   `json:"alias"`   // name of a fixed command
		Stdin   string   `json:"stdin"`   // the command's input
	}
)

// Answers that have no type of their own in the server.
type (
	executedAnswer struct {
		Stdout   string `json:"stdout"`    // what it wrote; bytes that are no UTF-8 are U+FFFD
		Stderr   string `json:"stderr"`    // what it wrote to its error stream
		ExitCode int    `json:"exit_code"` // 137 also if the dyno ended
	}
	rateLimitsAnswer struct {
		Remaining int `json:"remaining"` // requests
	}
)
