package jobs_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Golden is one case of testdata/jobs: a folder with input.json and job.json.
type Golden struct {
	Name  string
	Input jobs.Input
	Job   []byte // what job.json holds; nil if there is none yet
	file  string
}

// goldenInput is input.json: what differs from baseSettings, what is wanted, and how often which types were tried again.
type goldenInput struct {
	Settings jobs.Settings
	Wanted   dynomad.Wanted
	Retry    map[string]int
}

func baseSettings() jobs.Settings {
	return jobs.Settings{
		Installation: "5ed1a0c2-0000-4000-8000-000000000001", AppDomain: "apps.localhost", APIURL: "http://127.0.0.1:5000",
		Drain: 10 * time.Second, MinHealthyTime: 10 * time.Second, CheckInterval: 5 * time.Second, DeployTimeout: 5 * time.Minute,
		Sizes: dynomad.BuiltinSizes(), Oversubscription: true,
	}
}

// Goldens reads every case of testdata/jobs. A new case is a folder with an input.json, and then a run with -update.
func Goldens(tb testing.TB) []Golden {
	tb.Helper()
	inputs, err := filepath.Glob("../testdata/jobs/*/input.json")
	if err != nil || len(inputs) == 0 {
		tb.Fatalf("no golden jobs found: %v", err)
	}
	goldens := make([]Golden, len(inputs))
	for i, file := range inputs {
		goldens[i] = readGolden(tb, file)
	}
	return goldens
}

func readGolden(tb testing.TB, inputFile string) Golden {
	tb.Helper()
	in := goldenInput{Settings: baseSettings()}
	decodeFile(tb, inputFile, &in)
	input, ok := jobs.InputFor(in.Settings, in.Wanted)
	if !ok {
		tb.Fatalf("%s: nothing to run", inputFile)
	}
	for i, g := range input.Groups {
		input.Groups[i].Retry = in.Retry[g.Type.Type]
	}
	dir := filepath.Dir(inputFile)
	g := Golden{Name: filepath.Base(dir), Input: input, file: filepath.Join(dir, "job.json")}
	job, err := os.ReadFile(g.file)
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	g.Job = job
	return g
}

func TestSpec_goldens(t *testing.T) {
	t.Parallel()
	for _, g := range Goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			t.Parallel()
			job, err := jobs.Spec(g.Input)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, g.file, encode(t, job), g.Job)
		})
	}
}

// compareGolden fails with a diff where got is not what the file holds; with -update it writes the file instead.
func compareGolden(tb testing.TB, file string, got, want []byte) {
	tb.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			tb.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		tb.Errorf("%s differs (-got +want); run with -update if it should:\n%s", file, diff)
	}
}

// encode writes a value as sorted, indented JSON without nulls and empty texts: the client's types have a hundred fields.
func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		tb.Fatal(err)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(prune(tree)); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value == nil || value == "" {
				delete(v, key)
				continue
			}
			v[key] = prune(value)
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

// decodeFile reads a JSON file that has only fields of into.
func decodeFile(tb testing.TB, file string, into any) {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
}
