package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"time"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/state"
)

// What a bottle is called on an engine: containers bottle-SLUG-ROLE, volumes and
// networks bottle-SLUG-WHAT. Every object has labels, by which it is found again.

// The roles of a bottle's containers.
const (
	roleAgent    = "agent"
	roleProxy    = "egress-proxy"
	roleSuper    = "superviser"
	rolePipelock = "pipelock"
)

// The volumes, and where they are mounted. Proxy, queue and pipelock are each the
// folder of state.Dir in the container of their role.
const (
	volProxy    = "proxy"
	volQueue    = "queue"
	volPipelock = "pipelock"
	volRun      = "run"  // read-only in the agent's container
	volLend     = "lend" // the socket that the listener is passed on
	volWork     = "work"
)

// The networks: out is egress-proxy's, in the agent's in the mode bridge.
const (
	netOut = "out"
	netIn  = "in"
)

// inside is the folder of a bottle in its containers, in the layout of state.Dir.
const inside = state.Dir("/bottle")

const (
	lendDir     = "/lend"
	lendSocket  = lendDir + "/proxy.sock"
	partUser    = 10001 // of egress-proxy, superviser, pipelock
	imageProg   = "/bin/"
	partProgram = imageProg + "bottlerun"
)

// The labels of every object.
const (
	labelName      = bottles.LabelName
	labelID        = bottles.LabelID // of one run
	labelRole      = bottles.LabelRole
	labelHost      = "bottle.host" // of the launcher, as pid, start and boot
	labelBoot      = "bottle.boot"
	labelPid       = "bottle.pid"
	labelStart     = "bottle.start"
	labelVersion   = "bottle.version"
	labelWorkspace = "bottle.workspace" // of the agent, as the two below
	labelStarted   = "bottle.started"
	labelCommand   = "bottle.command"
	labelCopied    = "bottle.copied" // the workspace is on a volume
)

// object is the name of one of a bottle's objects.
func object(slug, what string) string { return "bottle-" + slug + "-" + what }

// newID tells one run from another of the same name.
func newID(slug string) string {
	b := make([]byte, 4)
	rand.Read(b)
	return slug + "-" + hex.EncodeToString(b)
}

// runLabels are the labels of all objects of this run.
func runLabels(slug, id string) map[string]string {
	self := state.Self()
	host, _ := os.Hostname()
	return map[string]string{labelName: slug, labelID: id, labelHost: host, labelBoot: state.Boot(),
		labelPid: strconv.Itoa(self.Pid), labelStart: strconv.FormatUint(self.Start, 10), labelVersion: cli.Version()}
}

// agentLabels are those that only the agent's container has.
func (d *dock) agentLabels() map[string]string {
	text, _ := json.Marshal(d.command)
	labels := map[string]string{labelWorkspace: d.plan.work, labelStarted: d.record.Started.Format(time.RFC3339), labelCommand: string(text),
		labelCopied: ""} // in the place of the image's, if it has one
	if !d.bind && d.probe == nil { // doctor's is empty
		labels[labelCopied] = "true"
	}
	return labels
}

// labelArgs are labels as flags, in a fixed order.
func labelArgs(sets ...map[string]string) (args []string) {
	var all []string
	for _, set := range sets {
		for k, v := range set {
			all = append(all, k+"="+v)
		}
	}
	slices.Sort(all)
	for _, l := range all {
		args = append(args, "--label", l)
	}
	return args
}
