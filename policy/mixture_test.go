package policy_test

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// mixtureOp is the operator of the mixture loss; with part >= 0 it is the gradient for that input.
type mixtureOp struct {
	m        *mixture
	capacity int
	part     int
}

func newMixtureOp(m *mixture, capacity int) *mixtureOp { return &mixtureOp{m, capacity, -1} }

func vector() hm.Type { return gorgonia.TensorType{Dims: 1, Of: tensor.Float32} }

func (o *mixtureOp) Arity() int { return 3 }

func (o *mixtureOp) Type() hm.Type {
	if o.part < 0 {
		return hm.NewFnType(vector(), vector(), vector(), tensor.Float32)
	}
	return hm.NewFnType(vector(), vector(), vector(), vector())
}

func (o *mixtureOp) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	if o.part < 0 {
		return tensor.ScalarShape(), nil
	}
	return tensor.Shape{o.capacity}, nil
}

func (o *mixtureOp) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	var x [3][]float32
	for i, v := range in {
		x[i] = v.Data().([]float32)
	}
	sum, slope := 0.0, make([]float32, o.capacity)
	for i := range min(len(o.m.a), o.capacity) {
		sum += float64(o.m.a[i]*x[0][i]) + float64(o.m.b[i]*x[1][i]) + float64(o.m.c[i]*x[2][i]*x[2][i]/2)
		slope[i] = []float32{o.m.a[i], o.m.b[i], o.m.c[i] * x[2][i]}[max(o.part, 0)]
	}
	if o.part < 0 {
		return gorgonia.NewF32(float32(sum)), nil
	}
	return tensor.New(tensor.WithShape(o.capacity), tensor.WithBacking(slope)), nil
}

func (o *mixtureOp) DiffWRT(int) []bool { return []bool{true, true, true} }

func (o *mixtureOp) SymDiff(in gorgonia.Nodes, _, _ *gorgonia.Node) (gorgonia.Nodes, error) {
	var grads gorgonia.Nodes
	for part := range 3 {
		n, err := gorgonia.ApplyOp(&mixtureOp{o.m, o.capacity, part}, in...)
		if err != nil {
			return nil, err
		}
		grads = append(grads, n)
	}
	return grads, nil
}

func (o *mixtureOp) ReturnsPtr() bool      { return true }
func (o *mixtureOp) CallsExtern() bool     { return false }
func (o *mixtureOp) OverwritesInput() int  { return -1 }
func (o *mixtureOp) WriteHash(h hash.Hash) { fmt.Fprint(h, o.String()) }
func (o *mixtureOp) String() string        { return fmt.Sprintf("mixture %d", o.part) }

func (o *mixtureOp) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}
