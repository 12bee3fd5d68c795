#!/bin/sh
# Checks that a Docker is there for the tests and "make dev", or installs one: on Debian and Ubuntu, as root. It
# starts nothing: the tests start dockerd themselves if none runs, and end it.
set -eu

fail() { echo "tools/docker.sh: $*" >&2; exit 1; }

has() { command -v "$1" >/dev/null 2>&1; }

# install installs Debian packages, and keeps their services from being started.
install() {
  echo "Installing with apt-get: $*"
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || fail "apt-get update failed"
  apt-get install -qq -y --no-install-recommends "$@" >/dev/null || fail "apt-get install $* failed"
}

# answers says whether a Docker runs already, as the tests look for it.
answers() {
  case ${DOCKER_HOST:-} in
    "") socket=/var/run/docker.sock ;;
    unix://*) socket=${DOCKER_HOST#unix://} ;;
    *) return 0 ;; # elsewhere: the tests will see
  esac
  [ -S "$socket" ] && { ! has curl || curl -fsS -o /dev/null --unix-socket "$socket" http://docker/_ping 2>/dev/null; }
}

# missing names the Debian packages whose programs are not there. docker-registry and the JDK are for the tests.
missing() {
  answers || has dockerd || printf 'docker.io '
  answers || has iptables || printf 'iptables '
  has docker-registry || printf 'docker-registry '
  has javac && has jlink || printf 'openjdk-17-jdk-headless '
  has flock || printf 'util-linux '
  has busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1 || printf 'busybox-static '
}

packages=$(missing)
if [ -n "$packages" ]; then
  if [ "$(id -u)" != 0 ] || ! has apt-get; then
    fail "install these (Debian's names), or run this as root on Debian or Ubuntu: $packages"
  fi
  # shellcheck disable=SC2086 # a list of names
  install $packages ca-certificates
fi
answers && exit 0

[ "$(id -u)" = 0 ] || fail "Docker does not run, and only root can start one: start Docker, or run as root"
iptables -L -n >/dev/null 2>&1 || fail "iptables does not work: Docker needs the kernel's packet filter (modprobe ip_tables iptable_nat)"
grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || fail "overlayfs is missing: Docker needs it (modprobe overlay)"
