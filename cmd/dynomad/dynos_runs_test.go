package main

import (
	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// run gives the newest run of the app.
func (s *pictured) run() dynomad.Run {
	s.tb.Helper()
	state, err := s.store.AppState(s.tb.Context(), s.app)
	if err != nil || len(state.Runs) == 0 {
		s.tb.Fatalf("no runs: %v", err)
	}
	return state.Runs[len(state.Runs)-1]
}

// putRun gives the view the job of the newest run with its allocation.
func (s *pictured) putRun(change func(*jobs.Alloc)) {
	run := s.run()
	info, content := s.job(), s.content()
	info.ID, info.RunID = jobs.RunJobID(dynomad.App{Name: "x-default"}, run), run.ID
	content.JobID, content.Groups = info.ID, map[string]jobs.GroupContent{run.Type: {Release: 1, Image: "x:1", Count: 1, Number: 3_000_000_000}}
	s.feed(jobs.Delta{Job: &info, Content: &content})
	a := s.alloc(run.Type, 0, change)
	a.JobID = info.ID
	s.feed(jobs.Delta{Alloc: &a})
}

// endRun records the end of the newest run, as the loop does.
func (s *pictured) endRun() {
	s.tb.Helper()
	end := dynomad.RunEnd{At: s.time(), State: dynomad.StateStopped, ExitCode: new(3), Info: "It ended.", Node: "n1", AllocID: "run0"}
	if err := s.store.EndRun(s.tb.Context(), s.app, s.run().ID, end); err != nil {
		s.tb.Fatal(err)
	}
}
