package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"
)

// event is one line of the JSON log.
type event struct {
	Level     string `json:"level"`
	Component string `json:"component"`
	Event     string `json:"event"`
	Listen    string `json:"listen,omitempty"`
	Mode      string `json:"mode,omitempty"`
	Method    string `json:"method,omitempty"`
	Target    string `json:"target,omitempty"`
	URL       string `json:"url,omitempty"`
	Resource  string `json:"resource,omitempty"`
	ClientIP  string `json:"client_ip,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	Scanner   string `json:"scanner,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Agent     string `json:"agent,omitempty"`
	Status    string `json:"status,omitempty"`
	Detail    string `json:"detail,omitempty"`
	Hash      string `json:"config_hash,omitempty"`
	Error     string `json:"error,omitempty"`
	Bytes     int64  `json:"total_bytes,omitempty"`
	Time      string `json:"time"`
	Message   string `json:"message"`
}

func (s *server) log(e event) {
	e.Component, e.Time = "pipelock", time.Now().UTC().Format(time.RFC3339)
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // a struct of strings
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.stdout.Write(append(line, '\n'))
}

// watch reloads on HUP, and 100 ms after the file was changed from what it was
// when seen was taken, until ctx ends.
func (s *server) watch(ctx context.Context, hup <-chan os.Signal, seen fileStamp) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var debounce <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			s.reload()
		case <-debounce:
			debounce = nil
			s.reload()
		case <-tick.C:
			if now := stamp(s.path); now != seen {
				if seen = now; now != (fileStamp{}) { // deleting the file does nothing
					debounce = time.After(100 * time.Millisecond)
				}
			}
		}
	}
}

type fileStamp struct {
	inode   uint64
	size    int64
	changed time.Time
}

func stamp(path string) fileStamp {
	fi, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	st := fi.Sys().(*syscall.Stat_t)
	return fileStamp{st.Ino, st.Size, fi.ModTime()}
}

// reload takes up the file, or says why not and goes on with what it has.
func (s *server) reload() {
	next, err := load(s.path)
	if err != nil {
		fmt.Fprintf(s.stderr, "pipelock: config reload failed: %v\n", err)
		return
	}
	old := s.config.Load()
	if next.ForwardProxy.Enabled && !old.ForwardProxy.Enabled {
		s.refuse("rejected: forward proxy cannot be enabled via reload (requires restart)")
		return
	}
	if next.hash == s.lastHash && time.Since(s.lastReload) < 2*time.Second {
		return // the file's event after the signal
	}
	warnings := next.weakens(old)
	for _, w := range warnings {
		fmt.Fprintf(s.stderr, "WARNING: config reload: %s - %s\n", w[0], w[1])
	}
	if old.Mode == "strict" && len(warnings) > 0 {
		s.refuse("rejected: security downgrade from strict mode")
		return
	}
	s.config.Store(next)
	if authority, err := next.loadAuthority(s.path); err != nil {
		// The real one goes on with the authority it has.
		s.log(event{Level: "error", Event: "error", Method: "CONFIG_RELOAD", Resource: s.path, Error: "TLS cert cache reload failed: " + err.Error(), Message: "request error"})
	} else {
		s.authority.Store(authority)
	}
	s.rate.reset()
	s.log(event{Level: "info", Event: "config_reload", Status: "success", Detail: "mode=" + next.Mode, Hash: next.hash, Message: "configuration reloaded"})
	s.lastHash, s.lastReload = next.hash, time.Now()
}

func (s *server) refuse(why string) {
	s.log(event{Level: "error", Event: "error", Method: "CONFIG_RELOAD", Resource: s.path, Error: why, Message: "request error"})
}
