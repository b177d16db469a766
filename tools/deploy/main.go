// Command deploy checks what is in deploy/ without a cluster and without a container engine: it renders the chart as helm does and holds
// every object against its Kubernetes type, reads the compose file as Compose does, and holds both to a few rules of the house.
//
// With one argument, the repository's root, it checks; it prints one line a fault and exits with 1 where there is any.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: deploy ROOT")
		os.Exit(2)
	}
	root := os.Args[1]
	objects, err := checkChart(filepath.Join(root, "deploy", "helm", "hone"), filepath.Join(root, "tools", "deploy", "testdata"))
	services, composeErr := checkCompose(context.Background(), filepath.Join(root, "deploy", "compose.yaml"))
	if err := errors.Join(err, composeErr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("deploy: %d objects of the chart and %d services of the compose file are as they should be\n", objects, services)
}
