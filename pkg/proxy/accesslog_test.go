package proxy

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"
)

// A line of the access log is what encoding/json would write.
func TestAccessLine(t *testing.T) {
	texts := []string{"", "plain", `with "quotes" and \`, "control \x01\n", "<&>", "\u00fc\u2028", "\xff"}
	pick := func() string { return texts[rand.IntN(len(texts))] }
	for range 2000 {
		a := Access{
			Time: time.Unix(rand.Int64N(4e9), rand.Int64N(1e9)).UTC(), Bottle: pick(), ID: pick(), Method: pick(), Scheme: pick(),
			Host: pick(), Port: rand.IntN(3), Path: pick(), Route: pick(), Verdict: pick(), Code: pick(), Reason: pick(),
			Status: rand.IntN(2) * 404, Sent: rand.Int64N(3), Received: rand.Int64(), Ms: millis(time.Duration(rand.Int64N(1e12))),
			FirstMs: millis(time.Duration(rand.Int64N(2) * 1234567)), AgentProto: pick(), UpstreamProto: pick(), Error: pick(),
		}
		want, err := json.Marshal(&a)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(a.appendJSON(nil)); got != string(want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}
