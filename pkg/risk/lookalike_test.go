package risk

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bottle/pkg/route"
)

func knowing(t testing.TB, hosts ...string) *route.Table {
	t.Helper()
	var routes []route.Route
	for _, h := range hosts {
		routes = append(routes, route.Route{Host: h})
	}
	tab, err := route.New(routes)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// TestLookalike: names that are taken for one of the table's.
func TestLookalike(t *testing.T) {
	known := knowing(t, "api.github.com", "*.google.com", "pypi.org", "registry.npmjs.org", "example.co.uk", "modem.example", "apple.com")
	for host, like := range map[string]string{
		"g00gle.com":                  "google.com",
		"goog1e.com":                  "google.com",
		"*.gooogle.com":               "google.com",
		"docs.googel.com":             "google.com",
		"google.co":                   "google.com",
		"api.githud.com":              "api.github.com",
		"github.corn":                 "api.github.com",
		"api-github.com":              "api.github.com",
		"apigithub.com":               "api.github.com",
		"api.github.com.evil.example": "api.github.com",
		"github.com.evil.example":     "api.github.com",
		"pypl.org":                    "pypi.org",
		"registry.nprnjs.org":         "registry.npmjs.org",
		"exarnple.co.uk":              "example.co.uk",
		"modern.example":              "modem.example",
		"xn--ggle-55da.com":           "google.com", // Cyrillic o, twice
		"xn--80ak6aa92e.com":          "apple.com",  // all of it Cyrillic
		"xn--e1afmkfd.com":            "",           // a word in Cyrillic
	} {
		texts := strings.Join(Texts(Name(host, known)), "\n")
		plain := strings.TrimPrefix(host, "*.")
		if want := "lookalike: " + plain + " looks like " + like + ", which is in the table"; like != "" && !strings.Contains(texts, want) || like == "" && strings.Contains(texts, "lookalike") {
			t.Errorf("%s: got %q; wanted %q", host, texts, want)
		}
	}
}

// TestNoLookalike: names that are near each other and have one owner, are numbered,
// or are short.
func TestNoLookalike(t *testing.T) {
	for host, known := range map[string]string{
		"api1.example.com":              "api2.example.com",
		"api-1.example.com":             "api.1.example.com",
		"example.com":                   "www.example.com",
		"*.example.com":                 "example.com",
		"mirror1.example":               "mirror2.example",
		"bucket0.s3.amazonaws.com":      "bucket1.s3.amazonaws.com",
		"google.de":                     "google.be",
		"docker.io":                     "docker.com",
		"gitlab.com":                    "github.com",
		"x.com":                         "t.com",
		"npm.org":                       "npx.org",
		"10.0.0.1":                      "10.0.0.11",
		"127.0.0.1":                     "127.0.0.7",
		"fd00::1":                       "fd00::11",
		"github.com":                    "github.com",
		"localhost":                     "localhosts",
		"api.docs.example.com":          "docs.api.example",
		"allowed.test":                  "new.test",
		"python.org.example.com":        "python.org.example.com",
		"files.pythonhosted.org":        "pypi.org",
		"production.cloudflare.net":     "cloudflare.com",
		"objects.githubusercontent.com": "github.com",
	} {
		if got := Name(host, knowing(t, known)); len(got) > 0 {
			t.Errorf("%s beside %s: %q", host, known, Texts(got))
		}
	}
}

// TestRealNames: hosts that people do allow side by side are no lookalikes of each
// other.
func TestRealNames(t *testing.T) {
	hosts := strings.Fields(`
		google.com google.de github.com gitlab.com githubusercontent.com github.io githubassets.com docker.com docker.io npmjs.org npmjs.com
		pypi.org python.org pythonhosted.org rubygems.org crates.io golang.org go.dev debian.org ubuntu.com anthropic.com openai.com chatgpt.com
		azure.com azure.net azurewebsites.net amazonaws.com amazon.com bitbucket.org sourceforge.net maven.org gradle.org nuget.org packagist.org
		cloudflare.com cloudfront.net fastly.net fastly.com slack.com atlassian.com atlassian.net microsoft.com live.com bing.com ghcr.io quay.io
		gcr.io k8s.io kernel.org apache.org archive.org arxiv.org unpkg.com esm.sh jsdelivr.net deno.land deno.com bun.sh vercel.com vercel.app
		netlify.com netlify.app heroku.com herokuapp.com gnu.org gnome.org kde.org jsr.io pnpm.io yarnpkg.com nodejs.org electronjs.org
		conda.io anaconda.org anaconda.com hex.pm hexdocs.pm cpan.org metacpan.org haskell.org ocaml.org rust-lang.org swift.org kotlinlang.org
		sentry.io datadoghq.com newrelic.com stripe.com paypal.com twilio.com sendgrid.net mailgun.net x.com t.co s3.amazonaws.com api.githubcopilot.com`)
	for i, host := range hosts {
		others := slices.Concat(hosts[:i], hosts[i+1:])
		if got := Name(host, knowing(t, others...)); len(got) > 0 {
			t.Errorf("%s: %q", host, Texts(got))
		}
	}
}

// TestNotASCII: what another alphabet spells is told by number, and a mixture that
// no language has is worse.
func TestNotASCII(t *testing.T) {
	for host, want := range map[string]struct {
		level Level
		text  string
	}{
		"xn--ppi-dfd.org":        {High, "p<U+0443>pi.org, with Cyrillic and Latin letters: it may look like another name"},
		"xn--bcher-kva.example":  {Medium, "b<U+00FC>cher.example, with Latin letters"},
		"*.a.xn--80ak6aa92e.com": {Medium, "with Cyrillic letters"},
		"xn--wgv71a119e.jp":      {Medium, "with Han letters"},
		"xn--a-eeuy85rncb.jp":    {Medium, "with Han and Katakana and Latin letters"},
		"xn--ls8h.example":       {Medium, "with signs that are no letters"},
		"xn--99999999.example":   {High, "is no valid name in Unicode"},
		"plain.example":          {},
		"not-xn--a.example":      {},
	} {
		got := Name(host, knowing(t))
		if want.text == "" {
			if len(got) > 0 {
				t.Errorf("%s: %q", host, Texts(got))
			}
			continue
		}
		if len(got) != 1 || got[0].Level != want.level || !strings.Contains(got[0].Text, want.text) || !strings.HasPrefix(got[0].Text, "not ASCII: "+strings.TrimPrefix(host, "*.")+" is ") {
			t.Errorf("%s: got %v; wanted %v", host, got, want)
		}
	}
}

// TestNameOfOne: the risks of a new host have it, those of one that is there not.
func TestNameOfOne(t *testing.T) {
	risks := Of(caseOf(t, route.Proposal{Host: "pathz.example"}))
	if risks[0].Level != High || !strings.Contains(strings.Join(Texts(risks), "\n"), "lookalike: pathz.example looks like paths.example") {
		t.Errorf("got %v", risks)
	}
	if texts := strings.Join(Texts(Of(caseOf(t, route.Proposal{Host: "paths.example", PathAllowlist: []string{"/b"}}))), "\n"); strings.Contains(texts, "lookalike") {
		t.Errorf("of one that is there: %s", texts)
	}
}

// TestManyNames: a table of the largest size is looked through in a moment.
func TestManyNames(t *testing.T) {
	hosts := make([]string, 100_000)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("api.host%d.example", i)
	}
	known := knowing(t, hosts...)
	began := time.Now()
	if got := Name("api.hosts.example", known); len(got) == 0 {
		t.Error("nothing found")
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}
