package sandbox

import (
	"os/exec"
	"runtime"
	"syscall"
)

// StartTied starts cmd so that it gets SIGKILL when this process dies, however
// it dies. The channel has what cmd.Wait returned, once.
//
// The parent of prctl(2) PR_SET_PDEATHSIG is the thread that forked, not the
// process: a goroutine keeps that thread until the child is gone.
func StartTied(cmd *exec.Cmd) (<-chan error, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started, done := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			done <- cmd.Wait()
		}
		// Not unlocked: the thread ends with the goroutine, after the child.
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return done, nil
}
