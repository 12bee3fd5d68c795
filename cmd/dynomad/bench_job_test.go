package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// foreign is the owner mark of copies of the daemon's jobs, which it is to leave alone.
const foreign = "f0e16000-0000-4000-8000-000000000001"

// jobFile words a copy of a job of the daemon's, under another name, in HCL: for Levant without what its parser does not know.
func jobFile(tb testing.TB, job *api.Job, name string, levant bool) []byte {
	tb.Helper()
	root, err := nomadtest.RepoRoot()
	if err != nil {
		tb.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "testdata", "bench", "job.hcl.tmpl"))
	if err != nil {
		tb.Fatal(err)
	}
	parsed, err := template.New("job").Delims("<%", "%>").Option("missingkey=error").Funcs(template.FuncMap{
		"text": hclText, "texts": hclTexts, "time": hclTime, "value": hclValue, "levant": func() bool { return levant },
	}).Parse(string(text))
	if err != nil {
		tb.Fatal(err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, copyJob(tb, job, name)); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// copyJob gives the same job under another name and of another owner. It reads the config vars of the first one.
func copyJob(tb testing.TB, job *api.Job, name string) *api.Job {
	tb.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		tb.Fatal(err)
	}
	const variable = `nomadVar \"dynomad/`
	was := *job.ID
	changed := strings.ReplaceAll(string(text), variable+was, variable+"@")
	changed = strings.ReplaceAll(changed, was, name)
	changed = strings.ReplaceAll(changed, variable+"@", variable+was)
	changed = strings.ReplaceAll(changed, job.Meta["dynomad"], foreign)
	var twin api.Job
	if err := json.Unmarshal([]byte(changed), &twin); err != nil {
		tb.Fatal(err)
	}
	return &twin
}

// sameJob tells how a job differs from one that it was copied from, but for what copyJob changes and, with levant, for what
// jobFile leaves out.
func sameJob(tb testing.TB, from, job *api.Job, levant bool) string {
	tb.Helper()
	want, got := copyJob(tb, from, *job.ID), copyJob(tb, job, *job.ID)
	for _, j := range []*api.Job{want, got} {
		for _, of := range serverFields {
			field := reflect.ValueOf(j).Elem().FieldByName(of)
			field.SetZero()
		}
		if levant {
			forgetNew(j)
		}
	}
	return cmp.Diff(want, got)
}

// forgetNew removes from a job what Levant does not know, and what its client's defaults for that are.
func forgetNew(job *api.Job) {
	job.UI = nil
	for _, g := range job.TaskGroups {
		g.Disconnect = nil
		for _, t := range g.Tasks {
			for _, file := range t.Templates {
				file.Uid, file.Gid = nil, nil // -1 stands for none too
			}
		}
	}
}

// serverFields are those of a job that say what became of it in Nomad, not what it is.
var serverFields = []string{
	"CreateIndex", "ModifyIndex", "JobModifyIndex", "SubmitTime", "Version", "VersionTag", "Stable", "Status", "StatusDescription", "NomadTokenID",
}

func hclText(v any) string { return strconv.Quote(reflect.Indirect(reflect.ValueOf(v)).String()) }

func hclTexts(all []string) string {
	quoted := make([]string, len(all))
	for i, one := range all {
		quoted[i] = strconv.Quote(one)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func hclTime(v any) string {
	return strconv.Quote(time.Duration(reflect.Indirect(reflect.ValueOf(v)).Int()).String())
}

// hclValue words a value of a driver's config.
func hclValue(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []any:
		all := make([]string, len(v))
		for i, one := range v {
			all[i] = hclValue(one)
		}
		return "[" + strings.Join(all, ", ") + "]"
	case map[string]any:
		var out strings.Builder
		for _, key := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(&out, "%s = %s\n", key, hclValue(v[key]))
		}
		return "{\n" + out.String() + "}"
	}
	return fmt.Sprint(v) // numbers and booleans
}

// TestJobFile words a job, which is HCL, and tells a copy of it from another job.
func TestJobFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "jobs", "web-tcp", "job.json"))
	if err != nil {
		t.Fatal(err)
	}
	var job api.Job
	if err := json.Unmarshal(text, &job); err != nil {
		t.Fatal(err)
	}
	for _, levant := range []bool{false, true} {
		file := jobFile(t, &job, "copy-default", levant)
		if _, problems := hclsyntax.ParseConfig(file, "job.hcl", hcl.InitialPos); problems.HasErrors() {
			t.Errorf("levant %t: %s in\n%s", levant, problems, file)
		}
		if bytes.Contains(file, []byte("disconnect")) == levant {
			t.Errorf("levant %t: the block disconnect, which Levant does not know:\n%s", levant, file)
		}
	}
	twin := copyJob(t, &job, "copy-default")
	if variable := "dynomad/" + *job.ID; *twin.ID != "copy-default" || !strings.Contains(*twin.TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl, variable) {
		t.Errorf("the copy is %s and does not read %s", *twin.ID, variable)
	}
	if diff := sameJob(t, &job, twin, false); diff != "" {
		t.Errorf("a copy differs: %s", diff)
	}
	twin.TaskGroups[0].Disconnect = nil
	if sameJob(t, &job, twin, false) == "" || sameJob(t, &job, twin, true) != "" {
		t.Error("without its block disconnect the copy should differ, but not for Levant")
	}
}
