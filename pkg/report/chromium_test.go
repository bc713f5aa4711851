package report

import (
	"context"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A real browser shows the page of a hostile log: as it was meant, with no script
// run. REPORT_PNG names a folder to keep the pictures in.
func TestInChromium(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium here")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "report.html")
	if err := os.WriteFile(file, []byte(write(t, full(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	pictures := os.Getenv("REPORT_PNG")
	if pictures == "" {
		pictures = dir
	}
	start := func(args ...string) []byte {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, browser, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
			"--user-data-dir=" + filepath.Join(dir, "profile")}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}
	dom := string(start("--dump-dom", "file://"+file))
	if !strings.Contains(dom, "<title>bottle web</title>") || strings.Contains(dom, "<script") || strings.Contains(dom, "<img") {
		t.Errorf("the document became\n%.2000s", dom)
	}
	picture := filepath.Join(pictures, "light.png")
	start("--screenshot="+picture, "--window-size=1200,1500", "--hide-scrollbars", "file://"+file)
	colours := coloursOf(t, picture)
	for what, c := range map[string][3]uint32{"let through": {0x2f, 0x8f, 0x6b}, "refused": {0xd9, 0x82, 0x2b}, "failed": {0xc2, 0x3b, 0x4b}} {
		if colours[c] < 20 {
			t.Errorf("the colour of %s covers %d pixels", what, colours[c])
		}
	}
	if os.Getenv("REPORT_PNG") != "" { // for the eye
		start("--screenshot="+filepath.Join(pictures, "dark.png"), "--window-size=1200,2600", "--hide-scrollbars", "--blink-settings=preferredColorScheme=0", "file://"+file)
		start("--screenshot="+filepath.Join(pictures, "small.png"), "--window-size=500,2600", "--hide-scrollbars", "file://"+file)
	}
}

func coloursOf(t *testing.T, file string) map[[3]uint32]int {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	n := map[[3]uint32]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, g, b, _ := img.At(x, y).RGBA()
			n[[3]uint32{r >> 8, g >> 8, b >> 8}]++
		}
	}
	return n
}
