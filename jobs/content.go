package jobs

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// GroupContent is what one group of one version of a job has its dynos run.
type GroupContent struct {
	Release       int
	Image         string
	Command       []string // the words; nil is the image's own command
	CPU           int
	MemoryMB      int    // reserved
	MemoryLimitMB int    // where a dyno is ended
	Checked       bool   // Consul checks its dynos
	CheckPath     string // by a GET of this path; "" is by a connection
	Port          int    // that its dynos listen on
	ConfigPath    string // of the variable with its config vars; "" if it reads none
	Count         int    // wanted
	Number        uint64 // of what a dyno is named by; the same in versions between which no dyno is replaced
}

// Content reads what the groups of a job run, by the groups' names. The job is one that Nomad gave.
func Content(job *api.Job) map[string]GroupContent {
	contents := make(map[string]GroupContent, len(job.TaskGroups))
	for _, tg := range Present(job.TaskGroups) {
		contents[deref(tg.Name)] = groupContent(tg)
	}
	return contents
}

func groupContent(tg *api.TaskGroup) GroupContent {
	release, _ := strconv.Atoi(tg.Meta[metaRelease]) // a group that is not ours runs no release
	c := GroupContent{Release: release, Count: deref(tg.Count)}
	for _, s := range Present(tg.Services) {
		for _, check := range s.Checks {
			c.Checked, c.CheckPath = true, check.Path
		}
	}
	for _, port := range ports(tg) {
		c.Port = port
	}
	if tasks := Present(tg.Tasks); len(tasks) > 0 {
		task := tasks[0]
		image, _ := task.Config["image"].(string)
		c.Image = unescape(image)
		c.Command = words(task.Config["entrypoint"])
		c.CPU, c.MemoryMB, c.MemoryLimitMB = limits(task.Resources)
		c.ConfigPath = configPath(task.Templates)
	}
	c.Number = number(tg)
	return c
}

// limits reads a task's resources; what is reserved is the limit where there is no other.
func limits(r *api.Resources) (cpu, memory, memoryLimit int) {
	if r == nil {
		return 0, 0, 0
	}
	return deref(r.CPU), deref(r.MemoryMB), max(deref(r.MemoryMB), deref(r.MemoryMaxMB))
}

// words reads a list of a driver's config, which is []string as rendered and []any as read from JSON.
func words(list any) []string {
	switch list := list.(type) {
	case []string:
		return unescapeAll(list)
	case []any:
		texts := make([]string, len(list))
		for i, w := range list {
			texts[i] = fmt.Sprint(w)
		}
		return unescapeAll(texts)
	}
	return nil
}

// numberedContent is what makes Nomad replace a group's dynos when it changes (scheduler/util.go, tasksUpdated), as far as
// we ever change it. The fields are named one by one, so that a dyno keeps its name when Nomad's client learns new ones.
type numberedContent struct {
	Meta      map[string]string
	Config    map[string]any
	Templates []string
	Resources [3]int
	DiskMB    int
	Ports     []int
}

// number derives the ten digits of a dyno's name from what the dyno runs.
func number(tg *api.TaskGroup) uint64 {
	n := numberedContent{Meta: tg.Meta}
	if tg.EphemeralDisk != nil {
		n.DiskMB = deref(tg.EphemeralDisk.SizeMB)
	}
	n.Ports = ports(tg)
	if tasks := Present(tg.Tasks); len(tasks) > 0 {
		task := tasks[0]
		n.Config = task.Config
		n.Resources[0], n.Resources[1], n.Resources[2] = limits(task.Resources)
		for _, t := range Present(task.Templates) {
			n.Templates = append(n.Templates, deref(t.DestPath)+"\n"+deref(t.EmbeddedTmpl))
		}
	}
	text, err := json.Marshal(n)
	if err != nil {
		return 0 // cannot be: what came as JSON goes as JSON
	}
	return tenDigits(text)
}

// ports are those that a group's dynos listen on.
func ports(tg *api.TaskGroup) []int {
	var list []int
	for _, network := range Present(tg.Networks) {
		for _, port := range network.DynamicPorts {
			list = append(list, port.To)
		}
	}
	return list
}

// tenDigits gives a number of ten digits that stands for a text.
func tenDigits(text []byte) uint64 {
	const least, most = 1_000_000_000, 10_000_000_000
	sum := sha256.Sum256(text)
	return least + binary.BigEndian.Uint64(sum[:8])%(most-least)
}

// unescape undoes escape.
func unescape(s string) string {
	inner, ok := strings.CutPrefix(s, expressionStart)
	if !ok {
		return templateUnmarks.Replace(s)
	}
	inner = strings.TrimSuffix(inner, expressionEnd)
	if text, err := strconv.Unquote(`"` + inner + `"`); err == nil {
		return text
	}
	return s
}

var templateUnmarks = strings.NewReplacer("$${", "${", "%%{", "%{")

func unescapeAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = unescape(t)
	}
	return out
}
