package sandbox

import (
	"path"
	"slices"
	"strings"
)

// Files that hold credentials by convention, known by their names alone; nobody
// reads what is in them. In lower case: some file systems do not tell case apart.
//
// They are of two sorts. A secret is meant to be no one else's, and that git has
// one is worth a word. What may be one is often something harmless where git has
// it: a project's settings, a test's key.
type sort int

const (
	plainFile sort = iota
	maybeSecret
	secret
)

var (
	secretNames = map[string]sort{
		".env": secret, ".dev.vars": secret, ".netrc": secret, "_netrc": secret, ".pgpass": secret, ".pypirc": secret,
		".git-credentials": secret, ".vault-token": secret, "credentials.json": secret, "serviceaccountkey.json": secret,
		"application_default_credentials.json": secret,
		"secrets.json":                         secret, "secrets.toml": secret, "secrets.yaml": secret, "secrets.yml": secret,
		"id_rsa": secret, "id_dsa": secret, "id_ecdsa": secret, "id_ecdsa_sk": secret, "id_ed25519": secret, "id_ed25519_sk": secret,
		".envrc": maybeSecret, ".npmrc": maybeSecret,
	}
	// By their folder, where the name alone says nothing.
	secretIn = map[string][]string{
		"credentials": {".aws", ".cargo", ".gem"}, "credentials.toml": {".cargo"}, "config.json": {".docker"}, "config": {".kube"},
		"hosts.yml": {"gh"}, ".credentials.json": {".claude"}, "auth.json": {".codex"}, "oauth_creds.json": {".gemini"},
	}
	secretExtensions = map[string]sort{
		".env": secret, ".tfstate": secret,
		".key": maybeSecret, ".pem": maybeSecret, ".p12": maybeSecret, ".pfx": maybeSecret, ".ppk": maybeSecret, ".jks": maybeSecret,
		".keystore": maybeSecret, ".tfvars": maybeSecret,
	}
	secretJSON = []string{"client_secret*.json", "*service-account*.json", "*service_account*.json", "*firebase-adminsdk*.json"}

	// Of all these: what is there to be copied, and certificates.
	publicPatterns = []string{"*.example", "*.sample", "*.template", "*.dist", "*.defaults", "*.schema", ".env.vault",
		"*cert.pem", "*certs.pem", "*chain.pem", "*bundle.pem", "*public.pem", "*pub.pem", "ca.pem", "*-ca.pem"}
	// Folders of other people's files, with their tests' keys and their certificates.
	publicFolders = map[string]bool{".git": true, "node_modules": true, "site-packages": true, "dist-packages": true, "vendor": true}
)

// sortOf is for a path relative to the workspace.
func sortOf(rel string) sort {
	name := strings.ToLower(path.Base(rel))
	ext := path.Ext(name)
	s := max(secretNames[name], secretExtensions[ext])
	in := secretIn[name]
	switch {
	case in != nil && slices.Contains(in, strings.ToLower(path.Base(path.Dir(rel)))),
		strings.HasPrefix(name, ".env."), strings.Contains(name, ".tfstate."),
		ext == ".json" && matchesAny(secretJSON, name):
		s = secret
	}
	if s != plainFile && matchesAny(publicPatterns, name) {
		return plainFile
	}
	return s
}

// inPublicFolder reports whether a folder above rel is one of publicFolders.
func inPublicFolder(rel string) bool {
	for part := path.Dir(rel); part != "."; part = path.Dir(part) {
		if publicFolders[path.Base(part)] {
			return true
		}
	}
	return false
}

// matchesAny is path.Match for patterns whose only sign is a star, quick enough
// for every file of a workspace.
func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		start, rest, star := strings.Cut(p, "*")
		if !star && p == name {
			return true
		}
		middle, end, more := strings.Cut(rest, "*")
		if !more {
			middle, end = "", rest
		}
		if star && len(name) >= len(start)+len(middle)+len(end) && strings.HasPrefix(name, start) && strings.HasSuffix(name, end) &&
			strings.Contains(name[len(start):len(name)-len(end)], middle) {
			return true
		}
	}
	return false
}

// chosen reports whether one of the operator's patterns (path.Match) is for rel, or
// for a folder that it lies in. One with a slash that is not its last sign is for a
// path from the workspace on, any other for a name wherever that is.
func chosen(patterns []string, rel string) bool {
	for _, p := range patterns {
		p = strings.TrimRight(p, "/")
		whole := strings.Contains(p, "/")
		for part := rel; part != "."; part = path.Dir(part) {
			of := part
			if !whole {
				of = path.Base(part)
			}
			if ok, _ := path.Match(path.Clean(p), of); ok {
				return true
			}
		}
	}
	return false
}
