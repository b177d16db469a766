package decode

// stopper looks for stop strings in text that arrives piece by piece. It keeps only as much of the text as a stop string that
// is not yet complete can reach back, so its work does not grow with the text.
type stopper struct {
	stop []string
	// keep is the length of the longest stop string less one.
	keep int
	tail []byte
}

// reset starts a new text, and keeps the buffer.
func (s *stopper) reset(stop []string) {
	s.stop, s.keep, s.tail = stop, 0, s.tail[:0]
	for _, text := range stop {
		s.keep = max(s.keep, len(text)-1)
	}
}

// add appends a piece and tells whether a stop string is complete, at its end or within it.
func (s *stopper) add(piece string) bool {
	if len(s.stop) == 0 {
		return false
	}
	s.tail = append(s.tail, piece...)
	for _, text := range s.stop {
		if contains(s.tail, text) {
			return true
		}
	}
	if drop := len(s.tail) - s.keep; drop > 0 {
		s.tail = append(s.tail[:0], s.tail[drop:]...)
	}
	return false
}

// contains is strings.Contains over bytes; the conversions of the comparison allocate nothing.
func contains(text []byte, part string) bool {
	for i := 0; i+len(part) <= len(text); i++ {
		if string(text[i:i+len(part)]) == part {
			return true
		}
	}
	return false
}
