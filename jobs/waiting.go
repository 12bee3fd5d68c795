package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// WaitingInput is what the dynos of a type are made of that are wanted but not placed.
type WaitingInput struct {
	App            dynomad.App
	Type           dynomad.DynoType
	Command        *string // of the type
	Count          int     // how many dynos are wanted
	Taken          []int   // indexes that have a dyno
	ReleaseVersion int
	Metric         *api.AllocationMetric // why Nomad cannot place them; nil if it has not said
	Trial          *dynomad.Rollout      // that runs and has yet to prove good; nil if none does
	Since          time.Time
}

// Waiting gives a row for each dyno that is wanted and has no allocation. Its id is made of the app, type and index, so
// that it stays the same for as long as it waits.
func Waiting(in WaitingInput) []dynomad.Dyno {
	var rows []dynomad.Dyno
	for i, index := range freeIndexes(in.Count, in.Taken) {
		id := derivedID(in.App.ID, in.Type.Type, strconv.Itoa(index))
		rows = append(rows, dynomad.Dyno{
			ID:             id,
			Name:           dynoName(tenDigits([]byte(in.App.ID+" "+in.Type.Type)), id),
			TypeN:          TypeN(in.Type.Type, index),
			AppID:          in.App.ID,
			AppName:        in.App.Name,
			Type:           in.Type.Type,
			Command:        in.Command,
			Size:           in.Type.Size,
			ReleaseVersion: in.ReleaseVersion,
			State:          dynomad.StateWaiting,
			AdditionalInfo: in.why(len(in.Taken) + i),
			CreatedAt:      in.Since,
			UpdatedAt:      in.Since,
		})
	}
	return rows
}

// why says why a dyno waits that is the nth of its type, counted from 0.
func (in WaitingInput) why(nth int) string {
	if nth >= in.told() {
		return fmt.Sprintf("It waits for the end of the rollout of v%d.", in.Trial.Version)
	}
	return PlacementProblem(in.Metric)
}

// told gives how many dynos Nomad was told to run: not more than when a rollout on trial began, before that has ended; see Input.Capped.
func (in WaitingInput) told() int {
	if in.Trial != nil {
		if told, ok := in.Trial.Type(in.Type.Type); ok {
			return min(in.Count, told.Count)
		}
	}
	return in.Count
}

// owed reports whether Nomad was told of more dynos than there are, and does not say why it places no more.
func (in WaitingInput) owed() bool { return len(in.Taken) < in.told() && in.Metric == nil }

// freeIndexes gives as many indexes as count has more than there are taken ones, the lowest first.
func freeIndexes(count int, taken []int) []int {
	var free []int
	for index := 0; len(taken)+len(free) < count; index++ {
		if !slices.Contains(taken, index) {
			free = append(free, index)
		}
	}
	return free
}

// derivedID makes a UUID of version 8 (RFC 9562, "custom") of some texts: always the same one.
func derivedID(parts ...string) string {
	sum := sha256.Sum256([]byte("dynomad dyno\x00" + strings.Join(parts, "\x00")))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// PlacementProblem says in a sentence why Nomad cannot place a dyno, from a blocked evaluation's FailedTGAllocs.
func PlacementProblem(m *api.AllocationMetric) string {
	if m == nil {
		return "Nomad has not placed it yet."
	}
	nodes := available(m)
	if nodes == 0 {
		return "No node is ready in the datacenters and node pool that dynos may run in."
	}
	var unfit, full []string
	for _, what := range slices.Sorted(maps.Keys(m.ConstraintFiltered)) {
		unfit = append(unfit, onNodes(what, m.ConstraintFiltered[what], nodes))
	}
	for _, what := range slices.Sorted(maps.Keys(m.DimensionExhausted)) {
		full = append(full, onNodes(what+" is exhausted", m.DimensionExhausted[what], nodes))
	}
	for _, what := range m.QuotaExhausted {
		full = append(full, "the quota is exhausted ("+what+")")
	}
	switch {
	case len(full) > 0:
		return "No node has room: " + strings.Join(append(full, unfit...), ", ") + "."
	case len(unfit) > 0:
		return "No node is fit: " + strings.Join(unfit, ", ") + "."
	}
	return fmt.Sprintf("None of %d nodes takes it.", nodes)
}

func available(m *api.AllocationMetric) int {
	nodes := 0
	for _, n := range m.NodesAvailable {
		nodes += n
	}
	return max(nodes, m.NodesEvaluated)
}

func onNodes(what string, n, of int) string { return fmt.Sprintf("%s on %d of %d nodes", what, n, of) }
