package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/storage/recent"
)

// metrics are those of the library's calls, and of streams. All labels are from closed sets: the
// methods of a Collection, the names of the schemas, the outcomes, and the classes
// of resource.ErrorClass, with "ok" for none.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec   // op, schema, class
	duration *prometheus.HistogramVec // op, schema
	writes   *prometheus.CounterVec   // schema, outcome
	failed   *prometheus.CounterVec   // schema, class
	attempts prometheus.Histogram

	streams        prometheus.Gauge
	streamed, sent prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "resourcekit_calls_total", Help: "Calls of the library, by the class of their error.",
		}, []string{"op", "schema", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "resourcekit_call_duration_seconds", Help: "How long calls of the library took.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 18), // to 6.5 s
		}, []string{"op", "schema"}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "resourcekit_writes_total", Help: "Writes by what became of them, items of batches one by one. Dry runs do not count.",
		}, []string{"schema", "outcome"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "resourcekit_failed_writes_total", Help: "Writes that failed, items of batches one by one, by the class of their error. Dry runs do not count.",
		}, []string{"schema", "class"}),
		attempts: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "resourcekit_attempts", Help: "How often a single write was tried: 1 unless another writer was faster, or a remembered record did not do.",
			Buckets: []float64{1, 2, 3, 5, 10, 20, 50, 100, 256},
		}),
	}
	m.streams = prometheus.NewGauge(prometheus.GaugeOpts{Name: "resourcekit_streams", Help: "Streams of changes that are open."})
	m.streamed = prometheus.NewCounter(prometheus.CounterOpts{Name: "resourcekit_streams_total", Help: "Streams of changes that were opened."})
	m.sent = prometheus.NewCounter(prometheus.CounterOpts{Name: "resourcekit_stream_bytes_total", Help: "Bytes that streams of changes sent."})
	m.registry.MustRegister(m.calls, m.duration, m.writes, m.failed, m.attempts, m.streams, m.streamed, m.sent,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// remembers adds what a store remembers.
func (m *metrics) remembers(stats func() recent.Stats) {
	counter := func(name, help string, count func(recent.Stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(count(stats())) })
	}
	m.registry.MustRegister(
		counter("resourcekit_recall_hits_total", "Writes that began with a remembered record.", func(s recent.Stats) uint64 { return s.Hits }),
		counter("resourcekit_recall_misses_total", "Writes whose record was not remembered, or is written by others, too.", func(s recent.Stats) uint64 { return s.Misses }),
		counter("resourcekit_recall_outdated_total", "Writes whose remembered record was out of date.", func(s recent.Stats) uint64 { return s.Outdated }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "resourcekit_recall_bytes", Help: "What the remembered records count for.",
		}, func() float64 { return float64(stats().Bytes) }),
	)
}

// handler serves the page for Prometheus.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// called counts a call.
func (m *metrics) called(call resource.Call) {
	op := string(call.Op)
	m.calls.WithLabelValues(op, call.Schema, classOf(call.Err)).Inc()
	m.duration.WithLabelValues(op, call.Schema).Observe(call.Duration.Seconds())
	if call.DryRun {
		return
	}
	for result, n := range call.Results {
		switch resource.Outcome(result) {
		case resource.Created, resource.Updated, resource.Unchanged, resource.Deleted:
			m.writes.WithLabelValues(call.Schema, result).Add(float64(n))
		case "found": // by a read
		default:
			m.writes.WithLabelValues(call.Schema, "failed").Add(float64(n))
			m.failed.WithLabelValues(call.Schema, result).Add(float64(n))
		}
	}
	switch call.Op {
	case "create", "patch", "delete": // of a batch they are the sum of its items
		if call.Attempts > 0 {
			m.attempts.Observe(float64(call.Attempts))
		}
	}
}
