# Ends the Docker daemon that nomadtest started, when nobody uses it any more. Each user holds a shared lock on a
# file, which the kernel gives up for those that are killed; this script waits for the exclusive one.
#
# $1 lock file   $2 directory of the daemon   $3 the bridge docker0 was there before: yes or no
# $4 policy of iptables' FORWARD chain before

exec 9<"$1"
flock -x 9

pid=$(cat "$2/docker.pid" 2>/dev/null)
ended() { [ -z "$pid" ] || ! kill -0 "$pid" 2>/dev/null; }
ended || kill -TERM "$pid"
tries=0
until ended || [ $tries -ge 150 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
ended || kill -KILL "$pid"

# Docker leaves its bridge, its packet filter rules and empty control groups behind, and Nomad the last of these.
# They go if it was we who brought them.
if [ "$3" = no ]; then
  ip link delete docker0 2>/dev/null
  for tables in iptables ip6tables; do
    $tables-save 2>/dev/null | grep -v -e DOCKER -e docker0 | $tables-restore 2>/dev/null
  done
  iptables -P FORWARD "$4" 2>/dev/null
  find /sys/fs/cgroup -depth -type d -name docker -exec rmdir {} \; 2>/dev/null
  pidof nomad >/dev/null || find /sys/fs/cgroup -depth -type d -path '*/nomad*' -exec rmdir {} \; 2>/dev/null
fi

grep -o " $2/[^ ]*" /proc/self/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
rm -rf "$2"
rm -f "$1"
