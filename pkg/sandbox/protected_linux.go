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
var protected = slices.Concat(ofRepositories, ofShells, ofEditors, ofAgents, []string{
	"bottle.yaml",                       // the manifest: what the next bottle here may reach
	".pre-commit-config.yaml", ".husky", // what installed hooks run
})

// ofRepositories: settings name programs and hooks, and prompts ask for the
// state of a repository in every folder.
var ofRepositories = []string{
	".git/hooks", ".git/config", ".git/modules", ".git/" + commondir, ".gitmodules", commondir,
	".hg/hgrc", ".hg/hgrc-not-shared", ".hg/sharedpath",
}

// ofShells: direnv and mise run them on entering the folder (mise trusts the
// folder, and so each of its files); shells read theirs where the workspace is
// the home.
var ofShells = []string{
	".envrc",
	"mise.toml", "mise.local.toml", ".mise.toml", ".mise.local.toml", "mise/config.toml", ".mise", ".config/mise", ".config/mise.toml",
	".tool-versions",
	".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc", ".zprofile", ".zshenv", ".zlogin",
}

// ofEditors: tasks, language servers and scripts that run when the folder is
// opened, a devcontainer's initializeCommand outside of it.
var ofEditors = []string{
	".vscode", ".idea", ".zed", ".helix", ".devcontainer", ".devcontainer.json",
	".vim", ".vimrc", ".exrc", // coc.nvim's settings; with 'exrc' set
}

// ofAgents: servers, hooks, commands, plugins and permissions of the agent that
// the operator may start here without a bottle.
var ofAgents = []string{
	".mcp.json", ".claude", ".codex", ".agents", ".gemini", ".cursor", ".windsurf",
	".opencode", "opencode.json", "opencode.jsonc", ".aider.conf.yml",
}

// protectedIfThere get no placeholder. git reads config.worktree only where
// .git/config, which is covered, says so; the rest is for tools that fewer have,
// and a folder full of placeholders is no pleasure either.
var protectedIfThere = []string{
	".git/config.worktree",
	".gvimrc", ".dir-locals.el", ".dir-locals-2.el", ".kateproject",
	".amazonq", ".clinerules", ".continue", ".crush.json", "crush.json", ".junie", ".kilocode", ".kiro", ".qwen", ".roo",
	".github/hooks",
}
