package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// checkCompose reads the file as Compose does, and returns how many services it has.
func checkCompose(ctx context.Context, file string) (services int, err error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithWorkingDirectory(filepath.Dir(file)), cli.WithProfiles([]string{"*"}))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	var faults []error
	for name, s := range project.Services {
		for _, fault := range composeRules(s) {
			faults = append(faults, fmt.Errorf("%s: service %s: %s", filepath.Base(file), name, fault))
		}
	}
	return len(project.Services), errors.Join(faults...)
}

// composeRules are what is wrong with a service.
func composeRules(s types.ServiceConfig) (out []string) {
	for _, port := range s.Ports {
		if port.HostIP != "127.0.0.1" {
			out = append(out, fmt.Sprintf("port %s is open to the network", port.Published))
		}
	}
	if s.Build == nil {
		if s.HealthCheck == nil {
			out = append(out, "nobody can tell when it is ready")
		}
		return out
	}
	if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		out = append(out, "it may do more than it needs to")
	}
	if len(s.Command) > 0 && s.Command[0] == "worker" && s.StopGracePeriod == nil {
		out = append(out, "it is killed before it has drained")
	}
	return out
}
