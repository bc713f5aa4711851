package proxy

import (
	"slices"
	"strings"

	"bottle/pkg/http1"
)

// secrets are what the answer must not carry to the agent.
func (x *exchange) secrets() []string {
	if x.cred == nil {
		return nil
	}
	return x.cred.secrets
}

// fromOrigin is a head or trailer of the origin's as the agent gets it: without
// what is for this hop alone, without the field that tells the proxy's own
// answers from an origin's, and without the injected value. It is good until the
// next one.
func (x *exchange) fromOrigin(h http1.Header) http1.Header {
	x.back = h.AppendEndToEnd(x.back[:0])
	x.back = slices.DeleteFunc(x.back, func(f http1.Field) bool { return sameField(f.Name, ReasonHeader) })
	return x.scrub(x.back)
}

// scrub replaces the injected value where an answer's head or trailer echoes it.
func (x *exchange) scrub(h http1.Header) http1.Header {
	for _, s := range x.secrets() {
		for i := range h {
			h[i].Value = strings.ReplaceAll(h[i].Value, s, "[scrubbed]")
			h[i].Name = strings.ReplaceAll(h[i].Name, s, "scrubbed")
		}
	}
	return h
}

// scrubText is scrub for the reason in a status line.
func (x *exchange) scrubText(s string) string {
	for _, secret := range x.secrets() {
		s = strings.ReplaceAll(s, secret, "[scrubbed]")
	}
	return s
}

// leastMasked is the length from which a credential is masked in content:
// shorter ones would be found by chance and content damaged.
const leastMasked = 8

// masks hide the injected value in content of a text kind, with stars of the
// same length, so that Content-Length stays true. Nothing is held back for it: of
// an echo that comes in pieces at most the first half can pass.
type masks []mask

// masksFor are the masks of an answer with this head; none for what is no text
// or is encoded.
func (x *exchange) masksFor(h http1.Header) masks {
	if x.cred == nil || len(x.cred.value) < leastMasked || h.Has("Content-Encoding") || !isText(h.Get("Content-Type")) {
		return nil
	}
	x.masks = append(x.masks[:0], x.cred.masks...)
	return x.masks
}

// isText tells whether the media type (RFC 9110 §8.3) is one that a person or a
// model reads as it is.
func isText(kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	kind = lower(strings.TrimSpace(kind))
	return strings.HasPrefix(kind, "text/") || kind == "application/json" || strings.HasSuffix(kind, "+json")
}

func (ms masks) apply(p []byte) {
	for i := range ms {
		ms[i].apply(p)
	}
}

// mask finds one secret in a stream (Knuth, Morris and Pratt).
type mask struct {
	secret string
	back   []int // the longest border of each prefix
	at     int   // how much of the secret the stream ends with
}

func newMask(secret string) mask {
	m := mask{secret: secret, back: make([]int, len(secret)+1)}
	for i, k := 1, 0; i < len(secret); i++ {
		for k > 0 && secret[i] != secret[k] {
			k = m.back[k]
		}
		if secret[i] == secret[k] {
			k++
		}
		m.back[i+1] = k
	}
	return m
}

// apply masks the secret in p, the next piece of the stream. More than half of
// it at a border between two pieces is taken for the whole.
func (m *mask) apply(p []byte) {
	half := len(m.secret) / 2
	for i, c := range p {
		for m.at > 0 && c != m.secret[m.at] {
			m.at = m.back[m.at]
		}
		if c == m.secret[m.at] {
			m.at++
		}
		switch {
		case m.at == len(m.secret):
			stars(p[max(0, i+1-m.at) : i+1])
			m.at = m.back[m.at]
		case m.at > i+1 && m.at > half:
			p[i] = '*'
		}
	}
	if m.at > half {
		stars(p[max(0, len(p)-m.at):])
	}
}

func stars(p []byte) {
	for i := range p {
		p[i] = '*'
	}
}
