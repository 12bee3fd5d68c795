//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// chaosPlan is how much is done in how much time.
type chaosPlan struct {
	apps          int // at most
	writes, kills int
	checks        int           // how often the cluster is compared, at the end included
	pause         time.Duration // the longest between two writes
	settle        time.Duration // that the cluster may take to be as it should
}

func plan() chaosPlan {
	if soak() {
		n := chaosWrites(300)
		return chaosPlan{apps: 4, writes: n, kills: n / 6, checks: 5, pause: time.Second, settle: 3 * time.Minute}
	}
	return chaosPlan{apps: 4, writes: 80, kills: 12, checks: 1, pause: 300 * time.Millisecond, settle: 2 * time.Minute}
}

// chaosWrites is how long the long form is: DYNOMAD_TEST_WRITES, in writes.
func chaosWrites(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("DYNOMAD_TEST_WRITES")); err == nil && n > 0 {
		return n
	}
	return usual
}

// smallSizes are sizes of which many have room.
const smallSizes = `
size "gp1" {
  cpu    = 20
  memory = 32
}
size "gp2" {
  cpu    = 20
  memory = 48
}
`

// TestCluster_chaos kills the daemon again and again while writes of all kinds come in. What was acknowledged is there
// afterwards, what was cut off is there as a whole or not at all, and the cluster comes to be exactly what is wanted.
//
// Faults that were planted in the daemon to see whether it notices, and it did: one write in ten dropped after its answer; a write
// and its release in two transactions; audits left out; the job of a deleted app forgotten; config versions' variables not removed, or
// not recorded before they are put; twice the dynos registered. A cache that keeps one state in six too long it does not notice: after
// a kill all is read from the database. TestCache_ in store does.
func TestCluster_chaos(t *testing.T) {
	t.Parallel()
	c := newChaos(t, shared.Cluster(t), "chaos", plan())
	stranger := c.aStranger()
	each := max(c.plan.writes/c.plan.checks, 1)
	for i := range c.plan.writes {
		c.step(i)
		if (i+1)%each == 0 || i+1 == c.plan.writes {
			c.check()
		}
	}
	t.Logf("%d writes, %d of them cut off (%d of those had been made), %d reads, %d kills", c.plan.writes, c.cut, c.made, c.reads, c.killed)
	if c.killed < c.plan.kills/2 {
		t.Errorf("the daemon was killed only %d times", c.killed)
	}
	stranger()
	c.deleteAll() // at once, which is quicker than one after the other
}

// chaos is a daemon under random writes, and what is known of it.
type chaos struct {
	*daemon
	plan   chaosPlan
	seed   uint64
	prefix string
	image  string
	world  world         // what was acknowledged
	kills  []int         // before which writes the killer starts
	killer chan struct{} // closed when the daemon was killed; nil while it is not to be

	cut, made, killed, reads int
}

func newChaos(tb testing.TB, cluster *nomadtest.Cluster, prefix string, p chaosPlan, settings ...string) *chaos {
	tb.Helper()
	sizes := filepath.Join(tb.TempDir(), "sizes.hcl")
	if err := os.WriteFile(sizes, []byte(smallSizes), 0o600); err != nil {
		tb.Fatal(err)
	}
	c := &chaos{plan: p, seed: seed(tb), prefix: prefix, world: world{}}
	// No rollout fails here for want of time.
	env := slices.Concat(quick(), []string{"DYNOMAD_SIZES=" + sizes, "DYNOMAD_DEPLOY_TIMEOUT=4m"}, settings)
	if cluster.NomadToken != "" {
		env = append(env, grant(tb, cluster)...)
	}
	c.daemon = startDaemonOn(tb, cluster, env...)
	c.image = c.cluster.Image(tb, "hello")
	r := c.random(p.writes)
	for range p.kills { // two may come one after the other
		c.kills = append(c.kills, r.IntN(p.writes))
	}
	return c
}

// random gives the source of the choices of one step. They do not depend on how the steps before it went.
func (c *chaos) random(step int) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed, uint64(step))) //nolint:gosec // a test's choices, which can be made again
}

// step makes one write, and perhaps has the daemon killed a little later.
func (c *chaos) step(i int) {
	c.tb.Helper()
	r := c.random(i + 1_000_000) // what is written and when are chosen apart
	for range count(c.kills, i) {
		c.settleKill()
		c.armKiller(r)
	}
	c.write(i, c.make(i))
	c.readSome(c.random(i + 3_000_000))
	time.Sleep(time.Duration(r.Int64N(int64(c.plan.pause)))) // the loop is killed at other moments of its work, too
	if c.killer != nil && !c.process.Running() {
		c.settleKill()
	}
}

// make makes up the write of a step.
func (c *chaos) make(i int) act {
	return writer{Rand: c.random(i), world: c.world, prefix: c.prefix, apps: c.plan.apps, image: c.image}.next()
}

func count(list []int, what int) int {
	n := 0
	for _, i := range list {
		if i == what {
			n++
		}
	}
	return n
}

// armKiller has the daemon killed soon: mostly during the next write, which takes some milliseconds, else while the loop
// follows it.
func (c *chaos) armKiller(r *rand.Rand) {
	within := []time.Duration{5 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 2 * time.Second}[r.IntN(4)]
	done := make(chan struct{})
	c.killer = done
	time.AfterFunc(time.Duration(r.Int64N(int64(within))), func() {
		defer close(done)
		if err := c.process.Kill(); err != nil {
			c.tb.Errorf("killing the daemon: %v", err)
		}
	})
}

// write makes a write and takes its answer into the world. One without an answer may have been made or not: what is read
// next tells.
func (c *chaos) write(i int, a act) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), 30*time.Second)
	defer cancel()
	status, answer, err := c.try(ctx, a.method, a.path, a.body)
	c.tb.Logf("%d: %.200s: %d", i, a, status)
	switch {
	case status == 0 && c.killer != nil:
		c.cut++
		c.startAgain()
		c.settleCut(a)
		return
	case !slices.Contains(a.want, status) || err != nil && c.killer == nil:
		c.tb.Fatalf("write %d: %s: got %d %s (%v), want %v", i, a, status, answer, err, a.want)
	}
	before := c.world.clone()
	if a.apply != nil && status/100 == 2 {
		a.apply(c.world, answer)
	}
	if wrong := answered(a, status, answer, err, before, c.world); wrong != nil {
		c.tb.Errorf("write %d: %s: %d is not answered as the model says:\n%v", i, a, status, wrong)
	}
}

// settleCut finds out whether a write without an answer was made: the daemon has the world with it, or without.
func (c *chaos) settleCut(a act) {
	c.tb.Helper()
	with := c.world.clone()
	if a.apply != nil {
		a.apply(with, nil)
	}
	got := c.read()
	made, err := wasMade(got, c.world, with)
	if err != nil {
		c.tb.Fatalf("%s was cut off, and %v", a, err)
	}
	if made {
		c.made++
		c.tb.Logf("the one that was cut off had been made")
		c.world = with
	}
	c.world.learn(got)
}

// wasMade tells whether what is kept is the world with a write, or without; one of both it must be.
func wasMade(got, without, with world) (bool, error) {
	notMade := differs(got, without)
	if notMade == "" {
		return false, nil
	}
	if diff := differs(got, with); diff != "" {
		return false, fmt.Errorf("neither made nor not made.\nIf not made (-got +want):\n%s\nif made:\n%s", notMade, diff)
	}
	return true, nil
}

// settleKill waits until the daemon was killed, if it is to be, starts it again, and sees whether all is there.
func (c *chaos) settleKill() {
	c.tb.Helper()
	if c.killer == nil {
		return
	}
	c.startAgain()
	c.compare()
}

func (c *chaos) startAgain() {
	c.tb.Helper()
	<-c.killer
	c.killer = nil
	c.killed++
	restart(c.tb.Context(), c.tb, c.process)
}

func (c *chaos) read() world {
	c.tb.Helper()
	got, err := c.daemon.world(c.tb.Context(), c.prefix)
	if err != nil {
		c.tb.Fatal(err)
	}
	return got
}

// compare wants exactly what was acknowledged.
func (c *chaos) compare() {
	c.tb.Helper()
	got := c.read()
	if diff := differs(got, c.world); diff != "" {
		c.tb.Fatalf("after %d kills something else is kept than was acknowledged (-got +want):\n%s", c.killed, diff)
	}
	c.world.learn(got)
}

// check compares all that is kept, and then the cluster, with what was acknowledged.
func (c *chaos) check() {
	c.tb.Helper()
	c.settleKill()
	c.compare()
	if err := c.checkLedger(c.tb.Context(), c.world); err != nil {
		c.tb.Error(err)
	}
	took := c.waitSettledWorld(c.world, c.prefix, c.plan.settle)
	c.tb.Logf("settled %s after the last write", took.Round(100*time.Millisecond))
	c.dynosAreOfTheirRelease()
	if wrong := misconfigured(c.world, c.environments()); len(wrong) > 0 {
		c.tb.Errorf("dynos have what is not theirs: %q", wrong)
	}
}

// environments gives the environments of all running dynos of the apps.
func (c *chaos) environments() [][]string {
	c.tb.Helper()
	var all [][]string
	for _, ids := range c.appContainers(c.prefix) {
		for _, id := range ids {
			if env, err := c.inspect(id); err == nil { // else it has ended
				all = append(all, env)
			}
		}
	}
	return all
}

// misconfigured tells which of the environments of dynos are not what the release that they run says, no more and no less.
func misconfigured(w world, environments [][]string) []string {
	var wrong []string
	for _, env := range environments {
		vars, got := map[string]string{}, map[string]string{}
		for _, text := range env {
			name, value, _ := strings.Cut(text, "=")
			vars[name] = value
			if len(name) == 1 { // the writer's config vars are A to E, and no image has such
				got[name] = value
			}
		}
		app, dyno := w[vars["DYNOMAD_APP"]], vars["DYNOMAD_APP"]+" "+vars["DYNO"]
		version, err := strconv.Atoi(strings.TrimPrefix(vars["DYNOMAD_RELEASE"], "v"))
		switch {
		case app == nil:
			wrong = append(wrong, dyno+": of no app")
		case err != nil || version < 1 || version > len(app.Releases):
			wrong = append(wrong, dyno+": of no release: "+vars["DYNOMAD_RELEASE"])
		case !maps.Equal(got, app.Releases[version-1].Config):
			wrong = append(wrong, fmt.Sprintf("%s of v%d has %.200q, want %.200q", dyno, version, got, app.Releases[version-1].Config))
		}
	}
	return wrong
}

// dynosAreOfTheirRelease looks into a dyno of each app: it has the config vars of the release.
func (c *chaos) dynosAreOfTheirRelease() {
	c.tb.Helper()
	for name, a := range c.world {
		var list []dyno
		c.do(http.MethodGet, "/apps/"+name+"/dynos", "", http.StatusOK, &list)
		i := slices.IndexFunc(list, func(y dyno) bool { return y.State == "running" })
		if i < 0 {
			continue
		}
		env, err := c.inspect(c.docker(c.tb, "ps", "--quiet", "--filter", "label=com.hashicorp.nomad.alloc_id="+list[i].ID))
		if err != nil {
			c.tb.Errorf("looking into dyno %s of %s: %v", list[i].ID, name, err)
		}
		if missing := lacks(env, a.last().Config); len(missing) > 0 {
			c.tb.Errorf("dyno %s of %s lacks %q: %q", list[i].ID, name, missing, env)
		}
	}
}

// lacks gives the config vars that are not in an environment.
func lacks(env []string, config map[string]string) []string {
	var missing []string
	for key, value := range config {
		if want := key + "=" + value; !slices.Contains(env, want) {
			missing = append(missing, want)
		}
	}
	return missing
}

// inspect gives the environment that a container was started with.
func (d *daemon) inspect(container string) ([]string, error) {
	cmd := exec.CommandContext(d.tb.Context(), "docker", "inspect", "--format", "{{json .Config.Env}}", container)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.cluster.DockerHost())
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var env []string
	err = json.Unmarshal(out, &env)
	return env, err
}
