# make PROGRAMS builds into bin/; `make` lists the targets.
PROGRAMS = egress-proxy routesctl superviser pipemirror bottlerun
GOFLAGS ?= -trimpath
FUZZTIME ?= 10s
TO = $(DESTDIR)$(or $(PREFIX),/usr/local)
export CGO_ENABLED = 0

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile

build: ## the five programs, static, into bin/
	go build $(GOFLAGS) -ldflags '-s -w' -o bin/ $(PROGRAMS:%=./%)

demo: build ## the main job, played with the real programs
	go build $(GOFLAGS) -o bin/ ./scripts/demo
	scripts/demo/run.sh

test: ## all tests, with the real parts that this machine has
	go vet ./...
	go test -count=1 ./...

race: ## tests with the race detector (needs a C compiler); scripts drive the plain programs
	CGO_ENABLED=1 go test -race -count=1 $$(go list ./... | grep -v /scripts)

interop: ## gRPC, h2spec, net/http and WebSocket of others through the proxy (needs their modules)
	@cd scripts/interop && go mod download || { echo "interop: the modules of scripts/interop/go.mod cannot be had; GOPROXY is $$(go env GOPROXY)"; exit 1; }
	cd scripts/interop && go vet ./... && go test -count=1 ./...

images: build ## the image of the docker backend's parts, on the engine that docker reaches
	bin/bottlerun images

fuzz: ## every fuzz target for FUZZTIME
	scripts/fuzz-all $(FUZZTIME)

bench: bench-packages bench-proxy bench-bottle ## all of the next three, about six minutes

bench-packages: ## benchmarks of the packages
	go test -run '^$$' -bench . -benchmem -benchtime 0.5s ./pkg/...

bench-proxy: build ## the proxy beside no proxy, nginx, squid, mitmproxy; BENCH= are flags
	go build $(GOFLAGS) -o bin/ ./scripts/bench
	bin/bench $(BENCH)

bench-bottle: build ## the start of bottles, and their memory; BENCH= are flags
	go build $(GOFLAGS) -o bin/ ./scripts/benchbottle
	bin/benchbottle $(BENCH)

lint: ## gofmt, vet (the operator's tools for macOS too), modules as they were
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	GOOS=darwin go vet ./routesctl ./superviser ./pipemirror
	go mod verify

arrows: ## who imports whom
	@scripts/arrows

check: lint race ## what CI runs
	$(MAKE) fuzz FUZZTIME=5s

man: ## the manual pages into bin/man, made from the READMEs
	@mkdir -p bin/man
	for p in $(PROGRAMS); do go run ./scripts/man $$p/README.md >bin/man/$$p.1 || exit 1; done

install: build man ## programs and manual pages into PREFIX (default /usr/local)
	install -d $(TO)/bin $(TO)/share/man/man1
	install -m 755 $(PROGRAMS:%=bin/%) $(TO)/bin/
	install -m 644 $(PROGRAMS:%=bin/man/%.1) $(TO)/share/man/man1/

clean: ## what was built
	rm -rf bin

.PHONY: help build demo test race interop images fuzz bench bench-packages bench-proxy bench-bottle lint arrows check man install clean
