//go:build integration

package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// FuzzCluster_validates makes formations of random parts: every one that the rules let through gives a job that Nomad's own
// validation accepts. Run it longer with -fuzz.
func FuzzCluster_validates(f *testing.F) {
	for seed := range uint64(150) {
		f.Add(seed)
	}
	cluster := shared.Cluster(f)
	nomad := cluster.NomadClient().Jobs()
	rules := dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2", DefaultPort: 9000, MaxQuantity: 20}
	settings := jobs.Settings{
		Installation: "7e1f0a0e-6a55-4b5e-9d4e-000000000001", Namespace: "default", AppDomain: "apps.localhost", APIURL: "http://127.0.0.1:5000",
		Drain: 10 * time.Second, MinHealthyTime: 10 * time.Second, CheckInterval: 5 * time.Second, DeployTimeout: 5 * time.Minute,
		Sizes: rules.Sizes, Oversubscription: true,
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable on purpose
		wanted := dynomad.Wanted{AppState: dynomad.AppState{
			App:    dynomad.App{ID: "4b8c1f6e-0000-4000-8000-000000000001", Name: "fuzz-default", Space: "default", Maintenance: rnd.IntN(9) == 0},
			Wanted: &dynomad.Release{Version: 1 + rnd.IntN(9999), ConfigID: "c0ffee00-0000-4000-8000-000000000001"},
			Build:  &dynomad.Build{Image: randomImage(rnd), ProcessTypes: map[string]string{"web": randomCommand(rnd)}},
		}}
		for _, name := range []string{"web", "worker", "clock1", strings.Repeat("z", 32)}[:1+rnd.IntN(4)] {
			if t, err := rules.NewType(randomSpec(rnd, name)); err == nil {
				wanted.Types = append(wanted.Types, t)
			}
		}
		if _, err := dynomad.SplitCommand("command", wanted.Build.ProcessTypes["web"]); err != nil {
			wanted.Build.ProcessTypes = nil
		}
		input, ok := jobs.InputFor(settings, wanted)
		if !ok {
			return
		}
		job, err := jobs.Spec(input)
		if err != nil {
			t.Fatalf("a valid formation gives no job: %v", err)
		}
		answer, _, err := nomad.Validate(job, nil)
		if err != nil || answer.Error != "" || answer.Warnings != "" {
			t.Errorf("Nomad does not like the job of %+v: %v %+v", wanted.Types, err, answer)
		}
	})
}

func randomSpec(rnd *rand.Rand, name string) dynomad.TypeSpec {
	sizes := dynomad.BuiltinSizes().Names()
	spec := dynomad.TypeSpec{Type: name, Quantity: dynomad.Some(dynomad.Quantity{N: rnd.IntN(21)}), Size: dynomad.Some(sizes[rnd.IntN(len(sizes))])}
	if rnd.IntN(2) == 0 {
		spec.Command = dynomad.Some(randomCommand(rnd))
	}
	if name == dynomad.Web {
		if rnd.IntN(2) == 0 {
			spec.Port = dynomad.Some(dynomad.MinPort + rnd.IntN(dynomad.MaxPort-dynomad.MinPort+1))
		}
		if rnd.IntN(2) == 0 {
			spec.Healthcheck = dynomad.Some("/" + randomText(rnd, 12))
		}
	}
	return spec
}

// randomCommand puts together what has meant something to some layer below.
func randomCommand(rnd *rand.Rand) string {
	parts := []string{"npm start", "${A}", "'${A:-b}'", `"%{http_code}"`, "$${x}", "'$${x}'", "%%{y}", `\`, "'a b'", "#c", "{{ d }}", "ü", "'\n'", "\"\\\"\"", "~", "*", "'['", "=", "''"}
	var words []string
	for range rnd.IntN(6) {
		words = append(words, parts[rnd.IntN(len(parts))])
	}
	return strings.Join(words, " ")
}

func randomImage(rnd *rand.Rand) string {
	images := []string{"nginx:1", "registry.example:5000/team/app:v1.2-rc_3", "a/b@sha256:" + strings.Repeat("0", 64), "localhost/x:y"}
	return images[rnd.IntN(len(images))]
}

func randomText(rnd *rand.Rand, most int) string {
	const letters = `abc/?=&%20.-_~:;,+!$'()*@"{}[]<>|^ü `
	var b strings.Builder
	runes := []rune(letters)
	for range rnd.IntN(most) {
		fmt.Fprintf(&b, "%c", runes[rnd.IntN(len(runes))])
	}
	return b.String()
}
