// Package jobs translates between the platform's words (app, dyno type, dyno) and Nomad's (job, group, allocation), both
// ways, and decides what a difference between the two asks for. It is pure: no clock, no network, no files; the same input
// gives the same output, whatever the order of maps.
//
// Forth: Spec renders an app's formation and release as one Nomad job, in which each kept-up dyno type is a task group.
// Back: AllocFromStub and Content keep the little that is needed of Nomad's allocations and job versions, and Dynos makes
// an app's dynos of them. Between: Decide says whether a job is to be registered, removed or left alone.
//
//	input, ok := jobs.InputFor(settings, wanted) // false: nothing to run
//	job, err := jobs.Spec(input)
//	action := jobs.Decide(jobs.Want{Job: job, Hash: jobs.Hash(job), …}, have)
//
// The types of Nomad's client are used, its client never.
package jobs
