package kernel

import "math"

// portableVectors are plain loops. Sums run in eight lanes, added at the end in a fixed order.
func portableVectors() vectors {
	return vectors{
		exp: func(x []float32) {
			for i, v := range x {
				x[i] = exp32(v)
			}
		},
		dot: dot,
		axpy: func(a float32, x, y []float32) {
			y = y[:len(x)]
			for i, v := range x {
				y[i] += a * v
			}
		},
		scale: func(a float32, x []float32) {
			for i := range x {
				x[i] *= a
			}
		},
		shift: func(a float32, x []float32) {
			for i := range x {
				x[i] += a
			}
		},
		add: func(x, y []float32) {
			y = y[:len(x)]
			for i := range x {
				x[i] += y[i]
			}
		},
		mul: func(x, y []float32) {
			y = y[:len(x)]
			for i := range x {
				x[i] *= y[i]
			}
		},
		max: func(x []float32) float32 {
			m := x[0]
			for _, v := range x[1:] {
				m = max(m, v)
			}
			return m
		},
		sum: sum,
		expPrefix: func(x []float32, n int, shift float32) float32 {
			for i, v := range x[:n] {
				x[i] = exp32(v + shift)
			}
			clear(x[n:])
			return sum(x)
		},
		expSum: func(x []float32, shift float32) float32 {
			for i, v := range x {
				x[i] = exp32(v + shift)
			}
			return sum(x)
		},
		swiglu:     swiglu,
		swigluGrad: swigluGrad,
		norm:       norm,
		normGrad:   normGrad,
		rotate:     rotate,
		adamw:      adamw,
	}
}

func swiglu(y, gate, up []float32) {
	gate, up = gate[:len(y)], up[:len(y)]
	for i, g := range gate {
		y[i] = g / (1 + exp32(-g)) * up[i]
	}
}

func swigluGrad(dgate, dup, gate, up, dy []float32) {
	dgate, dup, up, dy = dgate[:len(gate)], dup[:len(gate)], up[:len(gate)], dy[:len(gate)]
	for i, g := range gate {
		p := 1 / (1 + exp32(-g))
		e := dy[i] * p
		dup[i] = e * g
		dgate[i] = e * up[i] * (1 + g*(1-p))
	}
}

func norm(y, x, weight []float32, r float32) {
	y, weight = y[:len(x)], weight[:len(x)]
	for i, v := range x {
		y[i] = v * r * weight[i]
	}
}

func normGrad(dx, sums, dy, weight, x []float32, r float32) {
	dx, sums, dy, weight = dx[:len(x)], sums[:len(x)], dy[:len(x)], weight[:len(x)]
	var l [8]float32
	for i, v := range x {
		l[i&7] += dy[i] * weight[i] * v
	}
	scale := r * r * lanes(&l) / float32(len(x))
	for i, v := range x {
		d := dy[i]
		sums[i] += d * v * r
		dx[i] = r * (d*weight[i] - v*scale)
	}
}

func dot(x, y []float32) float32 {
	var l [8]float32
	for len(x) >= 8 && len(y) >= 8 {
		for j := range l {
			l[j] += x[j] * y[j]
		}
		x, y = x[8:], y[8:]
	}
	y = y[:len(x)]
	for i, v := range x {
		l[i&7] += v * y[i]
	}
	return lanes(&l)
}

func sum(x []float32) float32 {
	var l [8]float32
	for len(x) >= 8 {
		for j := range l {
			l[j] += x[j]
		}
		x = x[8:]
	}
	for i, v := range x {
		l[i&7] += v
	}
	return lanes(&l)
}

func lanes(l *[8]float32) float32 {
	return ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7]))
}

// exp32 is e^x to about one unit in the last place: x = n*ln2 + r with |r| <= ln2/2, the Taylor polynomial of degree 7 in r, and
// n put into the exponent in two halves, so that results below the smallest normal number come out right. ln2 is split in two
// so that n*ln2 is exact in its upper part. The conversions forbid fused multiply-adds, which some processors would use.
func exp32(x float32) float32 {
	const (
		log2e   = 1.44269504
		ln2High = 0.693359375
		ln2Low  = -2.12194440e-4
		highest = 89
		lowest  = -105
	)
	if x != x {
		return x
	}
	x = min(max(x, lowest), highest)
	n := int32(math.RoundToEven(float64(x * log2e)))
	r := x - float32(float32(n)*ln2High)
	r -= float32(float32(n) * ln2Low)
	p := float32(1.0 / 5040)
	for _, c := range [...]float32{1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1} {
		p = float32(p*r) + c
	}
	half := n >> 1
	return p * powerOfTwo(half) * powerOfTwo(n-half)
}

// powerOfTwo is 2^n for n in [-126, 127].
func powerOfTwo(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }
