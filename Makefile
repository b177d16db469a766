# hone: `make help` lists the targets. Everything can be run again; nothing asks for a password.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# One static binary: OpenBLAS is opened at run time. Only the race detector needs cgo, and only for its own build.
export CGO_ENABLED := 0

VERSION = $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS = -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# The packages that link the Temporal server: 1,500 packages, 12 CPU-minutes to compile once and as much again for the race
# detector. They are built once, by `build`, and tested by `e2e` without it, one after the other: each starts servers of its own.
SERVER := ./workflows/... ./cmd/...
LIGHT  = $(shell go list ./... | grep -v -e /workflows/temporallocal -e /cmd/)

# Vet runs inside the linter, with every analyser on; a second time in `go test` would cost 98 CPU-seconds for the server alone.
GOTEST := go test -vet=off

LINTER := .tools/golangci-lint
CHECKER := .tools/workflowcheck

.PHONY: help demo test check build lint fmt unit race e2e bench learn setup setup-test clean

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup build ## train the 1M preset on Game of 24, from an empty machine to the table of results
	bin/hone train --preset demo $(ARGS)

test: setup-test build lint unit race e2e ## everything that CI runs: lint, unit tests, race, real Postgres, real Temporal, kill -9
	@echo "make test: all passed"

check: lint race ## what a commit must pass: lint and the unit tests under the race detector

setup: ## check Go, PostgreSQL and OpenBLAS; install what is missing (says what)
	@tools/setup.sh demo

setup-test:
	@tools/setup.sh test

build: ## build bin/hone, one static binary
	go build -ldflags '$(LDFLAGS)' -o bin/hone ./cmd/hone

$(LINTER): tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && go build -ldflags '-s -w' -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(CHECKER): tools/workflowcheck/go.mod tools/workflowcheck/go.sum
	cd tools/workflowcheck && go build -o ../../$@ go.temporal.io/sdk/contrib/tools/workflowcheck

lint: $(LINTER) $(CHECKER) ## golangci-lint (gofumpt, vet, staticcheck, import table) and workflowcheck
	$(LINTER) run ./...
	$(CHECKER) ./workflows

fmt: $(LINTER) ## format with gofumpt
	$(LINTER) fmt ./...

unit: ## unit tests of every package but the server's, with a real Postgres
	$(GOTEST) $(LIGHT)

race: ## the same under the race detector (needs gcc)
	CGO_ENABLED=1 $(GOTEST) -race $(LIGHT)

e2e: build ## the command, the embedded Temporal server, and kill -9 in the middle of a cycle
	$(GOTEST) -tags=e2e -count=1 -p=1 -timeout=20m $(SERVER)

# Some machines set these for their own ends, and halve OpenBLAS by it (doc/bench).
bench: ## benchmarks; compare with benchstat (COUNT=10 for a claim, BENCH=regexp)
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(GOTEST) -run='^$$' -bench='$(or $(BENCH),.)' -count=$(or $(COUNT),1) $(LIGHT)

learn: setup build ## learning benchmark: the demo with three seeds, then with noise for a reward (hours)
	for seed in $(or $(SEEDS),1 2 3); do bin/hone train --preset demo --seed $$seed --run learn-$$seed $(ARGS); done
	for seed in $(or $(SEEDS),1 2 3); do bin/hone train --preset demo --seed $$seed --run noise-$$seed --set reward.noise=true $(ARGS); done

clean: ## remove what was built here (never a run's data)
	rm -rf bin .tools
