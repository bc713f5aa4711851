package sandbox

import "slices"

// What the host runs or obeys of a folder by itself: when somebody enters it,
// opens it in an editor, asks git about it or commits, starts an agent of their
// own in it. Not what runs when the project is run: that is the agent's work.
//
// A path stands here also where the tool asks before it trusts a folder: most
// ask once, and do not look again at what was changed since. Those that do look,
// as Neovim with its own local files, are left out. Of an agent's own folder all
// is covered, as each version finds more in it to run.
//
// protected are those that get a placeholder where they are missing, which is a
// folder: so they are those whose tools take an empty folder for nothing.
var protected = slices.Concat(ofGit, ofShells, []string{
	"bottle.yaml", // the manifest: what the next bottle here may reach
	// Editors: tasks, language servers and scripts that run when the folder is
	// opened, a devcontainer's initializeCommand outside of it.
	".vscode", ".idea", ".zed", ".helix", ".devcontainer", ".vim",
	// Agents: servers, hooks, commands, plugins, permissions.
	".mcp.json", ".claude", ".codex", ".agents", ".gemini", ".cursor", ".windsurf",
})

// gitConfigLock is git's own lock of .git/config, which it replaces by rename(2): with
// that the host would take away what makes it read-only inside (see Watch). With a
// folder there git says that it could not lock the file.
const gitConfigLock = gitConfig + ".lock"

const gitConfig = ".git/config"

// ofGit: settings name programs and hooks, and prompts ask for the state of a
// repository in every folder.
var ofGit = []string{".git/hooks", gitConfig, gitConfigLock, ".git/modules", ".git/" + commondir, ".gitmodules", commondir}

// ofGitDir are those of ofGit in a repository's folder that is not .git.
var ofGitDir = []string{"hooks", "config", "config.lock", "modules", commondir}

// ofMercurial are protected in a repository of it. A .hg that is none would have
// the go command find two systems of version control in a folder.
var ofMercurial = []string{mercurial + "/hgrc", mercurial + "/hgrc-not-shared", mercurial + "/sharedpath"}

const mercurial = ".hg"

// ofShells: direnv runs its file on entering the folder; shells read theirs where
// the workspace is the home.
var ofShells = []string{".envrc", ".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc", ".zprofile", ".zshenv", ".zlogin"}

// protectedIfThere get no placeholder: tools that see one would fail to read it,
// in the bottle too. What an agent makes of them is named at the end. git reads
// config.worktree only where .git/config, which is covered, says so.
var protectedIfThere = []string{
	".git/config.worktree",
	// On entering the folder; mise trusts that, and so each of these.
	"mise.toml", "mise.local.toml", ".mise.toml", ".mise.local.toml", "mise/config.toml", ".mise", ".config/mise", ".config/mise.toml", ".tool-versions",
	// Editors; some with 'exrc' set.
	".devcontainer.json", ".vimrc", ".gvimrc", ".exrc", ".dir-locals.el", ".dir-locals-2.el", ".kateproject",
	// Agents.
	".opencode", "opencode.json", "opencode.jsonc", ".aider.conf.yml", ".github/hooks", ".amazonq", ".clinerules", ".continue", ".crush.json", "crush.json",
	".junie", ".kilocode", ".kiro", ".qwen", ".roo",
	// What installed hooks run.
	".pre-commit-config.yaml", ".husky",
}
