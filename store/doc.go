// Package store keeps what is wanted (spaces, apps, dyno types, builds, config vars, releases, tokens), the record of who
// changed it and what the loop last did, in one SQLite file.
//
// An exported method is one transaction and one business act. A write that has been answered survives the death of the
// process and of the machine. Config vars and what dyno types override of them are encrypted with the key of the data
// directory before SQLite sees them; tokens come in as hashes. Nothing of these is ever in an error or a log line.
//
// Deleted apps and spaces stay as tombstones without secrets, so that the ledger of releases and the audits keep their
// names and the loop knows what to end. The package never talks to a network and knows nothing of HTTP or Nomad.
package store
