// Package proxy is one request's way through the proxy of one bottle.
//
// The files are in the order of that way:
//
//	proxy.go      what the proxy is given, and its counters
//	serve.go      connections are accepted, and drained at the end
//	agent.go      the agent's connection: CONNECT or a request in absolute form
//	connect.go    a CONNECT is accepted and the TLS inside it ended
//	agent1.go     HTTP/1.1 from the agent: one exchange after the other
//	agent2.go     HTTP/2 from the agent
//	target.go     the one destination on which all that names one must agree
//	exchange.go   handle, the table of contents: one line a step
//	introspect.go the magic host
//	block.go      a refusal, readable where the agent looks
//	inject.go     the credential the agent never sees
//	forward.go    the request goes out, the answer comes back
//	scrub.go      the credential is kept out of the answer
//	upgrade.go    WebSocket after a 101
//	tunnel.go     passthrough
//	pool.go       connections to origins that can be used again
//	dial.go       a new one: direct with no internal address, or through a second proxy
//	accesslog.go  one line per exchange
package proxy
