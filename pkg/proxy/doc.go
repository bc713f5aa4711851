// Package proxy is one request's way through the proxy of one bottle.
//
// The files are in the order of that way:
//
//	proxy.go      what the proxy is given, and its counters
//	serve.go      connections are accepted, and drained at the end
//	socket.go     below TLS: reading ahead and gathering writes in bulk
//	buffers.go    room that is held only while an exchange is near
//	agent.go      the agent's connection: CONNECT or a request in absolute form
//	connect.go    a CONNECT is accepted and the TLS inside it ended
//	agent1.go     HTTP/1.1 from the agent: one exchange after the other
//	agent2.go     HTTP/2 from the agent (pkg/h2)
//	target.go     the one destination on which all that names one must agree
//	exchange.go   handle, the table of contents: one line a step
//	introspect.go the magic host
//	uses.go       routes that are granted for a number of requests
//	block.go      a refusal, readable where the agent looks
//	inject.go     the credential the agent never sees
//	forward.go    the request goes out by a protocol both ends speak; HTTP/1.1
//	send.go       its request
//	relay.go      its answer's content
//	forward2.go   the same in HTTP/2
//	watch.go      an agent that leaves meanwhile
//	scrub.go      the credential is kept out of the answer
//	reply1.go     the answer as the agent gets it in HTTP/1.1
//	upgrade.go    WebSocket, in either protocol
//	join.go       bytes both ways
//	tunnel.go     passthrough
//	pool.go       connections to origins that can be used again, in HTTP/1.1
//	sessions.go   and in HTTP/2
//	dial.go       a new one: direct with no internal address, or through a second proxy
//	accesslog.go  one line per exchange
package proxy
