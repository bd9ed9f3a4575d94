package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type franzClient struct{}

func (franzClient) producer(o options) (*kgo.Client, error) {
	compression := kgo.NoCompression()
	if o.compression == "snappy" {
		compression = kgo.SnappyCompression()
	}
	return kgo.NewClient(
		kgo.SeedBrokers(strings.Split(o.brokers, ",")...),
		kgo.DefaultProduceTopic(o.topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotent by default
		kgo.ProducerLinger(o.linger),
		kgo.ProducerBatchCompression(compression),
		kgo.MaxBufferedRecords(100_000),
	)
}

func (c franzClient) publish(o options) (result, error) {
	p, err := c.producer(o)
	if err != nil {
		return result{}, err
	}
	defer p.Close()
	ctx := context.Background()
	var failed atomic.Value
	var acked atomic.Int64
	began := time.Now()
	for n := range o.records {
		key, value, err := encode(n, time.Now().UTC())
		if err != nil {
			return result{}, err
		}
		p.Produce(ctx, &kgo.Record{Key: key, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(err)
				return
			}
			acked.Add(1)
		})
	}
	if err := p.Flush(ctx); err != nil {
		return result{}, err
	}
	if err, wrong := failed.Load().(error); wrong {
		return result{}, err
	}
	return result{Settings: franzPublishing(o), Records: int(acked.Load()), Seconds: time.Since(began).Seconds()}, nil
}

func franzPublishing(o options) string {
	return fmt.Sprintf("Produce with a promise, acks=all, idempotent, linger %s, %s, 100,000 buffered", o.linger, o.compression)
}

func (c franzClient) latency(o options) (result, error) {
	p, err := c.producer(o)
	if err != nil {
		return result{}, err
	}
	defer p.Close()
	ctx := context.Background()
	var all latencies
	var failed atomic.Value
	began := time.Now()
	err = pace(o, func(n int, due time.Time) error {
		key, value, err := encode(n, due.UTC())
		p.Produce(ctx, &kgo.Record{Key: key, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(err)
				return
			}
			all.add(time.Since(due))
		})
		return err
	})
	if err != nil {
		return result{}, err
	}
	if err := p.Flush(ctx); err != nil {
		return result{}, err
	}
	if err, wrong := failed.Load().(error); wrong {
		return result{}, err
	}
	r := result{Settings: franzPublishing(o), Records: o.records, Seconds: time.Since(began).Seconds()}
	r.LatencyMs = all.percentiles()
	return r, nil
}

// Polls, handles each partition's records in a goroutine of its own, marks them and lets the client commit what is
// marked: the client's documented way for at least once.
func (franzClient) consume(o options) (result, error) {
	began := time.Now()
	c, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(o.brokers, ",")...),
		kgo.ConsumerGroup(o.group),
		kgo.ConsumeTopics(o.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(time.Second),
		kgo.BlockRebalanceOnPoll(),
	)
	if err != nil {
		return result{}, err
	}
	ctx := context.Background()
	var first time.Duration
	seen := 0
	for seen < o.records {
		fetches := c.PollRecords(ctx, 10_000)
		if errs := fetches.Errors(); len(errs) > 0 {
			return result{}, errs[0].Err
		}
		if first == 0 && fetches.NumRecords() > 0 {
			first = time.Since(began)
		}
		var wrong atomic.Value
		var all sync.WaitGroup
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			all.Go(func() {
				for _, record := range p.Records {
					if _, err := decode(record.Value); err != nil {
						wrong.Store(err)
						return
					}
					if o.work {
						for _, header := range record.Headers {
							if header.Key == "work_us" {
								work(header.Value)
							}
						}
					}
				}
			})
		})
		all.Wait()
		if err, failed := wrong.Load().(error); failed {
			return result{}, err
		}
		c.MarkCommitRecords(fetches.Records()...)
		c.AllowRebalance()
		seen += fetches.NumRecords()
	}
	if err := c.CommitMarkedOffsets(ctx); err != nil {
		return result{}, err
	}
	seconds := (time.Since(began) - first).Seconds()
	c.Close()
	return result{
		Settings: "group, a goroutine a partition of each poll (10,000 records), marks committed every 1 s",
		Records:  seen, Seconds: seconds, FirstMs: first.Seconds() * 1000,
	}, nil
}
