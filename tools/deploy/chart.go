package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// checkChart renders the chart under every file of values, and returns how many objects there were.
func checkChart(chart, values string) (objects int, err error) {
	files, err := filepath.Glob(filepath.Join(values, "*.yaml"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no values in %s", values)
	}
	if err != nil {
		return 0, err
	}
	var faults []error
	for _, file := range files {
		all, err := render(chart, file)
		for _, fault := range append(houseRules(all), err) {
			if fault != nil {
				faults = append(faults, fmt.Errorf("%s: %w", filepath.Base(file), fault))
			}
		}
		objects += len(all)
	}
	return objects, errors.Join(faults...)
}

// render is the chart under a file of values: linted, rendered, and decoded strictly.
func render(chart, file string) ([]runtime.Object, error) {
	given, err := chartutil.ReadValuesFile(file)
	if err != nil {
		return nil, err
	}
	var faults []error
	for _, m := range lint.All(chart, given, "hone", true).Messages {
		if m.Severity >= support.WarningSev {
			faults = append(faults, fmt.Errorf("lint: %s: %w", m.Path, m.Err))
		}
	}
	c, err := loader.Load(chart)
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: "hone", Namespace: "research", IsInstall: true, Revision: 1}
	all, err := chartutil.ToRenderValues(c, given, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	texts, err := engine.Render(c, all)
	if err != nil {
		return nil, err
	}
	var objects []runtime.Object
	for name, text := range texts {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for _, document := range strings.Split(text, "\n---") {
			if strings.TrimSpace(strings.TrimPrefix(document, "---")) == "" {
				continue
			}
			o, err := decode(document)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", name, err))
				continue
			}
			objects = append(objects, o)
		}
	}
	return objects, errors.Join(faults...)
}

// decode reads an object of a known kind; a field that the kind hasn't is a fault.
func decode(text string) (runtime.Object, error) {
	var kind struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
		return nil, err
	}
	kinds := map[string]func() runtime.Object{
		"apps/v1 Deployment":                      func() runtime.Object { return new(appsv1.Deployment) },
		"batch/v1 Job":                            func() runtime.Object { return new(batchv1.Job) },
		"batch/v1 CronJob":                        func() runtime.Object { return new(batchv1.CronJob) },
		"policy/v1 PodDisruptionBudget":           func() runtime.Object { return new(policyv1.PodDisruptionBudget) },
		"v1 ServiceAccount":                       func() runtime.Object { return new(corev1.ServiceAccount) },
		"v1 Service":                              func() runtime.Object { return new(corev1.Service) },
		"keda.sh/v1alpha1 ScaledObject":           func() runtime.Object { return new(scaledObject) },
		"keda.sh/v1alpha1 TriggerAuthentication":  func() runtime.Object { return new(triggerAuthentication) },
		"monitoring.coreos.com/v1 ServiceMonitor": func() runtime.Object { return new(serviceMonitor) },
	}
	name := kind.APIVersion + " " + kind.Kind
	make, ok := kinds[name]
	if !ok {
		return nil, fmt.Errorf("an object of kind %q, which this check does not know", name)
	}
	o := make()
	raw, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	strict, err := json.UnmarshalStrict(raw, o) // upper and lower case count, as in a cluster
	if err := errors.Join(append(strict, err)...); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return o, nil
}

// pod is a pod of a workload.
type pod struct {
	name     string
	labels   map[string]string
	spec     corev1.PodSpec
	serves   bool
	selector map[string]string
}

// pods are those of all workloads.
func pods(all []runtime.Object) (out []pod) {
	for _, o := range all {
		switch o := o.(type) {
		case *appsv1.Deployment:
			out = append(out, pod{o.Name, o.Spec.Template.Labels, o.Spec.Template.Spec, true, o.Spec.Selector.MatchLabels})
		case *batchv1.Job:
			out = append(out, pod{name: o.Name, labels: o.Spec.Template.Labels, spec: o.Spec.Template.Spec})
		case *batchv1.CronJob:
			t := o.Spec.JobTemplate.Spec.Template
			out = append(out, pod{name: o.Name, labels: t.Labels, spec: t.Spec})
		}
	}
	return out
}

// houseRules are what the types can't say.
func houseRules(all []runtime.Object) (faults []error) {
	fault := func(name, format string, args ...any) {
		faults = append(faults, fmt.Errorf(name+": "+format, args...))
	}
	workloads := pods(all)
	for _, p := range workloads {
		for _, f := range p.faults() {
			fault(p.name, "%s", f)
		}
	}
	for _, o := range all {
		switch o := o.(type) {
		case *policyv1.PodDisruptionBudget:
			if !slices.ContainsFunc(workloads, func(p pod) bool {
				return labels.SelectorFromSet(o.Spec.Selector.MatchLabels).Matches(labels.Set(p.labels))
			}) {
				fault(o.Name, "its budget is nobody's")
			}
		case *scaledObject:
			if !slices.ContainsFunc(workloads, func(p pod) bool { return p.serves && p.name == o.Spec.ScaleTargetRef.Name }) {
				fault(o.Name, "it scales %s, which is not there", o.Spec.ScaleTargetRef.Name)
			}
		}
	}
	return faults
}

// faults are what is wrong with a pod.
func (p pod) faults() (out []string) {
	rule := func(ok bool, what string) {
		if !ok {
			out = append(out, what)
		}
	}
	s := p.spec.SecurityContext
	rule(s != nil && s.RunAsNonRoot != nil && *s.RunAsNonRoot, "it may run as root")
	rule(s != nil && s.SeccompProfile != nil && s.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault, "it has no seccomp profile")
	rule(p.spec.AutomountServiceAccountToken != nil && !*p.spec.AutomountServiceAccountToken, "it is given a token of the cluster")
	rule(labels.SelectorFromSet(p.selector).Matches(labels.Set(p.labels)), "its selector is another's")
	volumes := make(map[string]bool)
	for _, v := range p.spec.Volumes {
		volumes[v.Name] = true
	}
	for _, c := range p.spec.Containers {
		sc := c.SecurityContext
		rule(sc != nil && sc.ReadOnlyRootFilesystem != nil && *sc.ReadOnlyRootFilesystem, c.Name+" may write to its root")
		rule(sc != nil && sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation, c.Name+" may gain privileges")
		rule(sc != nil && sc.Capabilities != nil && slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}), c.Name+" keeps capabilities")
		rule(!c.Resources.Requests.Cpu().IsZero() && !c.Resources.Limits.Memory().IsZero(), c.Name+" says not what it needs")
		for _, m := range c.VolumeMounts {
			rule(volumes[m.Name], c.Name+" mounts "+m.Name+", which is not there")
		}
		for _, e := range c.Env {
			rule(!strings.Contains(strings.ToLower(e.Name+e.Value), "password") && !strings.Contains(e.Value, "postgres://"), c.Name+" has a secret in "+e.Name)
		}
		if p.serves {
			rule(c.ReadinessProbe != nil && c.LivenessProbe != nil && c.StartupProbe != nil, c.Name+" has no probe")
			rule(p.spec.TerminationGracePeriodSeconds != nil && *p.spec.TerminationGracePeriodSeconds >= drainOf(c.Args), c.Name+" is killed before it has drained")
		}
	}
	return out
}
