package coalesce

import "time"

// SetPatience makes the calls from now on give up their slots after d.
func (s *Store) SetPatience(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.patience = d
}

// Waiting returns how many writes wait to be sent.
func (s *Store) Waiting() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range append([][]*write{s.ready}, lines(s)...) {
		for _, w := range line {
			if w.state == waiting {
				n++
			}
		}
	}
	return n
}

func lines(s *Store) (all [][]*write) {
	for _, line := range s.lines {
		all = append(all, line)
	}
	return all
}

// Apart returns how many keys it remembers.
func (s *Store) Apart() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.apart)
}
