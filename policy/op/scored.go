package op

import "github.com/hone-rl/hone/policy/kernel"

// scored are the rows of a run that have targets, one after the other.
type scored struct {
	// at is the row in the run that each of them is.
	at []int32
	// ends are where the scored rows of each Run of a sequence end: sums over rows are cut there, so that leaving out rows that count
	// nothing changes no bit of them.
	ends []int32
}

// find takes them from the sequences.
func (s *scored) find(seq Sequences) {
	s.at, s.ends = s.at[:0], s.ends[:0]
	for b := range len(seq.Starts) - 1 {
		for lo := seq.Starts[b]; lo < seq.Starts[b+1]; lo += kernel.Run {
			for i := lo; i < min(lo+kernel.Run, seq.Starts[b+1]); i++ {
				if seq.Targets[i] >= 0 {
					s.at = append(s.at, i)
				}
			}
			if n := int32(len(s.at)); n > 0 && (len(s.ends) == 0 || n > s.ends[len(s.ends)-1]) {
				s.ends = append(s.ends, n)
			}
		}
	}
}

// gather copies the scored rows of x, [N, width], to to, which has room for all of them.
func (s *scored) gather(to, x []float32, width int) {
	for j, i := range s.at {
		copy(to[j*width:(j+1)*width], x[int(i)*width:])
	}
}

// scatter copies rows back to where they are in x, whose other rows become 0.
func (s *scored) scatter(x, from []float32, width int) {
	clear(x)
	for j, i := range s.at {
		copy(x[int(i)*width:(int(i)+1)*width], from[j*width:])
	}
}

// chunk is the scored rows from lo to hi-1.
type chunk struct{ lo, hi int }

// chunks appends the scored rows in chunks of whole Runs: each of at most so many rows, which is a Run at least.
func (s *scored) chunks(to []chunk, most int) []chunk {
	lo := 0
	for _, end := range s.ends {
		hi := int(end)
		if last := len(to) - 1; last >= 0 && hi-to[last].lo <= most {
			to[last].hi = hi
		} else {
			to = append(to, chunk{lo, hi})
		}
		lo = hi
	}
	return to
}

// starts appends where the sums over the rows of a chunk are cut, counted from its first row: from 0 to the number of its rows.
func (s *scored) starts(to []int32, c chunk) []int32 {
	to = append(to, 0)
	for _, end := range s.ends {
		if int(end) > c.lo && int(end) <= c.hi {
			to = append(to, end-int32(c.lo))
		}
	}
	return to
}
