//go:build !integration

package main

// onCluster says whether the tests on a cluster are built, too.
const onCluster = false
