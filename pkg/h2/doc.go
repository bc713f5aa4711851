// Package h2 is HTTP/2 (RFC 9113) on one connection, in both roles: a server
// towards agents and a client towards origins. It knows nothing of proxies,
// routes or TLS; it is given a net.Conn on which HTTP/2 was agreed.
//
// The files are in the order of a request's way:
//
//	config.go    what a connection is given
//	errors.go    error codes, and what an error says about the request
//	server.go    a connection of the server: Serve, Shutdown, Close
//	client.go    a connection of the client: NewClient, Open
//	conn.go      what both have in common: streams, the end of a connection
//	reader.go    bytes from the connection, in a buffer held only while they come
//	frames.go    the frame header, and frames without content
//	read.go      the read loop: one goroutine takes frames and tells streams
//	data.go      DATA as it is received
//	block.go     HEADERS and CONTINUATION become one field block
//	head.go      a field block becomes a Head, or is found malformed
//	opened.go    what a head means: a new stream, an answer, a trailer section
//	settings.go  SETTINGS of both sides
//	guard.go     the bounds: floods, resets, stalls, idleness
//	stream.go    a stream: its states, deadlines and end
//	receive.go   Read: content received and not yet taken
//	await.go     waiting for content without a buffer to read it into
//	send.go      Respond, Write, End: what a stream sends
//	encode.go    a Head becomes HEADERS
//	flow.go      the windows of both directions
//	write.go     one buffer for all who write, and who flushes it
//	workers.go   goroutines that serve one stream after the other
//
// One goroutine reads the connection. Whoever has something to send puts it into
// the connection's buffer, and one of them at a time carries the buffer to the
// connection, so that what is sent at about the same time shares a TLS record
// and a system call.
//
// One lock, conn.mu, guards the streams, both windows and the buffer; it is
// never held over a system call. Methods whose comment says "locked" are called
// with it held.
package h2
