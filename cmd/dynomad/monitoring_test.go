package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// exposed gives what a daemon's /metrics has: by metric, its labels. A histogram has the label le.
func exposed(t *testing.T) map[string]map[string]bool {
	t.Helper()
	url, token, stop := lonely(t, t.TempDir())
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	ask(t, http.MethodGet, url+"/apps", token, "") // makes a series of the requests'
	status, text := ask(t, http.MethodGet, url+"/metrics", "", "")
	if status != http.StatusOK {
		t.Fatalf("GET /metrics: %d %s", status, text)
	}
	reader := expfmt.NewTextParser(model.UTF8Validation)
	families, err := reader.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bool{}
	for name, family := range families {
		labels := map[string]bool{}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
			if m.GetHistogram() != nil {
				labels["le"] = true
			}
		}
		out[name] = labels
	}
	return out
}

// series finds the metric that a series belongs to.
func series(metrics map[string]map[string]bool, name string) (map[string]bool, bool) {
	for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
		base := strings.TrimSuffix(name, suffix)
		if labels, ok := metrics[base]; ok && (suffix == "" || labels["le"]) {
			return labels, true
		}
	}
	return nil, false
}

// scraped are labels that Prometheus adds, and series that it makes itself.
var (
	scrapedLabels = []string{"job", "instance"}
	scrapedSeries = []string{"up"}
)

// checkQuery wants every metric and label of a query to exist.
func checkQuery(t *testing.T, where, query string, metrics map[string]map[string]bool) {
	t.Helper()
	expr, err := parser.ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v in %s", where, err, query)
		return
	}
	var known []string // labels of what is selected, for by (…)
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		s, ok := node.(*parser.VectorSelector)
		if !ok || slices.Contains(scrapedSeries, s.Name) {
			return nil
		}
		labels, ok := series(metrics, s.Name)
		if !ok {
			t.Errorf("%s: there is no metric %s", where, s.Name)
		}
		known = append(known, slices.Collect(maps.Keys(labels))...)
		for _, m := range s.LabelMatchers {
			if m.Name != model.MetricNameLabel && !labels[m.Name] && !slices.Contains(scrapedLabels, m.Name) {
				t.Errorf("%s: %s has no label %s", where, s.Name, m.Name)
			}
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if a, ok := node.(*parser.AggregateExpr); ok {
			for _, label := range a.Grouping {
				if !slices.Contains(known, label) && !slices.Contains(scrapedLabels, label) {
					t.Errorf("%s: nothing has the label %s", where, label)
				}
			}
		}
		return nil
	})
}

func monitoring(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestMonitoring holds the rules, the dashboard and docs/monitoring.md to what /metrics has, and the reverse.
func TestMonitoring(t *testing.T) {
	if onCluster {
		t.Skip("a part of make unit")
	}
	metrics := exposed(t)
	doc := string(monitoring(t, "monitoring.md"))
	t.Run("rules", func(t *testing.T) { checkRules(t, metrics, doc) })
	t.Run("dashboard", func(t *testing.T) { checkDashboard(t, metrics) })
	t.Run("docs", func(t *testing.T) {
		named := regexp.MustCompile("`(dynomad_[a-z_]+)").FindAllStringSubmatch(doc, -1)
		if len(named) < 20 {
			t.Errorf("docs/monitoring.md names %d metrics", len(named))
		}
		for _, m := range named {
			if _, ok := series(metrics, m[1]); !ok {
				t.Errorf("docs/monitoring.md tells of %s, which there is not", m[1])
			}
		}
		for name := range metrics {
			if strings.HasPrefix(name, "dynomad_") && !strings.Contains(doc, "| `"+name) {
				t.Errorf("docs/monitoring.md has no row for %s", name)
			}
		}
	})
	t.Run("labels", func(t *testing.T) {
		for name, labels := range metrics {
			for label := range labels {
				if strings.HasPrefix(name, "dynomad_") && (label == "app" || strings.HasSuffix(label, "id")) {
					t.Errorf("%s has the label %s, of which there can be any number", name, label)
				}
			}
		}
	})
}

// checkRules has the rules read as Prometheus reads them. Every alert must say what it means, how bad it is and where to read on.
func checkRules(t *testing.T, metrics map[string]map[string]bool, doc string) {
	t.Helper()
	groups, errs := rulefmt.Parse(monitoring(t, "monitoring/alerts.yml"), false)
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil || len(groups.Groups) == 0 {
		t.Fatal("there are no rules")
	}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			checkQuery(t, r.Alert, r.Expr, metrics)
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s lacks a summary or a description", r.Alert)
			}
			if s := r.Labels["severity"]; s != "page" && s != "ticket" {
				t.Errorf("%s has the severity %q", r.Alert, s)
			}
			if !strings.Contains(doc, "### "+r.Alert+"\n") {
				t.Errorf("docs/monitoring.md does not say what to do about %s", r.Alert)
			}
			if want := "docs/monitoring.md#" + strings.ToLower(r.Alert); !strings.HasSuffix(r.Annotations["runbook_url"], want) {
				t.Errorf("%s leads to %q, want …/%s", r.Alert, r.Annotations["runbook_url"], want)
			}
		}
	}
}

// checkDashboard checks every query of the dashboard. Grafana's variables stand for what they could be.
func checkDashboard(t *testing.T, metrics map[string]map[string]bool) {
	t.Helper()
	var board struct {
		UID    string
		Panels []struct {
			Title, Description, Type string
			ID                       int
			Targets                  []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(monitoring(t, "monitoring/dashboard.json"), &board); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "5m", "$job", "dynomad", "$instance", "dynomad")
	ids, queries := map[int]bool{}, 0
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("the panel %s lacks a description or a query", p.Title)
		}
		for _, target := range p.Targets {
			checkQuery(t, p.Title, fill.Replace(target.Expr), metrics)
			queries++
		}
	}
	if board.UID == "" || queries < 15 {
		t.Errorf("the dashboard has the uid %q and %d queries", board.UID, queries)
	}
}
