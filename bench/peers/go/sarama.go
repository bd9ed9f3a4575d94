package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

type saramaClient struct{}

func saramaConfig(o options) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1 // sarama demands it of an idempotent producer
	c.Producer.Return.Successes = true
	c.Producer.Return.Errors = true
	c.Producer.Flush.Frequency = o.linger
	if o.compression == "snappy" {
		c.Producer.Compression = sarama.CompressionSnappy
	}
	return c
}

func (saramaClient) producer(o options) (sarama.AsyncProducer, error) {
	return sarama.NewAsyncProducer(strings.Split(o.brokers, ","), saramaConfig(o))
}

func (c saramaClient) publish(o options) (result, error) {
	p, err := c.producer(o)
	if err != nil {
		return result{}, err
	}
	var acked int
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		for acked < o.records {
			select {
			case <-p.Successes():
				acked++
			case e := <-p.Errors():
				failed = e
				return
			}
		}
	}()
	began := time.Now()
	for n := range o.records {
		key, value, err := encode(n, time.Now().UTC())
		if err != nil {
			return result{}, err
		}
		p.Input() <- &sarama.ProducerMessage{
			Topic: o.topic, Key: sarama.ByteEncoder(key), Value: sarama.ByteEncoder(value),
		}
	}
	<-done
	if failed != nil {
		return result{}, failed
	}
	seconds := time.Since(began).Seconds()
	return result{Settings: saramaPublishing(o), Records: acked, Seconds: seconds}, p.Close()
}

func saramaPublishing(o options) string {
	return fmt.Sprintf("AsyncProducer, acks=all, idempotent, max open requests 1, flush frequency %s, %s", o.linger, o.compression)
}

func (c saramaClient) latency(o options) (result, error) {
	p, err := c.producer(o)
	if err != nil {
		return result{}, err
	}
	var all latencies
	var failed atomic.Pointer[sarama.ProducerError]
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range o.records {
			select {
			case m := <-p.Successes():
				if due, timed := m.Metadata.(time.Time); timed {
					all.add(time.Since(due))
				}
			case e := <-p.Errors():
				failed.Store(e)
				return
			}
		}
	}()
	began := time.Now()
	err = pace(o, func(n int, due time.Time) error {
		key, value, err := encode(n, due.UTC())
		p.Input() <- &sarama.ProducerMessage{
			Topic: o.topic, Key: sarama.ByteEncoder(key), Value: sarama.ByteEncoder(value), Metadata: due,
		}
		return err
	})
	if err != nil {
		return result{}, err
	}
	<-done
	if e := failed.Load(); e != nil {
		return result{}, e
	}
	r := result{Settings: saramaPublishing(o), Records: o.records, Seconds: time.Since(began).Seconds()}
	r.LatencyMs = all.percentiles()
	return r, p.Close()
}

// One goroutine a partition handles it in order; marked offsets are committed every second and at the end.
type saramaHandler struct {
	o      options
	began  time.Time
	first  sync.Once
	firstD time.Duration
	seen   atomic.Int64
	end    context.CancelFunc
	failed atomic.Value
}

func (h *saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (h *saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *saramaHandler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, open := <-claim.Messages():
			if !open {
				return nil
			}
			h.first.Do(func() { h.firstD = time.Since(h.began) })
			if _, err := decode(m.Value); err != nil {
				h.failed.Store(err)
				h.end()
				return err
			}
			if h.o.work {
				for _, header := range m.Headers {
					if string(header.Key) == "work_us" {
						work(header.Value)
					}
				}
			}
			s.MarkMessage(m, "")
			if h.seen.Add(1) == int64(h.o.records) {
				h.end()
			}
		case <-s.Context().Done():
			return nil
		}
	}
}

func (saramaClient) consume(o options) (result, error) {
	c := saramaConfig(o)
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	began := time.Now()
	group, err := sarama.NewConsumerGroup(strings.Split(o.brokers, ","), o.group, c)
	if err != nil {
		return result{}, err
	}
	ctx, end := context.WithCancel(context.Background())
	h := &saramaHandler{o: o, began: began, end: end}
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{o.topic}, h); err != nil {
			return result{}, err
		}
	}
	if err, wrong := h.failed.Load().(error); wrong {
		return result{}, err
	}
	if err := group.Close(); err != nil { // commits what is marked
		return result{}, err
	}
	seconds := time.Since(began).Seconds() - h.firstD.Seconds()
	return result{
		Settings: "consumer group, one goroutine a partition, offsets marked when handled and committed every 1 s",
		Records:  o.records, Seconds: seconds, FirstMs: h.firstD.Seconds() * 1000,
	}, nil
}
