package kernel

// halfBlocks is a call of the functions below: blocks of 32 rows of A, or the rows that config says, with a panel of 32 columns.
type halfBlocks struct {
	config                       [64]byte
	a, b                         *BFloat16
	c                            *float32
	lda, ldc, steps, blocks, add int
	// next is memory to ask for, turns lines from each of halfStreams places, apart bytes apart, with each step of a block.
	next         *BFloat16
	apart, turns int
}

// halfTiles32 multiplies blocks of 32 rows, or one of 17 to 32.
//
//go:noescape
func halfTiles32(p *halfBlocks)

// halfTiles16 multiplies at most 16 rows.
//
//go:noescape
func halfTiles16(p *halfBlocks)

// tileHalves are in the processor's tiles.
func tileHalves() halves {
	h := wideHalves()
	h.name, h.product = NameAMX, tileHalf
	scores, mix := cacheBy(h.product)
	h.scores = func(c halfCache) {
		if c.heads > tileSide/2 || len(c.panels) == 0 {
			scores(c)
			return
		}
		s := newHalfPanels(c)
		halfScores(&s)
	}
	h.mix = func(c halfCache) {
		if c.heads > tileSide/2 || len(c.panels) == 0 || c.width%halfColumns != 0 {
			mix(c)
			return
		}
		s := newHalfPanels(c)
		for s.column = 0; s.column < 4*c.width; s.column += 4 * halfColumns {
			halfMix(&s)
		}
	}
	return h
}

// halfPanels is a call of the functions below: sums of at most 16 heads over panels.
type halfPanels struct {
	config [64]byte
	a      *BFloat16
	// panels are the slices of the panels, one after the other.
	panels *[]BFloat16
	c      *float32
	// In bytes, as ldc is.
	lda, ldc int
	// count is the number of panels, steps that of the steps of a key.
	count, steps int
	// column is the first of those of out that are summed, in bytes.
	column int
}

// halfScores is Set.CacheScores.
//
//go:noescape
func halfScores(p *halfPanels)

// halfMix does 32 columns of Set.CacheMix.
//
//go:noescape
func halfMix(p *halfPanels)

func newHalfPanels(c halfCache) halfPanels {
	return halfPanels{
		config: tileConfig(c.heads), a: &c.a[0], panels: &c.panels[0], c: &c.c[0], lda: 2 * c.lda, ldc: 4 * c.ldc,
		count: len(c.panels), steps: BFloat16Row(c.width) / halfStep,
	}
}

func tileHalf(h half) {
	p := halfBlocks{b: &h.b[0], lda: 2 * h.lda, ldc: 4 * h.ldc, steps: h.steps}
	if h.add {
		p.add = 1
	}
	p.ask(h)
	if h.columns < halfColumns {
		narrowTiles(h, p)
		return
	}
	whole := h.rows &^ (tileSide - 1)
	if whole > 0 {
		p.a, p.c, p.blocks = &h.a[0], &h.c[0], whole/tileSide
		p.config = tileConfig(tileSide)
		halfTiles32(&p)
	}
	if rest := h.rows - whole; rest > 0 {
		p.a, p.c = &h.a[whole*h.lda], &h.c[whole*h.ldc]
		p.rest(rest)
	}
}

// ask sees that in all steps of all blocks a share of what is wanted next is asked for.
func (p *halfBlocks) ask(h half) {
	p.next = p.b
	if !h.next.wanted || h.next.at >= len(h.next.b) {
		return
	}
	blocks := (h.rows + tileSide - 1) / tileSide
	p.next, p.apart, p.turns = &h.next.b[h.next.at], 2*h.next.apart, (halfLines/halfStreams+blocks-1)/blocks
}

// halfLines is the number of lines of memory in a step of a panel.
const halfLines = 2 * halfFloats / cacheLine

// narrowTiles goes by way of memory of its own, so that nothing is written beside the panel's columns.
func narrowTiles(h half, p halfBlocks) {
	var sums [tileSide * halfColumns]float32
	p.c, p.ldc = &sums[0], 4*halfColumns
	for i := 0; i < h.rows; i += tileSide {
		rows := min(tileSide, h.rows-i)
		for r := 0; r < rows && h.add; r++ {
			copy(sums[r*halfColumns:], h.c[(i+r)*h.ldc:(i+r)*h.ldc+h.columns])
		}
		p.a = &h.a[i*h.lda]
		p.rest(rows)
		for r := range rows {
			copy(h.c[(i+r)*h.ldc:(i+r)*h.ldc+h.columns], sums[r*halfColumns:])
		}
	}
}

// rest multiplies at most 32 rows.
func (p *halfBlocks) rest(rows int) {
	p.blocks, p.config = 1, tileConfig(rows)
	if rows > tileSide/2 {
		halfTiles32(p)
	} else {
		halfTiles16(p)
	}
}

// tileConfig configures the tiles (palette 1): those of A and of C have so many rows together, at most 32; all rows have 64 bytes.
func tileConfig(n int) [64]byte {
	const side = tileSide / 2
	first, second := byte(min(n, side)), byte(n-side)
	if n <= side {
		second = side // unused; none may be empty
	}
	config := [64]byte{0: 1}
	for tile, rows := range [8]byte{first, first, second, second, first, second, side, side} {
		config[16+2*tile], config[48+tile] = 64, rows
	}
	return config
}

// allHalves are those that the processor has, the fastest first.
func allHalves() []halves {
	if hasTiles() {
		return append([]halves{tileHalves()}, vectorHalves()...)
	}
	return vectorHalves()
}
