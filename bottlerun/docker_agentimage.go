package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"bottle/pkg/capability"
	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/sandbox"
)

// An agentImage is the operator's image as far as the launcher has to know it. It
// is used as it is.
type agentImage struct {
	name       string
	user       string // as the image has it
	env        []string
	entrypoint []string
	command    []string
	volumes    []string // where the image wants some
}

// findAgentImage builds the image, if the manifest has a Dockerfile, and looks at it.
func (d *dock) findAgentImage() (err error) {
	name := d.agentImageName()
	if d.manifest.Dockerfile != "" {
		if name, err = d.ownImage(); err != nil {
			return err
		}
	}
	d.agent, err = inspectImage(d.ctx, d.engine, name)
	if err == nil {
		err = d.agent.checkVolumes()
	}
	if err == nil && len(d.command) == 0 {
		d.command = append(slices.Clone(d.agent.entrypoint), d.agent.command...)
		if len(d.command) == 0 {
			err = cli.Misused("no command for the agent, and image %s has none; wanted -- COMMAND or the manifest's command", d.agent.name)
		}
	}
	return err
}

// dockerfileName is the file beside the superviser's queue, and in the agent's
// container, that holds what the image was built from.
const dockerfileName = "Dockerfile"

// maxDockerfile bounds what is read of the manifest's.
const maxDockerfile = 1 << 20

// ownImage is the image that the operator has approved for this start, or else
// one that is built now from the manifest's Dockerfile.
func (d *dock) ownImage() (string, error) {
	text, _, err := d.env.ReadInput(d.manifest.Dockerfile, maxDockerfile)
	if err != nil {
		return "", err
	}
	d.dockerfile = text
	img, ok, err := capability.Next(d.dir, string(text))
	if err != nil {
		return "", err
	}
	if ok {
		_, err := inspectImage(d.ctx, d.engine, img.Image)
		if err == nil {
			note(d.env, "the agent's image is %s, approved as proposal %s", img.Image, img.Proposal)
			d.dockerfile = []byte(img.Dockerfile)
			return img.Image, nil
		}
		return "", fmt.Errorf("the approved image of this bottle: %w\nhint: remove %s, and the manifest's Dockerfile is built again", err, capability.File(d.dir))
	}
	return d.agentImageName(), d.buildImage()
}

func (p *plan) agentImageName() string {
	if p.manifest.Dockerfile != "" {
		return object(p.name, "image")
	}
	return p.manifest.Image
}

func inspectImage(ctx context.Context, e *docker.Engine, name string) (agentImage, error) {
	out, err := e.Output(ctx, nil, "image", "inspect", "--format", "{{json .Config}}", "--", name)
	if said := (*docker.Error)(nil); errors.As(err, &said) {
		return agentImage{}, cli.Refusedf("image %s is not on %v, and nothing is fetched by itself\nhint: docker pull %s", name, e, name)
	}
	if err != nil {
		return agentImage{}, err
	}
	var c struct {
		User                 string
		Env, Entrypoint, Cmd []string
		Volumes              map[string]struct{}
	}
	if err := json.Unmarshal(out, &c); err != nil {
		return agentImage{}, fmt.Errorf("image %s: %w", name, err)
	}
	return agentImage{name: name, user: c.User, env: c.Env, entrypoint: c.Entrypoint, command: c.Cmd,
		volumes: slices.Sorted(maps.Keys(c.Volumes))}, nil
}

// checkVolumes refuses an image with a volume in a place of the bottle's own: the
// engine fills it from the image, and process 1 would be the image's program.
func (i agentImage) checkVolumes() error {
	for _, v := range i.volumes {
		at := path.Clean("/" + v)
		if own := ownPlace(at); own != "" {
			return cli.Refusedf("image %s has a volume at %q, where the bottle's own %s is; wanted one without\nhint: remove that VOLUME from its Dockerfile", i.name, v, own)
		}
	}
	return nil
}

// ownPlace is the folder of the bottle's own, or the kernel's, in which a path of the
// agent's container lies; "" for none.
func ownPlace(at string) string {
	for _, own := range []string{sandbox.RunDir, workRoot, "/proc"} {
		if at == own || strings.HasPrefix(at, own+"/") {
			return own
		}
	}
	return ""
}

// checkLinks refuses a volume that links in the image lead elsewhere, since that
// may be there too. The agent's container is made and does not run.
func (d *dock) checkLinks() error {
	for _, v := range d.agent.volumes {
		at := path.Clean("/" + v)
		for _, p := range append(parents(at[1:]), at[1:]) {
			kind, err := d.engine.Kind(d.ctx, d.object(roleAgent), "/"+p)
			if errors.Is(err, fs.ErrNotExist) {
				break // the engine makes it
			}
			if err != nil {
				return fmt.Errorf("the image's volume %q: %w", v, err)
			}
			if kind == fs.ModeSymlink {
				return cli.Refusedf("image %s has a volume at %q, and /%s there is a link; wanted a volume's place without links\nhint: name what it leads to in the Dockerfile's VOLUME", d.agent.name, v, p)
			}
		}
	}
	return nil
}

// buildImage builds the manifest's Dockerfile; the context is its folder. What
// the builder says is told if it fails.
func (d *dock) buildImage() error {
	ctx, cancel := context.WithTimeout(d.ctx, buildTimeout)
	defer cancel()
	file := d.manifest.Dockerfile
	note(d.env, "building the agent's image from %s", file)
	args := append([]string{"build", "--quiet", "--force-rm", "--tag", d.agentImageName()}, labelArgs(map[string]string{labelName: d.name})...)
	cmd := d.engine.Command(ctx, append(args, "--file", file, filepath.Dir(file))...)
	// Without the plugin buildx there is no builder but the old one.
	if _, err := d.engine.Output(ctx, nil, "buildx", "version"); err != nil && d.getenv("DOCKER_BUILDKIT") == "" {
		cmd.Env = append(environ(cmd), "DOCKER_BUILDKIT=0")
	}
	var said ending
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return cli.Refusedf("%s: it does not build: %v\n%s", file, err, linesOf(said.b, 40))
	}
	return nil
}

func environ(cmd *exec.Cmd) []string {
	if cmd.Env != nil {
		return cmd.Env
	}
	return os.Environ()
}

// path is the image's PATH with the bottle's programs behind it.
func (i agentImage) path() string {
	if v := i.variable("PATH"); v != "" {
		return v + ":" + sandbox.BinDir
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + sandbox.BinDir
}

// variable is one that the image sets, or "".
func (i agentImage) variable(name string) string {
	for _, e := range i.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// An agentUser is who the agent is in its container: never root.
type agentUser struct {
	asked    string // as docker create is told
	uid, gid int
	home     string // "" where neither we nor the image give one
	named    bool   // the image knows the uid
}

// defaultUser is the agent where the image leaves it at root.
const defaultUser = 1000

// passwdLimit bounds what is read of an image's /etc/passwd.
const passwdLimit = 1 << 20

// askUser is who the agent is as far as that can be told beforehand: the owner of
// a workspace that is bound, else the image's user, else defaultUser. One without
// a name in the image gets a home of its own.
func (d *dock) askUser() {
	name, group, _ := strings.Cut(d.agent.user, ":")
	if d.bind {
		name, group = strconv.Itoa(d.owner.uid), strconv.Itoa(d.owner.gid)
	}
	uid, err := strconv.Atoi(name)
	if name == "" || name == "root" || err == nil && uid <= 0 { // 00 is root too
		uid, group, err = defaultUser, "", nil
	}
	if err != nil {
		d.user = agentUser{asked: d.agent.user}
		return
	}
	d.user = agentUser{uid: uid, gid: uid, home: sandbox.Home}
	if n, err := strconv.Atoi(group); err == nil && n > 0 {
		d.user.gid = n // else not root's group, which may read what others may not
	}
	d.user.asked = fmt.Sprintf("%d:%d", d.user.uid, d.user.gid)
}

// findUser looks the user up in the image's passwd, which it returns. The agent's
// container is there and does not run.
func (d *dock) findUser() (passwd []byte, err error) {
	passwd, err = d.engine.File(d.ctx, d.object(roleAgent), "/etc/passwd", passwdLimit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the image's /etc/passwd: %w", err)
	}
	if d.user.home != "" { // asked for by number
		_, d.user.named = lookUp(passwd, strconv.Itoa(d.user.uid))
		return passwd, nil
	}
	name, _, _ := strings.Cut(d.agent.user, ":")
	u, ok := lookUp(passwd, name)
	switch {
	case !ok:
		return nil, cli.Refusedf("the user %q of image %s is not in its /etc/passwd; wanted a name that is, or a number", name, d.agent.name)
	case u.uid == 0:
		return nil, cli.Refusedf("the user %q of image %s is root under another name; wanted one that is not", name, d.agent.name)
	}
	u.asked, u.home = d.user.asked, d.agent.home(u.home)
	d.user = u
	return passwd, nil
}

// home is where a user of the image's is at home: what the image sets goes before
// passwd's, as for every program in it. The root folder is no one's, and what is put
// into a home has no place in the workspace.
func (i agentImage) home(passwd string) string {
	home := passwd
	for _, e := range i.env {
		if v, ok := strings.CutPrefix(e, "HOME="); ok {
			home = v
		}
	}
	if home = path.Clean(home); !path.IsAbs(home) || home == "/" || ownPlace(home) != "" {
		return ""
	}
	return home
}

// lookUp finds a user by name or number in passwd(5).
func lookUp(passwd []byte, who string) (u agentUser, ok bool) {
	for line := range strings.Lines(string(passwd)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || f[0] != who && f[2] != who {
			continue
		}
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		u = agentUser{uid: uid, gid: gid, named: true}
		if len(f) > 5 {
			u.home = f[5]
		}
		return u, err1 == nil && err2 == nil
	}
	return u, false
}

// withUser is passwd with a line for the agent where it has none: programs such
// as ssh and git stop for a user without a name.
func withUser(passwd []byte, u agentUser) []byte {
	if len(passwd) > 0 && passwd[len(passwd)-1] != '\n' {
		passwd = append(passwd, '\n')
	}
	return fmt.Appendf(passwd, "agent:x:%d:%d::%s:/bin/sh\n", u.uid, u.gid, u.home)
}
