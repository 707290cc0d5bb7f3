package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	log.SetFlags(0)
	flags := flag.NewFlagSet("compare", flag.ExitOnError)
	rounds := flags.Int("rounds", 15, "how often each contender is timed")
	short := flags.Bool("short", false, "shorter and fewer rounds: rough numbers")
	large := flags.Bool("large", false, "also measure stores of 1,000,000 resources, which takes a minute more")
	_ = flags.Parse(os.Args[1:]) // it exits on errors

	p := pace{rounds: *rounds, batch: 6 * time.Millisecond}
	if *short {
		p = pace{rounds: min(p.rounds, 5), batch: 3 * time.Millisecond}
	}
	if p.rounds < 1 {
		log.Fatal("want at least one round")
	}
	if err := compare(os.Stdout, p, *large); err != nil {
		log.Fatal(err)
	}
}

// compare measures everything and prints it.
func compare(out io.Writer, p pace, large bool) error {
	start := time.Now()
	fmt.Fprintf(out, "%s %s/%s, %d CPUs; %d rounds of %v; V is %s and W %s over the same inputs.\n"+
		"Columns V, W and times are ratios: ns to the ns of V and W, and how many times faster than the library named.\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), p.rounds, p.batch, yardstick, second)

	ours := newTable(out, "input", "work", "ns", "MB/s", "allocs", "V", "W", "faster than", "times", "budget", "")
	others := newTable(out, "input", "contender", "ns", "allocs", "V", "W")
	for _, source := range sources() {
		if source.large && !large {
			continue
		}
		s, err := source.open()
		if err != nil {
			return fmt.Errorf("%s: %w", source.name, err)
		}
		timings, err := measure(s, p)
		if err != nil {
			return err
		}
		for i := range s.contenders {
			if s.contenders[i].goal != nil {
				ours.row(ourCells(s, timings, i)...)
			} else {
				others.row(otherCells(s, timings, i)...)
			}
		}
	}
	ours.print()
	fmt.Fprintf(out, "\nThe others:\n\n")
	others.print()
	if err := growth(out, p); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%.0f s. A row over its budget is not a failure: timings on a busy machine prove nothing alone.\n", time.Since(start).Seconds())
	return nil
}

func ourCells(s *set, timings []timing, i int) []string {
	c, t := &s.contenders[i], &timings[i]
	cells := []string{
		s.title, c.name, fmt.Sprintf("%.0f", t.median()), perSecond(s, t), fmt.Sprintf("%.0f", t.allocated()),
		s.ratio(timings, i, yardstick), s.ratio(timings, i, second), cmp.Or(c.goal.rival, "-"), "-",
	}
	var v, times float64
	if k := s.find(yardstick); k >= 0 {
		v = t.by(&timings[k])
	}
	if k := s.find(c.goal.rival); k >= 0 {
		times = timings[k].by(t)
		cells[8] = fmt.Sprintf("%.3g", times)
	}
	// Ratios are judged as they are printed.
	var budget, missed []string
	judge := func(met bool, promise, by string) {
		budget = append(budget, promise)
		if !met {
			missed = append(missed, by)
		}
	}
	if g := c.goal; g.ofV > 0 {
		judge(v < g.ofV+0.005, fmt.Sprintf("%.3g V", g.ofV), fmt.Sprintf("V by %.0f%%", 100*(v/g.ofV-1)))
	}
	if g := c.goal; g.times > 0 {
		promise := fmt.Sprintf("%.3gx", g.times)
		if g.times < 1 {
			promise = fmt.Sprintf("%.3gx slower", 1/g.times)
		}
		judge(times >= g.times, promise, fmt.Sprintf("times by %.0f%%", 100*(g.times/times-1)))
	}
	if g := c.goal; g.allocs >= 0 {
		judge(t.allocated() <= g.allocs, fmt.Sprintf("allocs %.0f", g.allocs), fmt.Sprintf("allocs by %.0f", t.allocated()-g.allocs))
	}
	verdict := "met"
	switch {
	case len(missed) > 0:
		verdict = "over: " + strings.Join(missed, ", ")
	case len(budget) == 0:
		verdict = ""
	}
	return append(cells, strings.Join(budget, ", "), verdict)
}

func otherCells(s *set, timings []timing, i int) []string {
	c, t := &s.contenders[i], &timings[i]
	name := c.name
	if c.once {
		name += " (one call)"
	}
	return []string{
		s.title, name, fmt.Sprintf("%.0f", t.median()), fmt.Sprintf("%.0f", t.allocated()),
		s.ratio(timings, i, yardstick), s.ratio(timings, i, second),
	}
}

// ratio returns the time of contender i by that of the one with this name.
func (s *set) ratio(timings []timing, i int, name string) string {
	k := s.find(name)
	if k < 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", timings[i].by(&timings[k]))
}

func perSecond(s *set, t *timing) string {
	if s.bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(s.bytes)/t.median()*1e3)
}

// find returns the index of the contender of this name, or -1.
func (s *set) find(name string) int {
	for i := range s.contenders {
		if s.contenders[i].name == name {
			return i
		}
	}
	return -1
}

// A table is printed when it is complete, its columns aligned. A first cell that
// repeats the one above is left out.
type table struct {
	out  io.Writer
	rows [][]string
}

func newTable(out io.Writer, heads ...string) *table {
	return &table{out: out, rows: [][]string{heads}}
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print() {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	above := ""
	for _, row := range t.rows {
		first := row[0]
		if first == above {
			row[0] = ""
		}
		above = first
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
}
