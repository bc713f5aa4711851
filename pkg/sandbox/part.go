package sandbox

// Stages that run in containers (contained_linux.go, part_linux.go).
const (
	stageContained = "_contained"
	stageConfined  = "_confined"
	stageLed       = "_led"
	stagePart      = "_part"
	stageCanary    = "_canary"
)

// InitSocket is where process 1 of a container finds its launcher's relay.
const InitSocket = RunDir + "/init.sock"

// Contained is the command line of process 1 for an agent's command, below the
// program that Stages runs in.
func Contained(command []string) []string { return append([]string{stageContained}, command...) }

// Confined is the same for a command beside the agent.
func Confined(command []string) []string { return append([]string{stageConfined}, command...) }

// A Part is the command line of _part, process 1 of a container that holds one
// of the bottle's own programs. It ends the program when its standard input
// ends, which the launcher holds: so a dead launcher means a stopped part.
type Part struct {
	// Fd is the listener that the program gets as descriptor 3: "unix:PATH" is
	// made there for anybody to connect to, "lent:PATH" is received on a socket
	// there, "in:CIDR,PORT" listens on this container's address in that network.
	Fd string
	// Lend is "ADDRESS=PATH": listen on that address, and pass the listener to
	// the part that has "lent:PATH".
	Lend string
	// Relay is where process 1 of the agent's container connects. Its lines go to
	// this part's standard output, and standard input to it.
	Relay string
	// Canary is a port that is open on every address until the launcher says
	// anything: the self-test must not reach it.
	Canary string
	// Next is a file that its program reads. On HUP, and on USR1, which also
	// starts the program anew, NEXT.next is renamed over it first when it is there:
	// a copy into a container is not atomic.
	Next string
	// Command is the program, an absolute path, with its arguments.
	Command []string
}

// Args is the command line below the program that Stages runs in.
func (p Part) Args() []string {
	args := []string{stagePart}
	for _, f := range [][2]string{{"-fd", p.Fd}, {"-lend", p.Lend}, {"-relay", p.Relay}, {"-canary", p.Canary}, {"-next", p.Next}} {
		if f[1] != "" {
			args = append(args, f[:]...)
		}
	}
	return append(append(args, "--"), p.Command...)
}
