package valuemodel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/policy/weights"
)

// The metadata of a model's file.
const (
	keyKind      = "kind"
	kind         = "process value model"
	keyTokenizer = "tokenizer"
	keyStates    = "states"
	keyEnds      = "ends"
)

// Save writes a model that was trained on texts of that tokenizer, with the calibrations of states and of ended texts.
func Save(w io.Writer, params *policy.Params, tok token.Tokenizer, states, ends Calibration) error {
	meta := map[string]string{keyKind: kind, keyTokenizer: tok.Name()}
	for key, c := range map[string]Calibration{keyStates: states, keyEnds: ends} {
		text, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("calibration of a value model: %w", err)
		}
		meta[key] = string(text)
	}
	return weights.Save(w, params, meta)
}

// Model asks a trained one. Like its engine it serves one goroutine at a time.
type Model struct {
	engine       *decode.Engine
	states, ends Calibration
}

// Load reads what Save wrote. A file that is none is [hone.ErrInvalid]; damage is [hone.ErrCorrupt].
func Load(r io.Reader, set *kernel.Set) (*Model, error) {
	params, meta, err := weights.Load(r)
	if err != nil {
		return nil, err
	}
	if meta[keyKind] != kind {
		return nil, fmt.Errorf("the file holds no process-value model: %w", hone.ErrInvalid)
	}
	tok, err := token.Open(meta[keyTokenizer])
	if err != nil {
		return nil, err
	}
	var states, ends Calibration
	if err := errors.Join(json.Unmarshal([]byte(meta[keyStates]), &states), json.Unmarshal([]byte(meta[keyEnds]), &ends)); err != nil {
		return nil, fmt.Errorf("calibration of a value model: %w: %w", err, hone.ErrCorrupt)
	}
	return New(params, tok, set, states, ends)
}

// New asks the model of these parameters, which must stay as they are.
func New(params *policy.Params, tok token.Tokenizer, set *kernel.Set, states, ends Calibration) (*Model, error) {
	engine, err := decode.New(params, tok, set, decode.Options{})
	if err != nil {
		return nil, err
	}
	return &Model{engine: engine, states: states, ends: ends}, nil
}

// Score says how likely a right answer is: Values are probabilities before each token, and Bootstrap the one after the last. Taught are the
// ends of steps. Errors are [decode.Engine.Score]'s; the same sequence has the same bits whatever is asked beside.
func (m *Model) Score(ctx context.Context, sequences []decode.Sequence) ([]decode.Scores, error) {
	out, err := m.engine.Score(ctx, sequences)
	if err != nil {
		return nil, fmt.Errorf("value model: %w", err)
	}
	for i := range out {
		for t, z := range out[i].Values {
			out[i].Values[t] = float32(m.states.Prob(float64(z), 0))
		}
		out[i].Bootstrap = float32(m.states.Prob(float64(out[i].Bootstrap), 0))
	}
	return out, nil
}

// Ended is how likely a text that has ended is right, from what Score said of its end and the log-probability that the policy gave it.
func (m *Model) Ended(value, logp float64) float64 {
	z := (logit(value) - m.states.Offset) / m.states.Scale
	return m.ends.Prob(z, logp)
}
