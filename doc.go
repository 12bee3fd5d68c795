// Package dynomad holds the nouns of the platform (App, DynoType, Dyno, Build, Release, ConfigVars, Size), their rules, the
// kinds of error, and the verbs on them (Platform).
//
// It knows nothing of HTTP, SQL or Nomad: those are the packages server, store and nomad, which import this one and never
// the other way round. A verb checks the request against the rules, commits what is wanted to the store and wakes the loop
// (jobs/reconcile), which makes the cluster match. No verb waits for the cluster.
//
// The words are those of Akkeris and Heroku: a formation is an app's collection of dyno types, a dyno is one running
// instance of a type, a release is a slug with config vars.
package dynomad
