package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/consul"
)

const (
	// leastNomad is the oldest version that is known to work.
	leastNomad = "1.10"
	// maxSkew is how much clocks may differ. HTTP tells times to a second.
	maxSkew = 5 * time.Second
	// namedNodes is how many nodes a finding names.
	namedNodes = 5
)

const (
	nomadPolicies  = "apply docs/policies/nomad-daemon.hcl to the policy of the daemon's token, for each namespace that it uses"
	consulPolicies = "apply docs/policies/consul-daemon.hcl to the policy of the daemon's token"
)

// checkNomad checks the servers, the token, and the nodes.
func (d *doctor) checkNomad(ctx context.Context) {
	if d.nomad == nil {
		d.skip("nomad", "Its settings are wrong.")
		return
	}
	if err := d.nomad.Ping(ctx); err != nil {
		d.wrong("nomad", "check NOMAD_ADDR, NOMAD_CACERT and that the agent runs: nomad status", "Nomad at %s: %s", d.nomad.Address(), cause(err))
		return
	}
	d.checkNomadVersion(ctx)
	d.checkNomadRights(ctx)
	d.checkClock(ctx, "nomad", d.nomad.Clock)
	d.checkFacts(ctx)
	d.checkNodes(ctx)
}

func (d *doctor) checkNomadVersion(ctx context.Context) {
	version, err := d.nomad.Version(ctx)
	switch {
	case err != nil:
		d.wrong("nomad", "check NOMAD_TOKEN: it must be one that Nomad knows, with agent:read", "Nomad at %s answers, but not with its version: %s",
			d.nomad.Address(), cause(err))
	case older(version, leastNomad):
		d.wrong("nomad", "upgrade Nomad", "Nomad at %s is %s; Dynomad needs %s or newer.", d.nomad.Address(), version, leastNomad)
	default:
		d.ok("nomad", "Nomad %s answers at %s.", version, d.nomad.Address())
	}
}

// checkNomadRights holds the token's policies against what the daemon needs, in its own namespace.
func (d *doctor) checkNomadRights(ctx context.Context) {
	missing, err := d.nomad.MissingRights(ctx, []string{d.nomad.Namespace()})
	switch {
	case errors.Is(err, nomad.ErrNoACLs):
		d.advise("nomad rights", "turn ACLs on: docs/cluster.md", "ACLs are off in Nomad: a dyno that reaches Nomad's or Consul's port owns the cluster.")
	case err != nil:
		d.wrong("nomad rights", "check NOMAD_TOKEN: it must be one that Nomad knows", "The rights of the daemon's token cannot be read: %s", cause(err))
	case len(missing) > 0:
		d.wrong("nomad rights", nomadPolicies, "The daemon's token lacks %s.", strings.Join(missing, "; "))
	default:
		d.ok("nomad rights", "The daemon's token has what docs/policies/nomad-daemon.hcl names, in the namespace %s.", d.nomad.Namespace())
	}
}

// checkClock compares a part's clock with this machine's.
func (d *doctor) checkClock(ctx context.Context, part string, clock func(context.Context) (time.Duration, error)) {
	check := "clock of " + part
	skew, err := clock(ctx)
	switch {
	case err != nil:
		d.skip(check, "It cannot be told: "+reason(err)+".")
	case skew.Abs() > maxSkew:
		d.wrong(check, "have both clocks set by NTP: schedules, and who may hold the lock, go by them",
			"It differs by %s from this machine's.", skew.Abs().Round(time.Second))
	default:
		d.ok(check, "It is as this machine's, within %s.", maxSkew)
	}
}

// checkFacts tells of the scheduler's configuration.
func (d *doctor) checkFacts(ctx context.Context) {
	facts, err := d.nomad.Facts(ctx)
	switch {
	case err != nil:
		d.skip("oversubscription", "It cannot be told: "+reason(err)+".")
	case !facts.Oversubscription:
		d.advise("oversubscription", "nomad operator scheduler set-config -memory-oversubscription=true",
			"Memory oversubscription is off, or the token may not see it: a dyno's memory limit is its request, whatever its size says.")
	default:
		d.ok("oversubscription", "Memory oversubscription is on.")
	}
}

// checkNodes wants nodes that dynos can run on.
func (d *doctor) checkNodes(ctx context.Context) {
	nodes, err := d.nomad.Nodes(ctx)
	if err != nil {
		d.wrong("nodes", nomadPolicies, "The nodes cannot be listed: %s", cause(err))
		return
	}
	nodes = slices.DeleteFunc(nodes, func(n nomad.Node) bool { return !d.hasDynos(n) })
	ready := slices.DeleteFunc(slices.Clone(nodes), func(n nomad.Node) bool { return !n.Ready })
	if len(ready) == 0 {
		d.wrong("nodes", "check DYNOMAD_DATACENTERS and DYNOMAD_NODE_POOL, and that the clients run: nomad node status",
			"No node is ready in datacenters %s, node pool %s (of %d there).", strings.Join(d.config.Datacenters, ", "), d.config.NodePool, len(nodes))
		return
	}
	bad := len(d.found)
	d.complain(ready, func(n nomad.Node) bool { return !n.Docker }, "docker", "start Docker on them, and let Nomad's user use it",
		func(n nomad.Node) string { return n.Name + ": " + strings.TrimSuffix(n.DockerSays, ".") }, "have no healthy docker driver")
	d.complain(ready, func(n nomad.Node) bool { return n.Consul == "" }, "nodes", "run a Consul agent on them, and name it in the consul block of Nomad's client",
		nodeName, "have no Consul agent that Nomad sees: web dynos there get no visitors")
	d.complain(ready, func(n nomad.Node) bool { return n.Loopback }, "nodes", "set network_interface in the client block of Nomad's configuration",
		nodeName, "publish ports on a loopback address: TCP health checks prove nothing there, since Docker's proxy answers")
	d.complain(ready, func(n nomad.Node) bool { return older(n.Version, leastNomad) }, "nodes", "upgrade Nomad on them",
		func(n nomad.Node) string { return n.Name + " " + n.Version }, "have a Nomad older than "+leastNomad)
	if len(d.found) > bad {
		return
	}
	if away := len(nodes) - len(ready); away > 0 {
		d.advise("nodes", "nomad node status", "%s ready, with Docker; %d not.", isOrAre(len(ready), "node"), away)
		return
	}
	d.ok("nodes", "%s ready, with Docker.", isOrAre(len(ready), "node"))
}

func isOrAre(n int, what string) string {
	if n == 1 {
		return counted(n, what) + " is"
	}
	return counted(n, what) + " are"
}

func nodeName(n nomad.Node) string { return n.Name }

// hasDynos reports whether jobs may be placed on a node, by its datacenter and pool.
func (d *doctor) hasDynos(n nomad.Node) bool {
	pool := d.config.NodePool
	return (pool == "all" || n.Pool == "" || n.Pool == pool) && slices.ContainsFunc(d.config.Datacenters, func(dc string) bool {
		return nomad.GlobFits(dc, n.Datacenter)
	})
}

// complain names the nodes with a fault.
func (d *doctor) complain(nodes []nomad.Node, bad func(nomad.Node) bool, check, do string, name func(nomad.Node) string, what string) {
	var names []string
	for _, n := range nodes {
		if bad(n) {
			names = append(names, name(n))
		}
	}
	if len(names) == 0 {
		return
	}
	shown := strings.Join(names[:min(len(names), namedNodes)], ", ")
	if len(names) > namedNodes {
		shown += ", …"
	}
	d.wrong(check, do, "%s of %d (%s) %s.", counted(len(names), "node"), len(nodes), shown, what)
}

// checkConsul checks the servers, the token, the agents and the lock.
func (d *doctor) checkConsul(ctx context.Context) {
	if d.consul == nil {
		d.skip("consul", "Its settings are wrong.")
		return
	}
	if err := d.consul.Ping(ctx); err != nil {
		d.wrong("consul", "check CONSUL_HTTP_ADDR, CONSUL_CACERT and that the agent runs: consul members", "Consul at %s: %s", d.consul.Address(), cause(err))
		d.skip("lock", "Consul does not answer.")
		return
	}
	versions, err := d.consul.Versions(ctx)
	if err != nil || len(versions) == 0 {
		d.wrong("consul", consulPolicies, "Consul at %s answers, but shows the daemon's token no servers%s", d.consul.Address(), afterColon(err))
	} else {
		d.ok("consul", "Consul %s answers at %s.", strings.Join(versions, ", "), d.consul.Address())
	}
	d.checkConsulRights(ctx)
	d.checkClock(ctx, "consul", d.consul.Clock)
	d.checkAgents(ctx)
	d.checkLock(ctx)
}

func (d *doctor) checkConsulRights(ctx context.Context) {
	installation := d.installation
	if installation == "" {
		installation = "00000000-0000-0000-0000-000000000000" // of none yet: the policy does not depend on it
	}
	missing, err := d.consul.MissingRights(ctx, installation)
	switch {
	case errors.Is(err, consul.ErrNoACLs):
		d.advise("consul rights", "turn ACLs on: docs/cluster.md", "ACLs are off in Consul: whoever reaches it can lead visitors elsewhere.")
	case err != nil:
		d.wrong("consul rights", "check CONSUL_HTTP_TOKEN: it must be one that Consul knows", "The rights of the daemon's token cannot be read: %s", cause(err))
	case len(missing) > 0:
		d.wrong("consul rights", consulPolicies, "The daemon's token lacks %s.", strings.Join(missing, "; "))
	default:
		d.ok("consul rights", "The daemon's token has what docs/policies/consul-daemon.hcl names.")
	}
}

// checkAgents wants no node of Consul's to be lost: all that is on it counts as failing.
func (d *doctor) checkAgents(ctx context.Context) {
	sick, err := d.consul.SickNodes(ctx)
	switch {
	case err != nil:
		d.wrong("consul agents", consulPolicies, "Their checks cannot be read: %s", cause(err))
	case len(sick) > 0:
		names := slices.Sorted(maps.Keys(sick))
		d.wrong("consul agents", "start the agents there, or, of nodes that are gone for good, consul force-leave",
			"The checks of %s fail (%s), so that no dyno there gets visitors. %s", counted(len(names), "node"),
			strings.Join(names[:min(len(names), namedNodes)], ", "), sick[names[0]])
	default:
		d.ok("consul agents", "No node's own check fails.")
	}
}

// checkLock wants nobody but the daemon of this data folder to have the installation's lock.
func (d *doctor) checkLock(ctx context.Context) {
	if d.installation == "" {
		d.skip("lock", "There is no database that says which installation it is.")
		return
	}
	holder, held, err := d.consul.LockHolder(ctx, d.installation)
	switch {
	case err != nil:
		d.wrong("lock", consulPolicies, "It cannot be read: %s", cause(err))
	case held && !d.ownLock(holder):
		d.wrong("lock", "stop one of the two daemons; of one that was killed, the lock ends within "+consul.LockGone.String(),
			"The installation %s is another daemon's: %s.", d.installation, holder)
	case held:
		d.ok("lock", "The daemon of this data folder holds the lock of the installation.")
	case d.running:
		d.wrong("lock", "GET /readyz and the daemon's log say why: mostly a right that its Consul token lacks",
			"A daemon runs, but does not hold the lock of the installation: it changes nothing on the cluster.")
	default:
		d.ok("lock", "Nobody holds the lock of the installation.")
	}
}

// ownLock reports whether the lock is that of a daemon on this data folder.
func (d *doctor) ownLock(holder consul.Holder) bool {
	folder, err := os.Open(d.config.DataDir)
	if err != nil {
		return false
	}
	defer folder.Close() //nolint:errcheck // only looked at
	own, err := holderOf(folder, d.config.DataDir)
	return err == nil && d.running && holder.Host == own.Host && holder.Inode == own.Inode
}

// cause gives a part's error, with what is behind it, as a sentence.
func cause(err error) string { return reason(err) + "." }

func afterColon(err error) string {
	if err == nil {
		return "."
	}
	return ": " + cause(err)
}

// older reports whether a version is less than another, by their numbers: "1.9.7" than "1.10". What is no version is not.
func older(version, least string) bool {
	have, want := numbers(version), numbers(least)
	return len(have) > 0 && slices.Compare(have, want) < 0
}

func numbers(version string) []int {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "-")
	version, _, _ = strings.Cut(version, "+")
	var out []int
	for _, part := range strings.Split(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}
