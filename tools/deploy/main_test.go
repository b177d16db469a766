package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// broken is a copy of a folder in which one text stands in the place of another.
func broken(t *testing.T, from, file, old, new string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(from))
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(to, file)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), old, new, 1)
	if changed == string(text) {
		t.Fatalf("%s has no %q to break", file, old)
	}
	if err := os.WriteFile(name, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

func want(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v, want %q", err, text)
	}
}

func TestWhatIsThereIsSound(t *testing.T) {
	t.Parallel()
	objects, err := checkChart(filepath.Join(root, "deploy/helm/hone"), "testdata")
	if err != nil || objects < 20 {
		t.Fatal(objects, err)
	}
	services, err := checkCompose(t.Context(), filepath.Join(root, "deploy/compose.yaml"))
	if err != nil || services != 6 {
		t.Fatal(services, err)
	}
}

func TestABrokenChartIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, old, new, want string }{
		"a field that the kind hasn't": {"templates/workers.yaml", "periodSeconds: 2", "periodSecond: 2", `unknown field "spec.template.spec.containers[0].startupProbe.periodSecond"`},
		"a value of another type":      {"templates/workers.yaml", "containerPort: 8080", "containerPort: many", "containerPort"},
		"a field of KEDA's":            {"templates/scaling.yaml", "cooldownPeriod:", "coolDownPeriod:", "coolDownPeriod"},
		"a scale of nobody":            {"templates/scaling.yaml", `"%s-rollout"`, `"%s-rollouts"`, "it scales hone-rollouts, which is not there"},
		"root":                         {"templates/_helpers.tpl", "runAsNonRoot: true", "runAsNonRoot: false", "it may run as root"},
		"capabilities":                 {"templates/_helpers.tpl", "capabilities: {drop: [ALL]}", "capabilities: {}", "keeps capabilities"},
		"a short end":                  {"templates/workers.yaml", "add 15", "sub 15", "killed before it has drained"},
		"a mount of nothing":           {"templates/_helpers.tpl", "- name: tmp\n  emptyDir", "- name: temp\n  emptyDir", "mounts tmp, which is not there"},
		"a template that doesn't end":  {"templates/metrics.yaml", "{{- end }}", "", "unexpected EOF"},
		"a secret in the open":         {"templates/_helpers.tpl", "- name: TEMPORAL_NAMESPACE", "- name: DB_PASSWORD", "has a secret in DB_PASSWORD"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := checkChart(broken(t, filepath.Join(root, "deploy/helm/hone"), c.file, c.old, c.new), "testdata")
			want(t, err, c.want)
		})
	}
}

func TestWhatTheChartNeedsIsSaid(t *testing.T) {
	t.Parallel()
	for text, values := range map[string]string{
		"temporal.address is empty":        "blobs: {claim: weights}\n",
		"weights need a place":             "temporal: {address: a:1}\n",
		"mutual wants temporal.tls.secret": "temporal: {address: a:1, tls: {enabled: true, mutual: true}}\nblobs: {claim: weights}\n",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "values.yaml"), []byte(values), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := checkChart(filepath.Join(root, "deploy/helm/hone"), dir)
		want(t, err, text)
	}
}

func TestABrokenComposeFileIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"a key that Compose hasn't":  {"stop_grace_period", "stop_grace_periods", "stop_grace_periods"},
		"a service that isn't there": {"temporal: {condition: service_healthy}", "temporals: {condition: service_healthy}", "temporals"},
		"an open port":               {"127.0.0.1:8233:8233", "8233:8233", "open to the network"},
		"capabilities":               {"cap_drop: [ALL]", "cap_drop: [NET_RAW]", "more than it needs to"},
		"no time to drain":           {"stop_grace_period: 45s # longer than --drain", "init: true", "killed before it has drained"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := checkCompose(t.Context(), filepath.Join(broken(t, filepath.Join(root, "deploy"), "compose.yaml", c.old, c.new), "compose.yaml"))
			want(t, err, c.want)
		})
	}
}
