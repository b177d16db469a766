package weights_test

import (
	"bytes"
	"fmt"

	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/weights"
)

// A policy goes to a safetensors file and comes back with the same digest.
func ExampleSave() {
	params, err := policy.Init(policy.DefaultConfig(), 1)
	if err != nil {
		panic(err)
	}
	var file bytes.Buffer
	if err := weights.Save(&file, params, map[string]string{"run": "demo"}); err != nil {
		panic(err)
	}
	loaded, meta, err := weights.Load(&file)
	if err != nil {
		panic(err)
	}
	fmt.Println(meta["run"], loaded.Digest() == params.Digest())
	// Output: demo true
}
