package main

import (
	"syscall"
	"time"
)

// vanishedTime is how long a client may leave what is sent to it, or a probe, without a sign of having it: then it has vanished. It is longer
// than any of the times in which an answer has to be read (package server).
const vanishedTime = 2 * time.Minute

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), which package syscall does not name.
const tcpUserTimeout = 0x12

// noticeVanished has the kernel end connections to clients that have vanished. It probes only those on which nothing is under way, and gives a
// line of a log that nobody acknowledges a quarter of an hour. What a listener has set, its connections have.
func noticeVanished(_, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(vanishedTime.Milliseconds()))
	})
	if err == nil {
		err = failed
	}
	return err
}
