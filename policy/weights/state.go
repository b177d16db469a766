package weights

import (
	"fmt"
	"io"
	"strconv"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// The prefixes of the two moments' tensors.
const (
	prefixM = "m."
	prefixV = "v."
)

// SaveState writes an optimiser's state: the tensors of both moments, prefixed with "m." and "v.", and the step as metadata. meta is as
// in Save.
func SaveState(w io.Writer, state policy.AdamWState, meta map[string]string) error {
	all, err := describe(state.M.Config(), stateDigest(state), meta)
	if err != nil {
		return fmt.Errorf("save optimiser: %w", err)
	}
	all[keyStep] = strconv.Itoa(state.Step)
	return write(w, append(named(prefixM, state.M), named(prefixV, state.V)...), all)
}

// LoadState reads what SaveState wrote. Errors are as in Load.
func LoadState(r io.Reader) (policy.AdamWState, map[string]string, error) {
	state, meta, err := loadState(r)
	if err != nil {
		return policy.AdamWState{}, nil, fmt.Errorf("load optimiser: %w", err)
	}
	return state, meta, nil
}

func loadState(r io.Reader) (state policy.AdamWState, meta map[string]string, err error) {
	f, err := open(r, prefixM, prefixV)
	if err != nil {
		return state, nil, err
	}
	if state.Step, err = strconv.Atoi(f.step); err != nil || state.Step < 0 {
		return state, nil, fmt.Errorf("metadata %s is %q, must be a number of steps: %w", keyStep, f.step, hone.ErrCorrupt)
	}
	half := len(f.data) / 2
	if state.M, err = f.params(f.data[:half]); err != nil {
		return state, nil, err
	}
	if state.V, err = f.params(f.data[half:]); err != nil {
		return state, nil, err
	}
	if digest := stateDigest(state); digest != f.digest {
		return state, nil, fmt.Errorf("digest is %s, the file says %s: %w", digest, f.digest, hone.ErrCorrupt)
	}
	return state, f.meta, nil
}

// stateDigest covers both moments and the step.
func stateDigest(s policy.AdamWState) string {
	return fmt.Sprintf("%s %s %d", s.M.Digest(), s.V.Digest(), s.Step)
}
