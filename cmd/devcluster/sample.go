package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	appDomain    = "apps.localhost"
	sampleApp    = "hello-default"
	sampleHost   = sampleApp + "." + appDomain
	sampleWithin = 2 * time.Minute
)

// deploySample deploys the sample app as a user would, by the API, and waits until a visitor sees it.
func (s *session) deploySample(ctx context.Context) error {
	if s.config.noSample {
		return nil
	}
	s.say("Deploying the sample app %s ...", sampleApp)
	ctx, cancel := context.WithTimeout(ctx, sampleWithin)
	defer cancel()
	err := s.call(ctx, http.MethodPost, "/apps", `{"name":"hello"}`, nil)
	if err != nil && !errors.Is(err, errExists) { // a kept one
		return err
	}
	build := fmt.Sprintf(`{"url":"docker://%s"}`, sampleImage)
	if err := s.call(ctx, http.MethodPost, "/apps/"+sampleApp+"/builds", build, nil); err != nil {
		return err
	}
	return s.await(ctx, s.sampleServed)
}

// sampleServed wants a dyno that is ready, and the router's way to it.
func (s *session) sampleServed(ctx context.Context) error {
	var dynos []struct {
		State          string `json:"state"`
		Ready          bool   `json:"ready"`
		AdditionalInfo string `json:"additional_info"`
	}
	if err := s.call(ctx, http.MethodGet, "/apps/"+sampleApp+"/dynos", "", &dynos); err != nil {
		return err
	}
	for _, d := range dynos {
		if d.Ready {
			return s.get(ctx, "http://"+local(s.config.routerPort)+"/", sampleHost)
		}
	}
	return fmt.Errorf("no dyno is ready: %+v", dynos)
}

// await calls try until it returns nil or ctx ends.
func (s *session) await(ctx context.Context, try func(context.Context) error) error {
	ticker := time.NewTicker(300 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-s.daemon.Done():
			return errors.Join(errors.New("the daemon has ended"), err)
		case <-ticker.C:
		}
	}
}

// errExists is an answer 409.
var errExists = errors.New("exists")

// call sends a request to the daemon with the root token, and decodes the answer into out, unless that is nil.
func (s *session) call(ctx context.Context, method, path, body string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.apiURL()+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	token, err := os.ReadFile(s.tokenFile())
	if err != nil {
		return fmt.Errorf("reading the root token: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	switch {
	case resp.StatusCode == http.StatusConflict:
		return fmt.Errorf("%s %s: %w: %s", method, path, errExists, answer)
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	case out == nil:
		return nil
	}
	return json.Unmarshal(answer, out)
}
