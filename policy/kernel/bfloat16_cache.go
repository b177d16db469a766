package kernel

import "fmt"

// CachePanel is the number of positions of a panel of keys or values in bfloat16.
const CachePanel = halfColumns

// CachePanelLen is the length of a panel for heads of so many numbers: CachePanel rows of BFloat16Row(width).
func CachePanelLen(width int) int { return CachePanel * BFloat16Row(width) }

// halfCache is a sum over positions, for some heads that share keys and values: rows of a, lda elements apart, with panels, to rows of c,
// ldc elements apart. width is that of a head.
type halfCache struct {
	heads, width int
	a            []BFloat16
	lda          int
	panels       [][]BFloat16
	c            []float32
	ldc          int
}

// StoreKey writes the rounded key of a position, BFloat16Row(width) numbers, to a panel: numbers 0 and 1 of each position come first, then
// 2 and 3 of each.
func StoreKey(panel, key []BFloat16, position int) {
	for k := 0; k < len(key); k += 2 {
		copy(panel[k*CachePanel+2*position:], key[k:k+2])
	}
}

// StoreValue does so for a value: of 32 of its numbers at a time, all of positions 0 and 1 in turn, then of 2 and 3. Sums read whole
// panels, so what isn't stored yet must be finite.
func StoreValue(panel, value []BFloat16, position int) {
	for k, v := range value {
		panel[k/halfColumns*halfFloats+position/2*2*halfColumns+2*(k%halfColumns)+position%2] = v
	}
}

// ForgetValues makes the values of a panel 0 from a position on.
func ForgetValues(panel []BFloat16, position int) {
	for i := range panel {
		if i%halfFloats/(2*halfColumns)*2+i%2 >= position {
			panel[i] = 0
		}
	}
}

// CacheScores writes the inner products of queries with the keys of whole panels, one after the other: queries is [heads,
// BFloat16Row(width)], scores is [heads, positions] with stride between its rows. Sums are taken as by [Set.LinearBFloat16].
func (s *Set) CacheScores(scores []float32, stride int, queries []BFloat16, width int, keys [][]BFloat16) {
	lda := BFloat16Row(width)
	heads := len(queries) / lda
	check("scores", scores, heads, len(keys)*CachePanel, stride)
	checkPanels(keys, width)
	s.halves.scores(halfCache{heads: heads, width: width, a: queries, lda: lda, panels: keys, c: scores, ldc: stride})
}

// CacheMix writes the sums of the values of whole panels by their weights: weights is [heads, positions] with stride between its rows, out
// is [heads, width]. Positions of panels come in steps as in [Set.LinearBFloat16].
func (s *Set) CacheMix(out []float32, width int, weights []BFloat16, stride int, values [][]BFloat16) {
	heads := len(out) / width
	if stride < len(values)*CachePanel || len(weights) < (heads-1)*stride+len(values)*CachePanel {
		panic(fmt.Sprintf("kernel: weights of %d heads for %d panels with stride %d in a slice of %d", heads, len(values), stride, len(weights)))
	}
	checkPanels(values, width)
	s.halves.mix(halfCache{heads: heads, width: width, a: weights, lda: stride, panels: values, c: out, ldc: width})
}

func checkPanels(panels [][]BFloat16, width int) {
	for i, panel := range panels {
		if len(panel) < CachePanelLen(width) {
			panic(fmt.Sprintf("kernel: panel %d has %d numbers, want %d", i, len(panel), CachePanelLen(width)))
		}
	}
}

// cacheBy makes the sums of products.
func cacheBy(product func(h half)) (scores, mix func(h halfCache)) {
	scores = func(h halfCache) {
		for i, panel := range h.panels {
			product(half{
				steps: h.lda / halfStep, rows: h.heads, columns: CachePanel, a: h.a, lda: h.lda, b: panel, c: h.c[i*CachePanel:], ldc: h.ldc,
			})
		}
	}
	mix = func(h halfCache) {
		for column := 0; column < h.width; column += halfColumns {
			for i, panel := range h.panels {
				product(half{
					steps: 1, rows: h.heads, columns: min(halfColumns, h.width-column), a: h.a[i*CachePanel:], lda: h.lda,
					b: panel[column*CachePanel:], c: h.c[column:], ldc: h.ldc, add: i > 0,
				})
			}
		}
	}
	return scores, mix
}
