package changes

// Keep sets how much a tail keeps.
func (t *Tail) Keep(changes, data int) { t.maxRecent, t.maxRecentData = changes, data }
