// Package clients tries the network clients that people have: each asks the canary
// (pkg/canary) as it would ask anybody, knowing nothing of bottles.
//
// It runs in the bottle. What it reports is what the clients have said; whether
// they came through is for the canary to tell.
package clients

import (
	"strings"

	"bottle/pkg/canary"
)

// A Client is a program, or a library of one, that makes requests.
type Client struct {
	Name     string   // also the first label of the host that it asks
	Programs []string // the first of them in PATH is it
	Version  []string // its arguments to say what it is
	// What it does, if the canary lets it: HTTP/2 by its own choice, a WebSocket,
	// an event stream.
	HTTP2, Socket, Stream bool
	// Needs is of the manifest's clients (bottle.Clients): what it may need besides
	// variables.
	Needs string

	weight int               // those that take longest begin
	files  map[string]string // in its folder
	env    []string
	tries  [][]string // arguments; each is run once
	// other is what to run in the place of tries when that has said one of lacking.
	lacking []string
	other   []string // the program, and arguments
}

// In arguments, files and variables the host and the client's folder are put for
// these.
const (
	hostMark = "{host}"
	dirMark  = "{dir}"
)

// None is what a try says of a library or function that is not there.
const None = "not there"

// noSocket is what it prints where WebSockets are not.
const noSocket = "websocket not there"

// List is all that are known, in the order of a table.
func List() []Client {
	return []Client{
		{
			Name: "curl", Programs: []string{"curl"}, Version: []string{"--version"}, HTTP2: true, Socket: true, Stream: true,
			tries: [][]string{
				{"-sS", "https://{host}" + canary.GetPath},
				{"-sSN", "https://{host}" + canary.StreamPath},
				{"-sSN", "--http1.1", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13",
					"-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "https://{host}" + canary.SocketPath},
			},
		},
		{
			Name: "wget", Programs: []string{"wget"}, Version: []string{"--version"}, Stream: true,
			tries: [][]string{{"-O", "-", "https://{host}" + canary.GetPath}, {"-O", "-", "https://{host}" + canary.StreamPath}},
		},
		{
			Name: "git", Programs: []string{"git"}, Version: []string{"--version"}, HTTP2: true,
			env:   []string{"GIT_TERMINAL_PROMPT=0"},
			tries: [][]string{{"ls-remote", "https://{host}/repo.git"}},
		},
		python("python", pythonURL), python("python-requests", pythonRequests),
		{
			Name: "pip", weight: 1, Programs: []string{"pip3", "pip"}, Version: []string{"--version"},
			tries: [][]string{{"--disable-pip-version-check", "--no-input", "--retries", "0", "download", "--no-deps", "--no-cache-dir", "-d", "{dir}",
				"-i", "https://{host}/simple/", canary.Mark}},
		},
		{
			Name: "uv", Programs: []string{"uv"}, Version: []string{"--version"}, HTTP2: true,
			env:   []string{"UV_PYTHON_DOWNLOADS=never"},
			files: map[string]string{"requirements.in": canary.Mark + "\n"},
			tries: [][]string{{"pip", "compile", "--no-cache", "--no-config", "-i", "https://{host}/simple/", "{dir}/requirements.in"}},
		},
		node("node-fetch", nodeFetch, true), node("node-https", nodeHTTPS, true),
		{
			Name: "npm", weight: 2, Programs: []string{"npm"}, Version: []string{"--version"},
			tries: [][]string{{"view", canary.Mark, "version", "--registry=https://{host}/", "--cache={dir}/cache", "--fetch-retries=0", "--update-notifier=false"}},
		},
		{
			Name: "go", Programs: []string{"go"}, Version: []string{"version"}, HTTP2: true,
			env: []string{"GOPROXY=https://{host}/goproxy", "GOSUMDB=off", "GONOSUMDB=*", "GOPRIVATE=", "GONOPROXY=", "GOTOOLCHAIN=local", "GOFLAGS=",
				"GOMODCACHE={dir}/mod", "GOCACHE={dir}/cache", "GOENV=off"},
			tries: [][]string{{"list", "-m", canary.Module + "@v1.0.0"}},
		},
		{
			Name: "cargo", Programs: []string{"cargo"}, Version: []string{"--version"}, HTTP2: true,
			env: []string{"CARGO_HOME={dir}/home", "CARGO_REGISTRIES_CANARY_INDEX=sparse+https://{host}/index/", "CARGO_NET_RETRY=0"},
			files: map[string]string{"src/lib.rs": "", "Cargo.toml": "[package]\nname = \"try\"\nversion = \"0.0.0\"\n[dependencies]\n" + canary.Mark +
				" = { version = \"1\", registry = \"canary\" }\n"},
			tries: [][]string{{"generate-lockfile"}},
		},
		java(),
		{
			Name: "apt", Programs: []string{"apt-get"}, Version: []string{"--version"},
			files: map[string]string{"sources.list": "deb [trusted=yes] https://{host}/apt ./\n", "lists/partial/.keep": "", "cache/archives/partial/.keep": ""},
			tries: [][]string{{"update", "-o", "Dir::Etc::SourceList={dir}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null", "-o", "Dir::State::Lists={dir}/lists",
				"-o", "Dir::Cache={dir}/cache", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=0"}},
		},
		{
			Name: "dotnet", weight: 2, Programs: []string{"dotnet"}, Version: []string{"--version"}, HTTP2: true,
			env: []string{"DOTNET_CLI_TELEMETRY_OPTOUT=1", "DOTNET_NOLOGO=1", "NUGET_PACKAGES={dir}/packages", "NUGET_HTTP_CACHE_PATH={dir}/http"},
			files: map[string]string{"try.csproj": `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>netstandard2.0</TargetFramework></PropertyGroup>` +
				`<ItemGroup><PackageReference Include="` + canary.Mark + `" Version="1.0.0" /></ItemGroup></Project>` + "\n"},
			tries: [][]string{{"restore", "{dir}/try.csproj", "--source", "https://{host}/v3/index.json"}},
		},
		{
			Name: "ruby", Programs: []string{"ruby"}, Version: []string{"--version"}, Stream: true,
			tries: [][]string{{"-e", rubyHTTP, "https://{host}"}},
		},
		{
			Name: "gem", Programs: []string{"gem"}, Version: []string{"--version"},
			tries: [][]string{{"fetch", canary.Mark, "--clear-sources", "--source", "https://{host}/"}},
		},
		{Name: "docker", Programs: []string{"docker", "podman", "buildah"}, Version: []string{"--version"}},
	}
}

// Engine is the client that no bottle can serve: it asks an engine, not a host.
const Engine = "docker"

func python(name, code string) Client {
	return Client{Name: name, Programs: []string{"python3", "python"}, Version: []string{"--version"}, Stream: true,
		tries: [][]string{{"-c", code, "https://{host}"}}}
}

func node(name, code string, socket bool) Client {
	return Client{Name: name, Needs: "node", Programs: []string{"node", "nodejs"}, Version: []string{"--version"}, Stream: true, Socket: socket,
		tries: [][]string{{"-e", code, "https://{host}"}}}
}

// java is compiled as it is started, which takes a JDK. Without one keytool, which
// comes with every Java, fetches a list of revoked certificates as a library would.
func java() Client {
	return Client{Name: "java", Needs: "java", Programs: []string{"java"}, Version: []string{"-version"}, HTTP2: true, Socket: true, Stream: true, weight: 3,
		files:   map[string]string{"Try.java": javaHTTP},
		tries:   [][]string{{"-XX:+IgnoreUnrecognizedVMOptions", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "{dir}/Try.java", "https://{host}"}},
		lacking: []string{"jdk.compiler", "find or load main class"}, other: []string{"keytool", "-printcrl", "-file", "https://{host}" + canary.GetPath}}
}

// fill puts host and folder into a text.
func fill(text, host, dir string) string {
	return strings.NewReplacer(hostMark, host, dirMark, dir).Replace(text)
}
