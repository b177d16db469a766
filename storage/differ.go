package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
)

// differ lists where two JSON documents mean different things, by path: order of keys and spelling of numbers don't count.
func differ(stored, given json.RawMessage) ([]string, error) {
	a, err := decode(stored)
	if err != nil {
		return nil, err
	}
	b, err := decode(given)
	if err != nil {
		return nil, err
	}
	return appendDifferences(nil, "", a, b), nil
}

func decode(doc json.RawMessage) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("configuration: %w: %w", hone.ErrInvalid, err)
	}
	return v, nil
}

// absent stands for a key that is not there.
type absent struct{}

func appendDifferences(to []string, path string, stored, given any) []string {
	a, okA := stored.(map[string]any)
	b, okB := given.(map[string]any)
	if okA && okB {
		keys := maps.Clone(a)
		maps.Copy(keys, b)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			to = appendDifferences(to, strings.TrimPrefix(path+"."+key, "."), member(a, key), member(b, key))
		}
		return to
	}
	if canonical(stored) == canonical(given) {
		return to
	}
	return append(to, fmt.Sprintf("%s: stored %s, given %s", path, show(stored), show(given)))
}

func member(object map[string]any, key string) any {
	if v, ok := object[key]; ok {
		return v
	}
	return absent{}
}

// show writes a value for a person.
func show(v any) string {
	if v == (absent{}) {
		return "nothing"
	}
	b, err := json.Marshal(v) // of what was decoded from JSON
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// canonical writes a value so that equal values are written alike.
func canonical(v any) string {
	switch v := v.(type) {
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok {
			return r.RatString()
		}
		return v.String()
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = canonical(v[i])
		}
		return "[" + strings.Join(parts, ",") + "]"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, fmt.Sprintf("%q:%s", key, canonical(v[key])))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return fmt.Sprintf("%#v", v)
}

// list joins what an error shows, and leaves most out of a long list.
func list(all []string) string {
	const most = 8
	if len(all) > most {
		return fmt.Sprintf("%s; and %d more", strings.Join(all[:most], "; "), len(all)-most)
	}
	return strings.Join(all, "; ")
}
