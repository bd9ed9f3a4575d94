// The Go clients beside which txova-kafka is measured: IBM/sarama and twmb/franz-go, each set up as its own
// documentation advises for safe commits. The bench starts this program and reads one JSON line from it.
//
//	peers SYSTEM WORKLOAD -brokers HOST:PORT -topic T -records N [-group G] [-rate R] [-linger D] [-compression C] [-work]
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

// What the bench asks for.
type options struct {
	brokers     string
	topic       string
	group       string
	records     int
	rate        int
	linger      time.Duration
	compression string
	work        bool
}

// What the bench reads.
type result struct {
	Settings  string             `json:"settings"`
	Records   int                `json:"records"`
	Seconds   float64            `json:"seconds"`
	FirstMs   float64            `json:"first_ms,omitempty"`
	LatencyMs map[string]float64 `json:"latency_ms,omitempty"`
}

type client interface {
	publish(options) (result, error)
	latency(options) (result, error)
	consume(options) (result, error)
}

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: peers sarama|franz-go publish|latency|consume [options]"))
	}
	var o options
	flags := flag.NewFlagSet("peers", flag.ExitOnError)
	flags.StringVar(&o.brokers, "brokers", "127.0.0.1:9092", "")
	flags.StringVar(&o.topic, "topic", "", "")
	flags.StringVar(&o.group, "group", "", "")
	flags.IntVar(&o.records, "records", 0, "")
	flags.IntVar(&o.rate, "rate", 1000, "records per second of the latency workload")
	flags.DurationVar(&o.linger, "linger", 5*time.Millisecond, "")
	flags.StringVar(&o.compression, "compression", "none", "none or snappy")
	flags.BoolVar(&o.work, "work", false, "wait as long as the record's work_us header says")
	_ = flags.Parse(os.Args[3:])

	clients := map[string]client{"sarama": saramaClient{}, "franz-go": franzClient{}}
	c, known := clients[os.Args[1]]
	if !known {
		fail(fmt.Errorf("no system %q", os.Args[1]))
	}
	workloads := map[string]func(options) (result, error){
		"publish": c.publish, "latency": c.latency, "consume": c.consume,
	}
	run, known := workloads[os.Args[2]]
	if !known {
		fail(fmt.Errorf("no workload %q", os.Args[2]))
	}
	r, err := run(o)
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}
