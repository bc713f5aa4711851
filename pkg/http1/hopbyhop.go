package http1

import "strings"

// StripHopByHop returns the header without what is meant for this hop alone
// (RFC 9110 §7.6.1): Connection and every field it names, Keep-Alive,
// Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, TE,
// Transfer-Encoding and Upgrade.
//
// Connection may name anything, Authorization, Host and Content-Length too, and
// it is obeyed: so strip first, and only then set what must arrive (the
// credential, Host, the framing by Frame). "TE: trailers" goes as well; a
// caller that passes trailers on looks at HasMember("TE", "trailers") before
// and adds it again, as gRPC wants it. Trailer stays: it announces fields that
// are passed on.
func (h Header) StripHopByHop() Header {
	named := h.named()
	return h.without(func(name string) bool { return hopByHop(name) || contains(named, name) })
}

// AppendEndToEnd adds what StripHopByHop leaves of h to dst, which may share no
// room with h.
func (h Header) AppendEndToEnd(dst Header) Header {
	named := h.named()
	for i := range h {
		if !hopByHop(h[i].Name) && (named == nil || !contains(named, h[i].Name)) {
			dst = append(dst, h[i])
		}
	}
	return dst
}

// named are the fields that Connection names.
func (h Header) named() (names []string) {
	for i := range h {
		if equalFold(h[i].Name, "Connection") {
			names = appendMembers(names, h[i].Value)
		}
	}
	return names
}

// appendMembers adds the members of a comma-separated list that name a field.
func appendMembers(dst []string, list string) []string {
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		item = trimOWS(item)
		// The two usual options are no fields: most headers need no list at all.
		if item != "" && !equalFold(item, "close") && !equalFold(item, "keep-alive") {
			dst = append(dst, item)
		}
	}
	return dst
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if equalFold(n, name) {
			return true
		}
	}
	return false
}

// hopByHop reports the names that are never passed on. "Close" is none of them:
// as a field it means nothing.
func hopByHop(name string) bool {
	switch len(name) { // most names differ in length alone
	case 2:
		return equalFold(name, "TE")
	case 7:
		return equalFold(name, "Upgrade")
	case 10:
		return equalFold(name, "Connection") || equalFold(name, "Keep-Alive")
	case 16:
		return equalFold(name, "Proxy-Connection")
	case 17:
		return equalFold(name, "Transfer-Encoding")
	case 18:
		return equalFold(name, "Proxy-Authenticate")
	case 19:
		return equalFold(name, "Proxy-Authorization")
	}
	return false
}
