// Package nomadtest starts a real cluster for tests and for development: Docker (found running, or started),
// a Consul server, a Nomad server and client in one agent, and a Traefik router, all on this machine.
//
// Each part can be killed, stopped, paused and started again by its process id, so that tests can see what an
// outage does. State lives in data directories, so a part that was killed comes back as the same part: Nomad finds
// its running containers again and Consul keeps its catalog.
//
// With Config.Servers and Config.Clients, Nomad is several processes: servers that elect a leader, and clients that are nodes
// of their own, each with a Consul agent (see Agent). All of them share this machine and one Docker. A client can be lost
// with all that it runs, and return.
//
// A test package starts one cluster, when its first test asks for it:
//
//	var shared nomadtest.Shared
//
//	func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }
//
//	func TestDeploy(t *testing.T) {
//		c := shared.Cluster(t)
//		image := c.Image(t, "hello")
//		jobs := c.NomadClient().Jobs()
//		...
//	}
//
// Something that is missing (a binary, Docker) is a failure and never a skip: a green run that tested nothing is the
// worst outcome.
//
// # Without a cluster
//
// Fake is a cluster in memory, as the loop sees one; Sim is the same with HTTP in front, so that the whole daemon runs against it.
// Contract holds both, and the real one, to the same; WireContract holds the Sim and the real Nomad and Consul to what the adapters read of their APIs.
//
// # What is left afterwards
//
// Close ends all that the cluster caused: jobs, containers, Nomad's helper processes, mounts, the data directory. A
// test binary that is killed cannot close: the kernel then ends its agents (see Process), and the next Start sweeps
// up the rest of that cluster. A Docker daemon that nomadtest started belongs to every cluster on the machine that
// uses it and ends with the last of them, killed or closed (see reaper.sh). One that was found running is left as it
// was, with the images that were built in it.
//
// It runs on Linux only, and starting Docker or Nomad's client needs root.
package nomadtest
