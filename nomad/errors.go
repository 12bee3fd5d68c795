package nomad

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// retryAfter is what clients are told when Nomad does not answer.
const retryAfter = 5 * time.Second

// noJob is what Nomad says, with a plain 500, of a job that it should evaluate and that there is none of (nomad/job_endpoint.go, Evaluate).
const noJob = "job not found"

// translate turns an error of Nomad's client into one of the platform's kinds, by status code. Lost check-and-set races are
// an exception: Nomad answers them with a plain 500, so their documented prefix is looked for
// (api.RegisterEnforceIndexErrPrefix). So is noJob.
func translate(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return dynomad.Wrap(dynomad.Canceled, err, "Cut off while %s.", doing)
	}
	var answer api.UnexpectedResponseError
	if !errors.As(err, &answer) || !answer.HasStatusCode() {
		return unavailable(err, "Nomad does not answer (%s).", doing)
	}
	switch {
	case strings.Contains(answer.Body(), api.RegisterEnforceIndexErrPrefix):
		return dynomad.Wrap(dynomad.Conflict, err, "The job was changed by somebody else meanwhile (%s).", doing)
	case answer.StatusCode() == http.StatusNotFound || strings.TrimSpace(answer.Body()) == noJob:
		return dynomad.Wrap(dynomad.NotFound, err, "Nomad does not have it (%s).", doing)
	case refused(err):
		return unavailable(err, "Nomad refuses the daemon's token (%s).", doing)
	case answer.StatusCode() == http.StatusBadRequest || refusedSpec(answer.Body()):
		return dynomad.Wrap(dynomad.Invalid, err, "Nomad refuses it (%s).", doing)
	}
	return unavailable(err, "Nomad cannot do it now (%s).", doing)
}

// refused reports whether Nomad does not let the daemon's token do it.
func refused(err error) bool {
	var answer api.UnexpectedResponseError
	if !errors.As(err, &answer) || !answer.HasStatusCode() {
		return false
	}
	return answer.StatusCode() == http.StatusForbidden || answer.StatusCode() == http.StatusUnauthorized
}

// refusedSpec reports whether Nomad found fault with a job itself. It answers that with a 500 too, as a list of what is wrong
// (hashicorp/go-multierror), and a namespace that does not exist with a sentence.
func refusedSpec(body string) bool {
	for _, mark := range []string{"1 error occurred:", " errors occurred:", "nonexistent namespace"} {
		if strings.Contains(body, mark) {
			return true
		}
	}
	return false
}

func unavailable(cause error, format string, args ...any) error {
	e := dynomad.Wrap(dynomad.Unavailable, cause, format, args...)
	e.RetryAfter = retryAfter
	return e
}

// ignoreMissing makes nothing of an error that says that a thing is gone.
func ignoreMissing(err error) error {
	if dynomad.KindOf(err) == dynomad.NotFound {
		return nil
	}
	return err
}
