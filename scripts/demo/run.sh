#!/bin/sh
# The main job, played with the real programs: an agent in a bottle is refused,
# proposes a route, the operator approves, the same agent gets through with a
# credential that it never sees. Exit 0 only if every step came out.
# Needs the built programs in bin/ and nothing else: no network, no docker.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
bin=$here/../../bin
PATH=$bin:$PATH
work=$(mktemp -d)
export BOTTLE_DIR="$work/state"
origin= run=
end() { # whatever happened: end what was started, by pid
	code=$?
	trap - EXIT HUP INT TERM
	for pid in $run $origin; do kill "$pid" 2>/dev/null || :; done
	wait
	rm -rf "$work"
	[ $code -eq 0 ] || echo "demo: FAILED (exit $code)" >&2
	exit $code
}
trap end EXIT
trap 'exit 130' HUP INT TERM
step() { printf '\n== %s\n' "$*"; }
fail() { echo "demo: $*" >&2; exit 1; }
await() { # await SECONDS COMMAND...: until it succeeds
	n=$(($1 * 20)); shift
	until "$@"; do
		n=$((n - 1)); [ $n -gt 0 ] || fail "waited in vain for: $*"
		sleep 0.05
	done
}

chmod 755 "$work"
mkdir -m 755 "$work/second" "$work/project"
cp "$bin/demo" "$work/second/pipelock"
cp "$bin/demo" "$work/project/agent"

step 'an origin with TLS and an authority of its own, on a loopback port'
demo origin "$work/second" >"$work/origin.log" &
origin=$!
await 10 test -s "$work/second/origin.addr"
echo "https://api.demo.test is $(cat "$work/second/origin.addr"); the second proxy knows that, nobody else"

backend=local
if ! bottlerun run -dir "$work/project" probe -- ./agent -version >/dev/null 2>"$work/probe"; then
	backend=env
	echo
	echo "************************************************************************"
	echo "* NO SANDBOX ON THIS MACHINE. The story is played with -backend env:   *"
	echo "* the proxy and the approval are real, but nothing holds the agent in. *"
	echo "************************************************************************"
	cat "$work/probe"
fi

step 'the operator: a manifest without that host, and a credential in a variable'
cat >"$work/bottle.yaml" <<YAML
name: demo
command: [./agent, agent]
workspace: $work/project
env: {DEMO_BACKEND: $backend}
egress: {allowlist: [other.demo.test]}
egress_proxy: {upstream_ca: $work/second/origin-ca.pem, allow_private: [127.0.0.0/8]}
pipelock: {program: $work/second/pipelock}
YAML
DEMO_TOKEN=$(demo secret)
export DEMO_TOKEN
cat "$work/bottle.yaml"

step "bottlerun run -backend $backend"
bottlerun run -backend $backend -f "$work/bottle.yaml" >"$work/agent.log" 2>&1 &
run=$!
pending() {
	kill -0 $run 2>/dev/null || { cat "$work/agent.log"; fail "the agent ended too early"; }
	[ -n "$(superviser list -bottle demo 2>/dev/null)" ]
}
await 30 pending
cat "$work/agent.log"

step 'the operator: superviser list; superviser show'
superviser list -bottle demo
id=$(superviser list -bottle demo | cut -f1)
superviser show -bottle demo "$id"

step "the operator: superviser approve -bottle demo $id"
superviser approve -bottle demo "$id"
before=$(wc -l <"$work/agent.log")
code=0
wait $run || code=$?
run=
tail -n +$((before + 1)) "$work/agent.log"
[ $code -eq 0 ] || fail "the agent ended with $code"

step 'what the origin was sent'
cat "$work/origin.log"
[ "$(wc -l <"$work/origin.log")" -eq 1 ] || fail "wanted one request at the origin"
grep -q "Authorization: Bearer $DEMO_TOKEN\$" "$work/origin.log" || fail "the credential did not reach the origin"

step 'what the bottle has written down'
cut -c 1-300 "$BOTTLE_DIR/demo/access.jsonl"
superviser audit -bottle demo -verify
if grep -rq "$DEMO_TOKEN" "$BOTTLE_DIR" "$work/agent.log" "$work/project"; then
	fail "the credential was written down"
fi
printf '\ndemo: refused, proposed, approved, let through; the agent never saw the credential (backend %s)\n' "$backend"
