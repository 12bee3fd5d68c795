package nomad

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/dynomad/dynomad/jobs"
)

// contentReaders is how many jobs' versions are read at once while a snapshot is taken.
const contentReaders = 8

// allocsPerPage is how many allocations are listed at once: about two megabytes.
const allocsPerPage = 1000

// snapshot lists all of a namespace. Its index is the lowest of the lists', so that no event is taken for known that one of
// them did not show.
func (w *Watcher) snapshot(ctx context.Context) (jobs.Snapshot, error) {
	var s jobs.Snapshot
	list, index, err := w.Client.listJobs(ctx, w.Namespace)
	if err != nil {
		return s, err
	}
	s.Index = index
	owned := map[string]bool{}
	for _, info := range list {
		if w.owned(info) {
			owned[info.ID] = true
		}
	}
	s.Jobs = list
	// The versions are read beside the lists: the pages of a list come one after the other, and Nomad and we take turns with each.
	// A version that is registered meanwhile comes as an event, as the index is not above that of the list of jobs.
	g, both := errgroup.WithContext(ctx)
	var contents []jobs.VersionContent
	g.Go(func() (err error) {
		contents, err = w.versions(both, list, owned)
		return err
	})
	g.Go(func() error {
		if err := w.allocs(both, &s, owned); err != nil {
			return err
		}
		return w.blocked(both, &s, owned)
	})
	err = g.Wait()
	s.Contents = contents
	return s, err
}

// allocs lists the allocations page by page, since what Nomad tells of each is many times what is kept. They come in the order in
// which they were made, so that none is missed between two pages (nomad/alloc_endpoint.go, List). What changes meanwhile comes as an
// event, as the index of the snapshot is not above the first page's.
func (w *Watcher) allocs(ctx context.Context, s *jobs.Snapshot, owned map[string]bool) error {
	for token := ""; ; {
		next, err := w.allocsPage(ctx, s, owned, token)
		if err != nil {
			return translate("listing allocations", err)
		}
		if next == "" {
			return nil
		}
		token = next
	}
}

func (w *Watcher) allocsPage(ctx context.Context, s *jobs.Snapshot, owned map[string]bool, token string) (next string, err error) {
	q, done := w.Client.query(ctx, w.Namespace)
	defer done()
	q.PerPage, q.NextToken = allocsPerPage, token
	stubs, meta, err := w.Client.api.Allocations().List(q)
	if err != nil {
		return "", err
	}
	s.Index = min(s.Index, meta.LastIndex)
	for _, stub := range jobs.Present(stubs) {
		if owned[stub.JobID] {
			s.Allocs = append(s.Allocs, jobs.AllocFromStub(stub))
		}
	}
	return meta.NextToken, nil
}

func (w *Watcher) blocked(ctx context.Context, s *jobs.Snapshot, owned map[string]bool) error {
	q, done := w.Client.query(ctx, w.Namespace)
	defer done()
	q.Filter = `Status == "blocked"`
	evals, meta, err := w.Client.api.Evaluations().List(q)
	if err != nil {
		return translate("listing evaluations", err)
	}
	s.Index = min(s.Index, meta.LastIndex)
	for _, e := range jobs.Present(evals) {
		if b, ok := blockedFrom(e); ok && owned[e.JobID] {
			s.Blocked = append(s.Blocked, b)
		}
	}
	return nil
}

// versions reads what the jobs' versions run: the lists do not tell.
func (w *Watcher) versions(ctx context.Context, list []jobs.JobInfo, owned map[string]bool) ([]jobs.VersionContent, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(contentReaders)
	found := make([][]jobs.VersionContent, len(list))
	for i, info := range list {
		if !owned[info.ID] {
			continue
		}
		g.Go(func() error {
			contents, err := w.Client.contents(ctx, w.Namespace, info.ID)
			found[i] = contents
			return ignoreMissing(err)
		})
	}
	err := g.Wait()
	return slices.Concat(found...), err
}
