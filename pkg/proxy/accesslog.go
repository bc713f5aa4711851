package proxy

import (
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Access is one exchange as the access log has it. It holds no value of a
// header or a query.
type Access struct {
	Time          time.Time `json:"time"`
	Bottle        string    `json:"bottle,omitempty"`
	ID            string    `json:"id"`
	Method        string    `json:"method,omitempty"`
	Scheme        string    `json:"scheme,omitempty"`
	Host          string    `json:"host,omitempty"`
	Port          int       `json:"port,omitempty"`
	Path          string    `json:"path,omitempty"` // with the keys of the query
	Route         string    `json:"route,omitempty"`
	Verdict       string    `json:"verdict"` // allow, block, error, introspect
	Code          string    `json:"code,omitempty"`
	Reason        string    `json:"reason,omitempty"` // as in the answer's body
	Status        int       `json:"status,omitempty"`
	Sent          int64     `json:"sent"`     // content to the origin
	Received      int64     `json:"received"` // content from the origin
	Ms            float64   `json:"ms"`
	FirstMs       float64   `json:"first_ms,omitempty"` // to the answer's head
	AgentProto    string    `json:"agent_proto"`
	UpstreamProto string    `json:"upstream_proto,omitempty"`
	Error         string    `json:"error,omitempty"` // why an answer was cut
}

func (a *Access) first(start time.Time) { a.FirstMs = millis(time.Since(start)) }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// note sets the verdict of an exchange that gets no answer.
func (x *exchange) note(verdict, code, reason string) {
	x.giveBack()
	x.access.Verdict, x.access.Code, x.access.Reason = verdict, code, reason
}

// log writes the exchange's line.
func (x *exchange) log() {
	x.giveBack()
	a := &x.access
	a.Time, a.Bottle = x.start.UTC(), x.p.Bottle
	a.Method, a.Scheme, a.Host, a.Port = printable(clip(x.method)), x.dest.scheme, x.dest.host, x.dest.port
	a.Path = logPath(x.dest.raw)
	if x.route != nil {
		a.Route = x.route.Host
	}
	a.Sent, a.Received = x.sent.Load(), x.received.Load()
	a.Ms = millis(time.Since(x.start))
	x.p.tally(a)
	x.p.AccessLog(a)
}

func (p *Proxy) tally(a *Access) {
	p.count.sent.Add(a.Sent)
	p.count.received.Add(a.Received)
	switch a.Verdict {
	case "allow":
		p.count.allowed.Add(1)
	case "block":
		p.count.blocked.Add(1)
	case "error":
		p.count.failed.Add(1)
	}
}

// logPath is a request target with the keys of its query and no values, which
// may be secrets.
func logPath(raw string) string {
	path, query, has := strings.Cut(raw, "?")
	path = printable(clip(path))
	if !has {
		return path
	}
	var keys []string
	for _, kv := range strings.SplitN(clip(query), "&", 20) {
		k, _, isPair := strings.Cut(kv, "=")
		if !isPair || len(keys) == 19 {
			k = "..." // a key without "=" may be a value all by itself
		}
		if u, err := url.QueryUnescape(k); err == nil {
			k = url.QueryEscape(u)
		}
		keys = append(keys, printable(k))
	}
	return path + "?" + strings.Join(keys, "&")
}

// Lines is an access log of one JSON object per line. Lines that come at about the
// same time are written at once: a write of its own for each would be a tenth of
// what a request costs.
type Lines struct {
	W io.Writer

	mu    sync.Mutex
	buf   []byte
	timer *time.Timer
	due   bool // the timer runs
}

// A line is written when so many bytes have come together, and at the latest
// after so long.
const linesSize, linesDelay = 32 << 10, 5 * time.Millisecond

// Log adds the line of one exchange; see Config.AccessLog.
func (l *Lines) Log(a *Access) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(a.appendJSON(l.buf), '\n')
	switch {
	case len(l.buf) >= linesSize:
		l.write()
	case l.due:
	case l.timer == nil:
		l.due, l.timer = true, time.AfterFunc(linesDelay, l.Flush)
	default:
		l.due = true
		l.timer.Reset(linesDelay)
	}
}

// Flush writes the lines that have come.
func (l *Lines) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due = false
	l.write()
}

func (l *Lines) write() {
	if len(l.buf) > 0 {
		l.W.Write(l.buf)
		l.buf = l.buf[:0]
	}
}

// appendJSON adds the object that encoding/json makes of a, without its cost.
func (a *Access) appendJSON(dst []byte) []byte {
	o := object(append(dst, `{"time":"`...))
	o = append(a.Time.AppendFormat(o, time.RFC3339Nano), '"')
	o.text(`,"bottle":`, a.Bottle)
	o = appendText(append(o, `,"id":`...), a.ID)
	o.text(`,"method":`, a.Method)
	o.text(`,"scheme":`, a.Scheme)
	o.text(`,"host":`, a.Host)
	o.number(`,"port":`, int64(a.Port), a.Port == 0)
	o.text(`,"path":`, a.Path)
	o.text(`,"route":`, a.Route)
	o = appendText(append(o, `,"verdict":`...), a.Verdict)
	o.text(`,"code":`, a.Code)
	o.text(`,"reason":`, a.Reason)
	o.number(`,"status":`, int64(a.Status), a.Status == 0)
	o.number(`,"sent":`, a.Sent, false)
	o.number(`,"received":`, a.Received, false)
	o = strconv.AppendFloat(append(o, `,"ms":`...), a.Ms, 'f', -1, 64)
	if a.FirstMs != 0 {
		o = strconv.AppendFloat(append(o, `,"first_ms":`...), a.FirstMs, 'f', -1, 64)
	}
	o = appendText(append(o, `,"agent_proto":`...), a.AgentProto)
	o.text(`,"upstream_proto":`, a.UpstreamProto)
	o.text(`,"error":`, a.Error)
	return append(o, '}')
}

// object is a JSON object that grows. Its methods leave out what is empty.
type object []byte

func (o *object) text(key, value string) {
	if value != "" {
		*o = appendText(append(*o, key...), value)
	}
}

func (o *object) number(key string, value int64, empty bool) {
	if !empty {
		*o = strconv.AppendInt(append(*o, key...), value, 10)
	}
}

// appendText adds s as a JSON string, as encoding/json spells it.
func appendText(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			b, _ := json.Marshal(s)
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
