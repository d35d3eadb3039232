package kafkatest

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
)

// A janitor is a small process that cleans up after a cluster: it kills the brokers and
// removes their files when this process closes the pipe between them, or dies. Nothing else
// would: a test binary has no hook for its end, and none runs after a panic, a test timeout or
// a kill. (Linux could kill the broker by itself, by Pdeathsig, but that fires at the end of a
// thread, not of a process, and leaves the files.)
type janitor struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

// janitorScript waits for the end of its input. A broker that was killed may still write for
// a moment, hence the second try.
const janitorScript = `
trap '' HUP INT TERM
cat >/dev/null
if [ -n "$2" ]; then
	docker rm --force "$2"
else
	for pid in "$1"/*/pid; do [ -e "$pid" ] && kill -9 "$(cat "$pid")"; done
fi
rm -rf "$1" || { sleep 1; rm -rf "$1"; }`

// hireJanitor starts a janitor for the cluster with the given folder and container.
func hireJanitor(dir, container string) (*janitor, error) {
	cmd := exec.Command("sh", "-c", janitorScript, "kafkatest-janitor", dir, container)
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("kafkatest: start the janitor: %w", err)
	}
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("kafkatest: start the janitor: %w", err)
	}
	j := &janitor{cmd, pipe}
	atWork.Store(j, nil)
	return j, nil
}

// atWork holds the janitors that were not dismissed. The pipe of one that nobody holds, because
// a program threw ForMain's stop away, would be closed as garbage, and end the broker.
var atWork sync.Map

// dismiss has the janitor clean up, and waits for it.
func (j *janitor) dismiss() {
	atWork.Delete(j)
	j.pipe.Close()
	_ = j.cmd.Wait() // it can only fail to remove what somebody else holds
}
