package main

import (
	"bytes"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
)

// squidHelpers reads from 'squid -v' where its helper programs are, and whether
// it can open TLS at all.
func squidHelpers(s *setup) (string, error) {
	out, err := s.run(s.Program, "-v")
	if err != nil {
		return "", err
	}
	if !bytes.Contains(out, []byte("--with-openssl")) {
		return "", errors.New("it is built without OpenSSL; wanted one with ssl_bump, as in Debian's squid-openssl")
	}
	if m := regexp.MustCompile(`--libexecdir=([^']*)`).FindSubmatch(out); m != nil {
		return s.Root + string(m[1]), nil
	}
	return s.Root + "/usr/lib/squid", nil
}

// squidStore makes the store of certificates that squid wants, and gives the
// folder to the user it becomes.
func squidStore(s *setup) error {
	if _, err := s.run(s.Helpers+"/security_file_certgen", "-c", "-s", s.Dir+"/certs", "-M", "64MB"); err != nil {
		return err
	}
	if s.User == "" {
		return nil
	}
	u, err := user.Lookup(s.User)
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return filepath.WalkDir(s.Dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	})
}
