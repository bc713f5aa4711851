package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	bulkSize = 16 << 20              // bytes of one large body
	streams  = 16                    // of events, and of WebSocket messages, at once
	eventGap = 10 * time.Millisecond // between two events of a stream
	gigabyte = 1e9
)

// download is the cell down.
func download(l *lap) (values, error) {
	return l.bulk("GET", "/down", nil, func(c *client, request []byte) error {
		n, err := c.do(request)
		if err == nil && n != bulkSize {
			err = fmt.Errorf("%d bytes came; wanted %d", n, bulkSize)
		}
		return err
	})
}

// upload is the cell up.
func upload(l *lap) (values, error) {
	piece := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	return l.bulk("POST", "/up", piece, func(c *client, request []byte) error {
		if _, err := c.Write(request); err != nil {
			return err
		}
		for range bulkSize/len(piece) - 1 {
			if _, err := c.Write(piece); err != nil {
				return err
			}
		}
		resp, err := c.send(piece, http.StatusOK)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(resp.Body)
		if want := fmt.Sprint(bulkSize); err == nil && string(got) != want {
			err = fmt.Errorf("the origin read %.20q bytes; wanted %s", got, want)
		}
		return err
	})
}

// bulk has one connection move large bodies.
func (l *lap) bulk(method, path string, content []byte, move func(*client, []byte) error) (values, error) {
	cs, err := l.clients(1)
	if err != nil {
		return nil, err
	}
	defer cs.Close()
	extra := ""
	if content != nil {
		extra = fmt.Sprintf("Content-Length: %d\r\n", bulkSize)
	}
	request := cs[0].head(method, path, extra)
	y, err := l.together(1, timed(func(int) error { return move(cs[0], request) }))
	if err != nil {
		return nil, err
	}
	return y.values(bulkSize/gigabyte, second), nil
}

// An eventStream reads what serveEvents sends.
type eventStream struct {
	*bufio.Reader
	next int64
}

// event waits for the next event and returns how long it was under way; the
// origin and the load generator read one clock.
func (s *eventStream) event() (time.Duration, error) {
	for {
		line, err := s.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		came := time.Now().UnixNano()
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		n, sent, _ := bytes.Cut(bytes.TrimSpace(data), []byte(" "))
		if number(n) != s.next {
			return 0, fmt.Errorf("event %.40q; wanted number %d", data, s.next)
		}
		s.next++
		return time.Duration(came - number(sent)), nil
	}
}

// events is the cell sse.
func events(l *lap) (values, error) {
	cs, err := l.clients(streams)
	if err != nil {
		return nil, err
	}
	defer cs.Close()
	var ss [streams]*eventStream
	for i, c := range cs {
		resp, err := c.send(c.head("GET", "/events", ""), http.StatusOK)
		if err != nil {
			return nil, err
		}
		ss[i] = &eventStream{Reader: bufio.NewReader(resp.Body)}
		if _, err := ss[i].event(); err != nil {
			return nil, err
		}
	}
	y, err := l.together(streams, func(i int) (time.Duration, error) { return ss[i].event() })
	if err != nil {
		return nil, err
	}
	return y.values(1, micro), nil
}

// webSocket is the cell ws.
func webSocket(l *lap) (values, error) {
	cs, err := l.clients(streams)
	if err != nil {
		return nil, err
	}
	defer cs.Close()
	for _, c := range cs {
		if _, err := c.send(c.head("GET", "/ws", wsHead), http.StatusSwitchingProtocols); err != nil {
			return nil, err
		}
	}
	asked, answer := wsFrame(true), wsFrame(false)
	got := make([][]byte, len(cs))
	for i := range got {
		got[i] = make([]byte, len(answer))
	}
	y, err := l.together(len(cs), timed(func(i int) error {
		if _, err := cs[i].Write(asked); err != nil {
			return err
		}
		if _, err := io.ReadFull(cs[i].br, got[i]); err != nil {
			return err
		}
		if !bytes.Equal(got[i], answer) {
			return fmt.Errorf("message %q; wanted %q", got[i], answer)
		}
		return nil
	}))
	if err != nil {
		return nil, err
	}
	return y.values(1, micro), nil
}
