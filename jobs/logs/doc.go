// Package logs joins the output of an app's dynos, and what the platform has to say about it, to one stream of lines for any number
// of readers.
//
// A Hub has a feed for each app that somebody reads. The feed looks at the app's dynos, has each one's output followed once,
// however many read, and keeps the newest lines in a ring. A reader is a place in the ring: one that is overtaken is cut off, and
// nobody waits for it. Without readers nothing is followed; the ring and the places in the outputs are kept a minute longer,
// so that who comes back goes on where they were.
//
// The package does no I/O: outputs, dynos and audits come through ports.
package logs
