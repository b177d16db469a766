package main

import (
	"embed"
	"fmt"
	"path"
	"strings"

	"github.com/hone-rl/hone"
)

//go:embed presets/*.yaml
var presets embed.FS

// presetNames are the presets there are, sorted.
func presetNames() []string {
	entries, err := presets.ReadDir("presets")
	if err != nil {
		panic("the embedded presets can't be listed: " + err.Error())
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	return names
}

// presetLayer is the preset of that name.
func presetLayer(name string) (layer, error) {
	file := path.Join("presets", name+".yaml")
	text, err := presets.ReadFile(file)
	if err != nil || strings.ContainsAny(name, `/\`) {
		return layer{}, fmt.Errorf("preset %q: want one of %s: %w", name, strings.Join(presetNames(), ", "), hone.ErrInvalid)
	}
	return layer{name: file, text: text}, nil
}
