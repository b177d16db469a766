package weights_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/weights"
	"github.com/stretchr/testify/require"
)

func tiny() policy.Config {
	return policy.Config{
		Vocab: 5, Width: 4, Layers: 1, Heads: 2, KVHeads: 1, Hidden: 3, Context: 8, RopeTheta: 100, NormEps: 1e-5, Untied: true,
	}
}

func policyOf(t testing.TB, c policy.Config, seed uint64) *policy.Params {
	t.Helper()
	p, err := policy.Init(c, seed)
	require.NoError(t, err)
	return p
}

func saved(t testing.TB, p *policy.Params, meta map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, weights.Save(&b, p, meta))
	return b.Bytes()
}

func TestPolicyComesBack(t *testing.T) {
	t.Parallel()
	experts := tiny()
	experts.Window, experts.MoE = 3, policy.MoE{Experts: 3, Shared: 1, BalanceCoef: 0.1, BiasRate: 0.01}
	for _, c := range []policy.Config{tiny(), experts, policy.DefaultConfig()} {
		p := policyOf(t, c, 3)
		p.Flat()[1], p.Flat()[2] = float32(math.Inf(1)), float32(math.NaN())
		meta := map[string]string{"run": "r1", "note": "ä \" \n"}
		file := saved(t, p, meta)
		got, gotMeta, err := weights.Load(iotest.OneByteReader(bytes.NewReader(file)))
		if c.Width > 100 {
			got, gotMeta, err = weights.Load(bytes.NewReader(file))
		}
		require.NoError(t, err)
		require.Equal(t, c, got.Config())
		require.Equal(t, p.Digest(), got.Digest())
		require.Equal(t, meta, gotMeta)
		require.Equal(t, file, saved(t, got, gotMeta), "the same bytes again")
	}
}

func TestStateComesBack(t *testing.T) {
	t.Parallel()
	state := policy.AdamWState{M: policyOf(t, tiny(), 1), V: policyOf(t, tiny(), 2), Step: 41}
	var b bytes.Buffer
	require.NoError(t, weights.SaveState(&b, state, map[string]string{"k": "v"}))
	got, meta, err := weights.LoadState(bytes.NewReader(b.Bytes()))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k": "v"}, meta)
	require.Equal(t, 41, got.Step)
	require.Equal(t, state.M.Digest(), got.M.Digest())
	require.Equal(t, state.V.Digest(), got.V.Digest())

	_, _, err = weights.Load(bytes.NewReader(b.Bytes()))
	require.ErrorIs(t, err, hone.ErrCorrupt, "an optimiser is no policy")
	_, _, err = weights.LoadState(bytes.NewReader(saved(t, state.M, nil)))
	require.ErrorIs(t, err, hone.ErrCorrupt, "a policy is no optimiser")
	_, _, err = weights.LoadState(strings.NewReader(strings.Replace(b.String(), `"hone.step":"41"`, `"hone.step":"42"`, 1)))
	require.ErrorIs(t, err, hone.ErrCorrupt, "the digest covers the step")
}

func TestHeaderIsWhatTheFormatAsksFor(t *testing.T) {
	t.Parallel()
	p := policyOf(t, tiny(), 1)
	file := saved(t, p, nil)
	length := int(binary.LittleEndian.Uint64(file))
	require.Zero(t, length%8)
	var header map[string]struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets []int  `json:"data_offsets"`
	}
	raw := map[string]json.RawMessage{}
	require.NoError(t, json.Unmarshal(file[8:8+length], &raw))
	var meta map[string]string
	require.NoError(t, json.Unmarshal(raw["__metadata__"], &meta))
	require.Equal(t, "pt", meta["format"])
	delete(raw, "__metadata__")
	rest, err := json.Marshal(raw)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(rest, &header))
	require.Len(t, header, len(p.Tensors()))
	body := file[8+length:]
	end := 0
	for _, tensor := range p.Tensors() {
		h := header[tensor.Name]
		require.Equal(t, "F32", h.DType)
		require.Equal(t, tensor.Shape, h.Shape)
		require.Equal(t, end, h.Offsets[0])
		end = h.Offsets[1]
		for i, v := range tensor.Data {
			require.Equal(t, math.Float32bits(v), binary.LittleEndian.Uint32(body[h.Offsets[0]+4*i:]))
		}
	}
	require.Len(t, body, end)
}

func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	file := saved(t, policyOf(t, tiny(), 1), map[string]string{"run": "r1"})
	for n := 0; n < len(file); n += 1 + n/40 {
		_, _, err := weights.Load(bytes.NewReader(file[:n]))
		require.ErrorIs(t, err, hone.ErrCorrupt, "cut at %d", n)
	}
	_, _, err := weights.Load(bytes.NewReader(append(bytes.Clone(file), 0)))
	require.ErrorIs(t, err, hone.ErrCorrupt, "a byte too many")
	length := int(binary.LittleEndian.Uint64(file))
	for i := 8 + length; i < len(file); i += 37 {
		bad := bytes.Clone(file)
		bad[i] ^= 4
		_, _, err := weights.Load(bytes.NewReader(bad))
		require.ErrorIs(t, err, hone.ErrCorrupt, "bit of byte %d", i)
	}
}

func TestLyingHeadersAreRefused(t *testing.T) {
	t.Parallel()
	file := saved(t, policyOf(t, tiny(), 1), nil)
	length := int(binary.LittleEndian.Uint64(file))
	header, body := string(file[8:8+length]), file[8+length:]
	build := func(header string) []byte {
		return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), body...)
	}
	require.Equal(t, file, build(header))
	for name, change := range map[string][2]string{
		"dtype":               {`"F32"`, `"F16"`},
		"shape":               {`"shape":[5,4]`, `"shape":[4,5]`},
		"overlap":             {`"data_offsets":[80,96]`, `"data_offsets":[76,92]`},
		"negative offset":     {`"data_offsets":[0,80]`, `"data_offsets":[-1,80]`},
		"offset past the end": {`"data_offsets":[0,80]`, `"data_offsets":[0,1152921504606846976]`},
		"name":                {`"model.norm.weight"`, `"model.norm.height"`},
		"unknown field":       {`"dtype":`, `"type":`},
		"huge layers":         {`\"layers\":1`, `\"layers\":1000000`},
		"huge experts":        {`\"experts\":0`, `\"experts\":4096`},
		"huge vocabulary":     {`\"vocab\":5`, `\"vocab\":1048576`},
		"impossible width":    {`\"width\":4`, `\"width\":5`},
		"not a configuration": {`{\"vocab\"`, `{\"cabov\"`},
		"no metadata":         {`"__metadata__"`, `"__mutadata__"`},
		"no digest":           {`"hone.digest"`, `"hone.dagest"`},
		"not JSON":            {`{"__`, `["__`},
		"two values":          {header, header + "{}"},
	} {
		changed := strings.Replace(header, change[0], change[1], 1)
		require.NotEqual(t, header, changed, name)
		_, _, err := weights.Load(bytes.NewReader(build(changed)))
		require.ErrorIs(t, err, hone.ErrCorrupt, name)
	}
	for _, n := range []uint64{0, 1, 100<<20 + 1, 1 << 63, math.MaxUint64} {
		_, _, err := weights.Load(bytes.NewReader(binary.LittleEndian.AppendUint64(nil, n)))
		require.ErrorIs(t, err, hone.ErrCorrupt)
	}
}

func TestReservedMetadataIsRefused(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"hone.config", "hone.other", "format"} {
		err := weights.Save(io.Discard, policyOf(t, tiny(), 1), map[string]string{key: "x"})
		require.ErrorIs(t, err, hone.ErrInvalid)
	}
}

var errDisk = errors.New("disk")

type brokenDisk struct{}

func (brokenDisk) Write([]byte) (int, error) { return 0, errDisk }

func TestErrorsOfReaderAndWriterAreHandedOn(t *testing.T) {
	t.Parallel()
	p := policyOf(t, tiny(), 1)
	require.ErrorIs(t, weights.Save(brokenDisk{}, p, nil), errDisk)
	file := saved(t, p, nil)
	for _, n := range []int{0, 4, 100, len(file) - 5, len(file)} {
		_, _, err := weights.Load(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(errDisk)))
		require.ErrorIs(t, err, errDisk)
		require.NotErrorIs(t, err, hone.ErrCorrupt)
	}
}

func FuzzLoad(f *testing.F) {
	file := saved(f, policyOf(f, tiny(), 1), nil)
	f.Add(file)
	f.Add(file[:len(file)-3])
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, meta, err := weights.Load(bytes.NewReader(data))
		if err != nil {
			require.ErrorIs(t, err, hone.ErrCorrupt)
			return
		}
		again, _, err := weights.Load(bytes.NewReader(saved(t, p, meta)))
		require.NoError(t, err)
		require.Equal(t, p.Digest(), again.Digest())
	})
}
