package main

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/storage"
)

// newMetrics serves what the store has of the consumer, which counts on after a restart and
// is the same in each process, and the dead letters of this process.
func (s *service) newMetrics() http.Handler {
	s.dead = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "webhooks_dead_total", Help: "Events of which this process made a dead letter.",
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.dead, consumers{s.store},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// scrapeTimeout is how long the store may take to answer a scrape.
const scrapeTimeout = 5 * time.Second

// consumers are the metrics of the consumers that a store has. Alert on the lag, and on
// parked resources that stay.
type consumers struct{ store storage.Store }

var (
	delivered = consumerMetric("delivered_total", "Events that were delivered, or became dead letters.")
	failed    = consumerMetric("failed_total", "Calls of the consumer that failed, each with its retries.")
	lag       = consumerMetric("lag_seconds", "Age of the oldest change that was not delivered.")
	held      = consumerMetric("held_seconds", "How long the store has held changes back, because a transaction is open.")
	parked    = consumerMetric("parked", "Resources whose events wait because one failed.")
	fence     = consumerMetric("fence", "Number of the lease. It grows when another process takes over.")
)

func consumerMetric(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("webhooks_"+name, help, []string{"consumer"}, nil)
}

func (c consumers) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{delivered, failed, lag, held, parked, fence} {
		descs <- d
	}
}

func (c consumers) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	all, err := changes.Consumers(ctx, c.store)
	if err != nil {
		metrics <- prometheus.NewInvalidMetric(lag, err)
		return
	}
	for _, of := range all {
		add := func(d *prometheus.Desc, kind prometheus.ValueType, value float64) {
			metrics <- prometheus.MustNewConstMetric(d, kind, value, of.Name)
		}
		add(delivered, prometheus.CounterValue, float64(of.Delivered))
		add(failed, prometheus.CounterValue, float64(of.Failed))
		add(lag, prometheus.GaugeValue, of.Lag.Seconds())
		add(held, prometheus.GaugeValue, of.Held.Seconds())
		add(parked, prometheus.GaugeValue, float64(len(of.Parked)))
		add(fence, prometheus.GaugeValue, float64(of.Fence))
	}
}
