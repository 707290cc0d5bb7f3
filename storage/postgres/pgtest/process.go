//go:build unix

package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// supervisor runs a program until its own standard input ends, which it does
// when the test process ends, by any cause: the kernel closes the pipe.
// Then it ends the program and removes the folder. When the program ends before
// that, it notes so in the folder, which stays. The input goes by another number,
// since what runs in the background has none.
const supervisor = `
folder=$1 signal=$2
shift 2
exec 3<&0
"$@" >>"$folder/log" 2>&1 3<&- &
program=$!
echo $program >"$folder/pid"
{
	while read -r _; do :; done
	[ -e "$folder/ended" ] || kill -"$signal" $program 2>/dev/null
} <&3 &
wait $program
: >"$folder/ended"
wait
cd /
rm -rf "$folder"
`

// process is a program under its supervisor.
type process struct {
	folder string
	stdin  func() error
	ended  chan struct{} // closed when the supervisor has ended
	once   sync.Once
}

// startProcess starts a program that ends at once on the given signal.
func startProcess(folder, signal, program string, args ...string) (*process, error) {
	cmd := command(folder, "/bin/sh", append([]string{"-c", supervisor, "sh", folder, signal, program}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// Nothing else of the test process is handed down: "go test" waits for
	// those who hold its output.
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{folder: folder, stdin: stdin.Close, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) stop() {
	p.once.Do(func() { _ = p.stdin() })
	<-p.ended
}

// kill ends a program and its children by SIGKILL. The program is stopped
// first, so that it starts no further ones.
func kill(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	children, err := childrenOf(pid)
	for _, child := range children {
		err = errors.Join(err, syscall.Kill(child, syscall.SIGKILL))
	}
	return errors.Join(err, syscall.Kill(pid, syscall.SIGKILL))
}

// end stops the program, waits until it has ended, and forgets that it has, so that
// another one can take its place in the folder.
func (p *process) end(stop func(pid int) error, timeout time.Duration) error {
	pid, err := p.pid()
	if err != nil {
		return err
	}
	if err := stop(pid); err != nil {
		return err
	}
	for begin := time.Now(); !p.hasEnded(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > timeout {
			return fmt.Errorf("the program does not end: %s", p.log())
		}
	}
	return os.Remove(filepath.Join(p.folder, "ended"))
}

func (p *process) pid() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.folder, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func childrenOf(pid int) ([]int, error) {
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(pid)).Output()
	if err != nil {
		return nil, fmt.Errorf("the children of process %d: %w", pid, err)
	}
	var children []int
	for _, field := range strings.Fields(string(out)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		children = append(children, child)
	}
	return children, nil
}

// hasEnded reports whether the program has ended, with or without its supervisor.
func (p *process) hasEnded() bool {
	_, err := os.Stat(filepath.Join(p.folder, "ended"))
	return err == nil
}

// log returns the end of what the program has written.
func (p *process) log() string {
	text, _ := os.ReadFile(filepath.Join(p.folder, "log"))
	return string(text[max(0, len(text)-2000):])
}

// run runs a program to its end.
func run(folder, program string, args ...string) error {
	cmd := command(folder, program, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, out.Bytes()[max(0, out.Len()-2000):])
	}
	return nil
}

// command prepares a program that runs in the folder, as its owner, and in a
// session of its own, so that an interrupt typed at the terminal reaches the
// test process alone.
func command(folder, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + folder}
	if id := unprivileged(); id != nil {
		cmd.SysProcAttr.Credential = id
	}
	return cmd
}

// unprivileged returns whom servers run as when the tests run as root, which
// servers refuse, and nil when they do not.
var unprivileged = sync.OnceValue(func() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
})

// newFolder returns a temporary folder of whom servers run as.
func newFolder() (string, error) {
	folder, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return "", err
	}
	if err := own(folder); err != nil {
		return "", errors.Join(err, os.RemoveAll(folder))
	}
	return folder, nil
}

// writeFile writes a file that only whom servers run as can read.
func writeFile(name, text string) error {
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return err
	}
	return own(name)
}

func own(name string) error {
	if id := unprivileged(); id != nil {
		return os.Chown(name, int(id.Uid), int(id.Gid))
	}
	return nil
}
