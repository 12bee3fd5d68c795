package main

// What becomes of changes of the certificate's files.
const (
	reloadTaken   = "taken"
	reloadRefused = "refused"
)
