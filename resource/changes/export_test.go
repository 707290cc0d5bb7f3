package changes

// Keep sets how much a tail keeps.
func (t *Tail) Keep(changes, data int) { t.maxRecent, t.maxRecentData = changes, data }

// JSONOf returns how many bytes the text of an error takes in the state.
func JSONOf(err error) int {
	with, without := state{Parked: []parked{{Error: textOf(err)}}}, state{Parked: []parked{{}}}
	long, _ := with.record()
	short, _ := without.record()
	return len(long.Data) - len(short.Data) + 2
}
