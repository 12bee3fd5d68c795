# Ends the Docker daemon that nomadtest started, when nobody uses it any more. Each user holds a shared lock on a
# file, which the kernel gives up for those that are killed; this script waits for the exclusive one. It also clears
# away what is left of a daemon that was killed together with its reaper: then the file is one that nobody locks.
#
# $1 lock file   $2 directory of the daemon; its file "before" says what the machine was like: whether there was the
# bridge docker0 (yes or no), and the policy of iptables' FORWARD chain

exec 9<"$1"
flock -x 9

read -r bridge policy 2>/dev/null <"$2/before"
pid=$(cat "$2/docker.pid" 2>/dev/null)
[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || pid=
ended() { [ -z "$pid" ] || ! kill -0 "$pid" 2>/dev/null; }
ended || kill -TERM "$pid"
tries=0
until ended || [ $tries -ge 150 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
ended || kill -KILL "$pid"

# A daemon that was killed leaves its helpers and containers behind: they name its directory, or have their root in it.
for proc in /proc/[0-9]*; do
  pid=${proc#/proc/}
  if [ "$pid" != $$ ] && tr '\0' '\n' <"$proc/cmdline" 2>/dev/null | grep -q "^$2/exec/" ||
    awk '$5 == "/"' "$proc/mountinfo" 2>/dev/null | grep -q "upperdir=$2/"; then
    kill -KILL "$pid" 2>/dev/null
  fi
done

# Docker leaves its bridge, its packet filter rules and empty control groups behind, and Nomad the last of these.
# They go if it was we who brought them.
if [ "$bridge" = no ]; then
  ip link delete docker0 2>/dev/null
  for tables in iptables ip6tables; do
    $tables-save 2>/dev/null | grep -v -e DOCKER -e docker0 | $tables-restore 2>/dev/null
  done
  iptables -P FORWARD "$policy" 2>/dev/null
  find /sys/fs/cgroup -depth -type d -name docker -exec rmdir {} \; 2>/dev/null
  pidof nomad >/dev/null || find /sys/fs/cgroup -depth -type d -path '*/nomad*' -exec rmdir {} \; 2>/dev/null
fi

# Networks of dead containers are mounts too. As long as they are there, they answer for their addresses on the bridge.
grep -o " $2/[^ ]*" /proc/self/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
rm -rf "$2"
rm -f "$1"
