# Dynomad. `make dev` runs everything on this machine, `make test` tests everything; both set up what is missing.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LINT    := v2.15.0
VULN    := v1.9.0
PKGS    := ./...
TAGS    := integration,clients,fixture,release

# Tests that need no cluster and take seconds: "unit" has run them.
BY_UNIT := HalfOpenClients|SlowClients
# Tests that are about time and faults, not about what the daemon may do: they are not run again with ACLs on.
NO_ACL := $(BY_UNIT)|Forgotten|Collide|crashingDeploy|neverListens|commandWords|configBytes|chaos|[aA]way|agentsKilled|UnderLoad|underLoad|badReleases|badWorker|badSize|firstRelease|scaleAround|Soon|TestState$$|TooLong|HeapDump|[iI]dle|Forgets|scheduled|commands|DaemonEnds|OutliveThe|Untouched|logLines|NeverReady|typesApart|restartTwice|movedMeanwhile

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## check Go, the C compiler and Docker; install Docker on Debian as root
	@tools/setup.sh
	@tools/docker.sh

.PHONY: tools
tools: ## build bin/nomad, bin/consul and bin/traefik where they are missing
	@tools/build.sh nomad
	@tools/build.sh consul
	@tools/build.sh traefik

.PHONY: build
build: ## build bin/dynomad
	@mkdir -p bin
	$(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/dynomad ./cmd/dynomad

.PHONY: dev
dev: setup tools build ## run Nomad, Consul, Traefik, Docker, the daemon and a sample app here
	@$(GO) build -o bin/devcluster ./cmd/devcluster
	@exec bin/devcluster

.PHONY: test
test: setup tools lint unit cluster ## everything that CI runs: lint, unit tests with race, tests on a real cluster

.PHONY: unit
unit: ## unit tests with the race detector, in random order
	@tools/gotest.sh $(GO) test -trimpath -race -shuffle=on $(PKGS)

.PHONY: cluster
cluster: build ## tests on a real Nomad, Consul, Traefik and Docker
	@tools/gotest.sh $(GO) test -trimpath -race -tags integration -p 2 -parallel 4 -count=1 -timeout 20m ./jobs ./nomad/...
	@tools/gotest.sh $(GO) test -trimpath -race -tags integration -p 1 -parallel 4 -count=1 -timeout 20m -skip '$(BY_UNIT)' ./cmd/...
	@DYNOMAD_TEST_ACL=1 tools/gotest.sh $(GO) test -trimpath -tags integration -parallel 4 -count=1 -timeout 20m -skip '$(NO_ACL)' ./cmd/dynomad

.PHONY: lint
lint: bin/golangci-lint ## formatting, vet and linters
	$(GO) vet -tags $(TAGS) $(PKGS)
	bin/golangci-lint run --build-tags $(TAGS) $(PKGS)

bin/golangci-lint: Makefile
	@echo "building golangci-lint $(LINT) (about 2 minutes, once)"
	@GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT)
	@touch $@

.PHONY: audit
audit: bin/golangci-lint bin/govulncheck ## gosec, and known vulnerabilities in what is called (GOVULNDB=file:///… for a copy of their database)
	$(GO) test -tags audit -count=1 -run Audit .
	@tools/audit.sh

bin/govulncheck: Makefile
	@GOBIN=$(CURDIR)/bin $(GO) install golang.org/x/vuln/cmd/govulncheck@$(VULN)
	@touch $@

.PHONY: fmt
fmt: bin/golangci-lint ## format the code
	bin/golangci-lint fmt $(PKGS)

.PHONY: golden
golden: ## write the golden files anew and show what changed
	$(GO) test ./jobs/ ./server/ ./store/ -run '[gG]olden|Transcript|Schema' -skip OpenAPI -update
	$(GO) test ./server/ -run OpenAPI_golden -update
	$(GO) test ./cmd/dynomad/cli/ -run Scripts -update
	git diff --stat -- testdata server/openapi

.PHONY: bench
bench: setup tools build ## benchmarks: also of 100,000 dynos on a simulated cluster, and beside Nomad and Levant on a real one (28 minutes)
	@tools/build.sh levant
	@tools/wrk.sh
	$(GO) test -trimpath -run '^$$' -bench . -benchmem $(PKGS)
	DYNOMAD_TEST_BENCH=1 $(GO) test -trimpath -run '^$$' -bench Scale -benchtime 1x -timeout 20m ./cmd/dynomad
	DYNOMAD_TEST_BENCH=1 $(GO) test -trimpath -tags integration -run '^$$' -bench Cluster -benchtime 1x -timeout 35m ./cmd/dynomad

.PHONY: soak
soak: setup tools ## tests that take long or much: several nodes, outages, random kills, load, a hundred runs at once, an idle daemon's requests over minutes (27 minutes)
	DYNOMAD_TEST_SOAK=1 tools/gotest.sh $(GO) test -trimpath -race -tags integration -count=1 -parallel 1 -timeout 60m \
		-run 'Cluster_(idle|nodes|outages|scheduleOutages|runsOutliveTheDaemon|logsUnderLoad|writesWhileAway|chaos|underLoad)' -v ./cmd/dynomad

.PHONY: chaos
chaos: setup tools ## faults of all kinds (docs/chaos.md, 15 minutes); DYNOMAD_TEST_SEED=… replays one, DYNOMAD_TEST_WRITES=… says how long
	DYNOMAD_TEST_SOAK=1 tools/gotest.sh $(GO) test -trimpath -race -count=1 -timeout 20m -run 'Disk|Corrupt|Slow(Clients|Logs)|HalfOpen|ClientWire|Keeper' -v ./cmd/dynomad
	DYNOMAD_TEST_SOAK=1 tools/gotest.sh $(GO) test -trimpath -race -tags integration -count=1 -parallel 1 \
		-timeout $$((60 + $${DYNOMAD_TEST_WRITES:-0} / 6))m -run 'Chaos|Cluster_(chaos|faults|wires|clock)' -v ./cmd/dynomad

.PHONY: test-clients
test-clients: setup tools ## Heroku's own command line, from npm, against the API on a real cluster
	@tools/clients.sh
	@tools/gotest.sh $(GO) test -trimpath -tags integration,clients -count=1 -timeout 15m -run '^TestClients' -v ./cmd/dynomad

.PHONY: release
release: ## what is published, into dist: program, Debian package, container image, SBOM, sums (docs/install.md)
	@tools/setup.sh
	@cd tools/release && GOWORK=off $(GO) run . -version $(VERSION) -out $(CURDIR)/dist

.PHONY: test-release
test-release: setup tools release ## dist is the same when built again, installs on a Debian, and runs in Nomad; on a real cluster, as root
	@tools/debian.sh
	cd tools/release && GOWORK=off $(GO) vet ./... && GOWORK=off $(GO) test ./... && GOWORK=off $(GO) mod tidy -diff
	@tools/twice.sh $(VERSION)
	@tools/gotest.sh $(GO) test -trimpath -tags integration,release -count=1 -timeout 20m -run '^TestRelease' -v ./cmd/dynomad

.PHONY: upgrade-fixture
upgrade-fixture: setup tools ## with VERSION=…: write testdata/upgrade/VERSION, what the present version leaves behind
	@[ '$(origin VERSION)' != file ] || { echo 'say which: make upgrade-fixture VERSION=…' >&2; exit 2; }
	DYNOMAD_TEST_FIXTURE=$(VERSION) $(GO) test -tags integration,fixture -count=1 -timeout 10m -run '^TestUpgradeFixture$$' -v ./cmd/dynomad

.PHONY: fuzz
fuzz: ## each fuzz test for a minute; what is found stays in testdata/fuzz as a test
	@for pkg in $$($(GO) list $(PKGS)); do for f in $$($(GO) test $$pkg -list '^Fuzz' | grep ^Fuzz); do \
		$(GO) test $$pkg -run '^$$' -fuzz "^$$f$$" -fuzztime 1m || exit 1; done; done

.PHONY: cover
cover: ## coverage of the unit tests
	$(GO) test -coverprofile=cover.out $(PKGS) && $(GO) tool cover -func=cover.out | tail -1

.PHONY: clean
clean: ## remove what was built, but for the cluster's tools
	rm -rf bin/dynomad bin/devcluster cover.out dist
