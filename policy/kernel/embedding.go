package kernel

// embedColumns is the width of the piece of every row that one goroutine gathers or scatters.
const embedColumns = 64

// Embed writes the rows of table that tokens name: table is [V, width], tokens is [N], y is [N, width].
func (s *Set) Embed(y, table []float32, tokens []int32, width int) {
	for i, t := range tokens {
		copy(y[i*width:(i+1)*width], table[int(t)*width:])
	}
}

// EmbedGrad adds the gradient for the table to dtable, [V, width], from that for y, dy [N, width]: each token's row to its own, in
// the order of the tokens.
func (s *Set) EmbedGrad(dtable, dy []float32, tokens []int32, width int) {
	s.embedGrads.parallel(s, width, embedColumns, embedGradWork{dtable, dy, tokens, width}, func(s *Set, w *embedGradWork, lo, hi int) {
		for i, t := range w.tokens {
			s.vectors.add(w.dtable[int(t)*w.width+lo:int(t)*w.width+hi], w.dy[i*w.width+lo:i*w.width+hi])
		}
	})
}

// embedGradWork are the arguments of EmbedGrad.
type embedGradWork struct {
	dtable, dy []float32
	tokens     []int32
	width      int
}
