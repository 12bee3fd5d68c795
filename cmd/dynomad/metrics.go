package main

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dynomad/dynomad/jobs/reconcile"
	"github.com/dynomad/dynomad/store"
)

// metrics are what Prometheus reads. Labels are bounded: no app, no token and nothing that a client sent is in one. docs/monitoring.md
// says of each what it means.
type metrics struct {
	registry *prometheus.Registry

	requests *prometheus.HistogramVec

	waits    *prometheus.HistogramVec
	passes   *prometheus.HistogramVec
	rollouts *prometheus.CounterVec
	rolled   *prometheus.HistogramVec

	resyncs, losses *prometheus.CounterVec

	writeWaits, writes prometheus.Histogram
	ailments           *prometheus.CounterVec

	runs, minutes *prometheus.CounterVec

	certificate prometheus.Gauge
	reloads     *prometheus.CounterVec
}

// quickBuckets are for what takes from under a millisecond to half a minute.
var quickBuckets = prometheus.ExponentialBuckets(0.001, 2.5, 12)

// rolloutBuckets are for rollouts: from seconds to the longest DEPLOY_TIMEOUT that makes sense.
var rolloutBuckets = []float64{5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),

		requests: histograms("dynomad_http_request_duration_seconds", "Time to answer a request of the API.", quickBuckets, "method", "path", "status"),

		waits:    histograms("dynomad_loop_wait_seconds", "Time from when an app was due to be looked at until it was.", quickBuckets, "lane"),
		passes:   histograms("dynomad_loop_pass_duration_seconds", "Time of one look at an app.", quickBuckets, "lane", "outcome"),
		rollouts: counters("dynomad_rollouts_total", "Rollouts that replaced dynos and have ended.", "outcome"),
		rolled:   histograms("dynomad_rollout_duration_seconds", "Time from a rollout's registration to its end.", rolloutBuckets, "outcome"),

		resyncs: counters("dynomad_watcher_resyncs_total", "Full lists that were read of a part of the cluster.", "part"),
		losses:  counters("dynomad_watcher_losses_total", "Times that a part of the cluster was lost sight of.", "part"),

		writeWaits: histogram("dynomad_store_write_wait_seconds", "Time that a write waited for its turn."),
		writes:     histogram("dynomad_store_write_duration_seconds", "Time of a transaction that wrote."),
		ailments:   counters("dynomad_store_errors_total", "Writes that failed for what is wrong with the database or its disk.", "reason"),

		runs:    counters("dynomad_runs_ended_total", "One-off and scheduled dynos that have ended.", "outcome"),
		minutes: counters("dynomad_schedule_minutes_total", "Minutes of schedules that came due.", "outcome"),

		certificate: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dynomad_tls_certificate_not_after_seconds", Help: "When the certificate of the API ends, in Unix time; 0 without TLS.",
		}),
		reloads: counters("dynomad_tls_reloads_total", "Changes of the certificate's files that were found.", "outcome"),
	}
	m.registry.MustRegister(
		m.requests, m.waits, m.passes, m.rollouts, m.rolled, m.resyncs, m.losses, m.writeWaits, m.writes, m.ailments, m.runs, m.minutes,
		m.certificate, m.reloads, buildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.fill()
	return m
}

// fill makes the series that there can be, so that one that has not happened yet is 0 and not missing.
func (m *metrics) fill() {
	for _, lane := range reconcile.Lanes() {
		m.waits.WithLabelValues(lane)
		m.passes.WithLabelValues(lane, passOK)
		m.passes.WithLabelValues(lane, passFailed)
	}
	for _, outcome := range reconcile.Outcomes() {
		m.rollouts.WithLabelValues(outcome)
		m.rolled.WithLabelValues(outcome)
	}
	for _, part := range []string{"nomad", "consul"} {
		m.resyncs.WithLabelValues(part)
		m.losses.WithLabelValues(part)
	}
	for _, reason := range store.Ailments() {
		m.ailments.WithLabelValues(reason)
	}
	for _, outcome := range []string{runSucceeded, runFailed, runStopped, runNotStarted} {
		m.runs.WithLabelValues(outcome)
	}
	for _, outcome := range []string{minuteRun, minuteSkipped, minuteMissed} {
		m.minutes.WithLabelValues(outcome)
	}
	for _, outcome := range []string{reloadTaken, reloadRefused} {
		m.reloads.WithLabelValues(outcome)
	}
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: quickBuckets})
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

func buildInfo() prometheus.Collector {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dynomad_build_info", Help: "1, with the daemon's version."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	return info
}

// observe is told of an answer of the API. Statuses are counted by class: "2xx".
func (m *metrics) observe(method, path string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, path, strconv.Itoa(status/100)+"xx").Observe(took.Seconds())
}

// wrote is told of a transaction of the store.
func (m *metrics) wrote(w store.Write) {
	m.writeWaits.Observe(w.Waited.Seconds())
	m.writes.Observe(w.Took.Seconds())
	if w.Ailment != "" {
		m.ailments.WithLabelValues(w.Ailment).Inc()
	}
}

// What passes of the loop come to.
const (
	passOK     = "ok"
	passFailed = "failed"
)

// Passed implements reconcile.Meter. Passes of what failed before wait for one another, and so say nothing of the loop's lag.
func (m *metrics) Passed(p reconcile.Pass) {
	if !p.Retry {
		m.waits.WithLabelValues(p.Lane).Observe(p.Waited.Seconds())
	}
	if p.Calm {
		return // mostly there is nothing to look at: how long that takes would hide how long looks take
	}
	outcome := passOK
	if p.Err != nil {
		outcome = passFailed
	}
	m.passes.WithLabelValues(p.Lane, outcome).Observe(p.Took.Seconds())
}

// RolledOut implements reconcile.Meter.
func (m *metrics) RolledOut(outcome string, took time.Duration) {
	m.rollouts.WithLabelValues(outcome).Inc()
	m.rolled.WithLabelValues(outcome).Observe(took.Seconds())
}

// certified is told of the certificate that is used from now on, or of one that was refused. The first is no change.
func (m *metrics) certified(outcome string, notAfter time.Time) {
	m.certificate.Set(float64(notAfter.Unix()))
	if outcome != "" {
		m.reloads.WithLabelValues(outcome).Inc()
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// handlerIf gives the handler if the API is to serve it, else nil.
func (m *metrics) handlerIf(served bool) http.Handler {
	if !served {
		return nil
	}
	return m.handler()
}

// metricsTime is how long a request for the metrics alone may take, its sender's and its reader's slowness included.
const metricsTime = 30 * time.Second

// alone serves /metrics and nothing else, for an address of its own.
func (m *metrics) alone() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control, end := http.NewResponseController(w), time.Now().Add(metricsTime)
		_ = errors.Join(control.SetReadDeadline(end), control.SetWriteDeadline(end)) // writers without deadlines have none
		mux.ServeHTTP(w, r)
	})
}
