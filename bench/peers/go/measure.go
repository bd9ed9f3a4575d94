package main

import (
	"slices"
	"sync"
	"time"
)

// latencies of an open loop: from the moment a record was due, not from the moment it was sent.
type latencies struct {
	mu sync.Mutex
	ms []float64
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	l.ms = append(l.ms, float64(d.Microseconds())/1000)
	l.mu.Unlock()
}

func (l *latencies) percentiles() map[string]float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.ms)
	at := func(p float64) float64 {
		if len(l.ms) == 0 {
			return 0
		}
		return l.ms[min(int(p*float64(len(l.ms))), len(l.ms)-1)]
	}
	return map[string]float64{"p50": at(0.5), "p99": at(0.99), "p99.9": at(0.999)}
}

// pace calls send at the rate asked for, with the time each call was due.
func pace(o options, send func(n int, due time.Time) error) error {
	began := time.Now()
	gap := time.Second / time.Duration(o.rate)
	for n := range o.records {
		due := began.Add(time.Duration(n) * gap)
		time.Sleep(time.Until(due))
		if err := send(n, due); err != nil {
			return err
		}
	}
	return nil
}
