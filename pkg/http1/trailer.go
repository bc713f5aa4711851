package http1

import "strings"

// ForbiddenTrailer reports the fields that a trailer section may not carry, for
// whoever merges it into the head would be deceived (RFC 9110 §6.5.1): framing,
// routing, modifiers of the request, credentials, control data of the answer,
// and all that says how to read the content.
func ForbiddenTrailer(name string) bool {
	// "_" as "-": see likes.
	n := strings.ReplaceAll(strings.ToLower(name), "_", "-") // a token is ASCII
	return hopByHop(n) || notInTrailer[n] || strings.HasPrefix(n, "content-") ||
		strings.HasPrefix(n, "if-") || strings.HasPrefix(n, "proxy-") || strings.HasPrefix(n, "x-forwarded-")
}

var notInTrailer = map[string]bool{
	"host": true, "forwarded": true, "via": true, "trailer": true, "http2-settings": true,
	"cache-control": true, "expect": true, "max-forwards": true, "pragma": true, "range": true,
	"authorization": true, "authentication-info": true, "www-authenticate": true,
	"cookie": true, "set-cookie": true,
	"age": true, "date": true, "expires": true, "location": true, "retry-after": true, "vary": true, "warning": true,
}
