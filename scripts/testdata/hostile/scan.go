package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mask hides a secret in what the agent is told of it: were it told the secret,
// it would find it in its own memory.
const mask = 0x55

// maxScan bounds what is read of one file, or of one piece of memory.
const maxScan = 64 << 20

// credentials: neither those of the routes nor the operator's other secrets are
// anywhere that the agent can read.
func (h *hostile) credentials() {
	var needles [][]byte
	for _, s := range h.Secrets {
		n, err := hex.DecodeString(s)
		if err != nil || len(n) < 8 {
			h.holds("a secret to look for", false, s)
			return
		}
		needles = append(needles, n)
	}
	n := h.scan("my environment", strings.NewReader(strings.Join(os.Environ(), "\x00")), needles)
	files, _ := filepath.Glob("/proc/[0-9]*/*")
	for _, f := range files {
		switch filepath.Base(f) {
		case "environ", "cmdline", "comm", "status", "maps", "mountinfo", "stat", "auxv":
			n += h.scanFile(f, needles)
		case "mem":
			n += h.scanMemory(filepath.Dir(f), needles)
		}
	}
	if len(h.Only) == 0 {
		h.each([]string{"/"}, func(path string, d fs.DirEntry) {
			if d.Type().IsRegular() {
				n += h.scanFile(path, needles)
			}
		})
	}
	h.holds("nothing was looked at", n > 100_000, n)
	h.say("blocked", "all that can be read", fmt.Sprint(n, " bytes"))
}

func (h *hostile) scanFile(path string, needles [][]byte) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	return h.scan(path, f, needles)
}

// scan looks for the secrets in a stream and returns its length.
func (h *hostile) scan(where string, r io.Reader, needles [][]byte) (n int) {
	r = io.LimitReader(r, maxScan)
	const keep = 4096 // more than a secret is long
	buf := make([]byte, 0, keep+1<<18)
	found := map[string]bool{}
	for {
		k, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+k]
		n += k
		for _, needle := range needles {
			if !found[string(needle)] && holds(buf, needle) {
				found[string(needle)] = true
				h.say("OPEN", where, "a secret")
			}
		}
		if err != nil {
			return n
		}
		if len(buf) > keep {
			buf = append(buf[:0], buf[len(buf)-keep:]...)
		}
	}
}

// holds reports whether the data has the secret that needle masks. Neither is
// written anywhere as the other would be: that is found in this process's memory.
func holds(data, needle []byte) bool {
	for {
		i := bytes.IndexByte(data, needle[0]^mask)
		if i < 0 || len(data)-i < len(needle) {
			return false
		}
		n := 1
		for n < len(needle) && data[i+n]^mask == needle[n] {
			n++
		}
		if n == len(needle) {
			return true
		}
		data = data[i+1:]
	}
}

// scanMemory looks through a process's.
func (h *hostile) scanMemory(proc string, needles [][]byte) (n int) {
	maps, err := os.ReadFile(proc + "/maps")
	if err != nil {
		return 0
	}
	mem, err := os.Open(proc + "/mem")
	if err != nil {
		return 0
	}
	defer mem.Close()
	sc := bufio.NewScanner(bytes.NewReader(maps))
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		from, to, ok := strings.Cut(f[0], "-")
		a, err := strconv.ParseInt(from, 16, 64)
		b, berr := strconv.ParseInt(to, 16, 64)
		// A file's own pages are looked at as a file.
		if !ok || err != nil || berr != nil || f[1][0] != 'r' || len(f) > 5 && f[5][0] == '/' || b-a > maxScan {
			continue
		}
		n += h.scan(proc+"/mem", io.NewSectionReader(mem, a, b-a), needles)
	}
	return n
}
