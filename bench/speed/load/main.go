// The load generator of `npm run bench:speed`. It reads one job per line of standard input as JSON, runs it, and prints one result per line.
//
// It writes requests to the TLS connection itself, because net/http's client would need as much CPU as the servers under test.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

type job struct {
	Address     string  `json:"address"`
	Path        string  `json:"path"`
	CaFile      string  `json:"caFile"`
	Bodies      string  `json:"bodies"` // A file with one body per line.
	Connections int     `json:"connections"`
	Requests    int     `json:"requests"`
	Rate        float64 `json:"rate"` // Requests per second, open loop. 0: closed loop.
}

type result struct {
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"`
	Error    string  `json:"error,omitempty"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50"` // Milliseconds, with Rate from the planned arrival.
	P99      float64 `json:"p99"`
	Max      float64 `json:"max"`
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		var wanted job
		if err := json.Unmarshal(line, &wanted); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		done, err := run(wanted)
		if err != nil {
			done.Error = err.Error()
		}
		out, _ := json.Marshal(done)
		fmt.Println(string(out))
	}
}

func run(wanted job) (result, error) {
	requests, err := prepare(wanted)
	if err != nil {
		return result{}, err
	}
	connections, err := connect(wanted)
	if err != nil {
		return result{}, err
	}
	work := closedLoop
	if wanted.Rate > 0 {
		work = openLoop
	}
	done, err := work(wanted, connections, requests)
	if err != nil {
		delete(idle, wanted.Address)
	}
	return done, err
}

// Connections stay open between jobs, as an API server keeps them, so that handshakes do not count.
var idle = map[string][]*connection{}

func connect(wanted job) ([]*connection, error) {
	opened := idle[wanted.Address]
	if len(opened) < wanted.Connections {
		config, err := trust(wanted.CaFile)
		if err != nil {
			return nil, err
		}
		for len(opened) < wanted.Connections {
			next, err := open(wanted.Address, config)
			if err != nil {
				return nil, err
			}
			opened = append(opened, next)
		}
		idle[wanted.Address] = opened
	}
	return opened[:wanted.Connections], nil
}

func prepare(wanted job) ([][]byte, error) {
	content, err := os.ReadFile(wanted.Bodies)
	if err != nil {
		return nil, err
	}
	var requests [][]byte
	for _, body := range bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n")) {
		// As an API server sends it.
		head := fmt.Sprintf("POST %s?timeout=5s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kube-apiserver-admission\r\nContent-Length: %d\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n", wanted.Path, len(body))
		requests = append(requests, append([]byte(head), body...))
	}
	return requests, nil
}

func trust(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"http/1.1"}}, nil
}

type connection struct {
	tls    *tls.Conn
	reader *bufio.Reader
}

func open(address string, config *tls.Config) (*connection, error) {
	opened, err := tls.Dial("tcp", address, config)
	if err != nil {
		return nil, err
	}
	return &connection{opened, bufio.NewReaderSize(opened, 16384)}, nil
}

func (c *connection) send(request []byte) error {
	if _, err := c.tls.Write(request); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != 200 {
		return fmt.Errorf("status %d: %.300s", response.StatusCode, body)
	}
	return nil
}

func closedLoop(wanted job, connections []*connection, requests [][]byte) (result, error) {
	var next atomic.Int64
	times := make([]float64, wanted.Requests)
	started := time.Now()
	err := each(connections, func(c *connection) error {
		for {
			at := int(next.Add(1)) - 1
			if at >= wanted.Requests {
				return nil
			}
			sent := time.Now()
			if err := c.send(requests[at%len(requests)]); err != nil {
				return err
			}
			times[at] = time.Since(sent).Seconds() * 1000
		}
	})
	return summarize(wanted.Requests, 0, time.Since(started), times), err
}

// Arrivals are a Poisson process with a fixed seed. An arrival waits for a free connection, which counts as latency.
func openLoop(wanted job, connections []*connection, requests [][]byte) (result, error) {
	random := rand.New(rand.NewSource(1))
	planned := make([]time.Duration, wanted.Requests)
	for i, at := 0, 0.0; i < len(planned); i++ {
		at += random.ExpFloat64() / wanted.Rate
		planned[i] = time.Duration(at * float64(time.Second))
	}
	arrivals := make(chan int, wanted.Requests)
	times := make([]float64, wanted.Requests)
	var failed atomic.Int64
	var lastError atomic.Value
	config, err := trust(wanted.CaFile)
	if err != nil {
		return result{}, err
	}
	started := time.Now()
	go func() {
		for i, at := range planned {
			time.Sleep(time.Until(started.Add(at)))
			arrivals <- i
		}
		close(arrivals)
	}()
	each(connections, func(c *connection) error {
		for i := range arrivals {
			if err := c.send(requests[i%len(requests)]); err != nil {
				failed.Add(1)
				lastError.Store(fmt.Errorf("%w", err))
				// As an API server does. The old connection would fail for every later request.
				if next, err := open(wanted.Address, config); err == nil {
					c.tls.Close()
					*c = *next
				}
			}
			times[i] = time.Since(started.Add(planned[i])).Seconds() * 1000
		}
		return nil
	})
	err, _ = lastError.Load().(error)
	return summarize(wanted.Requests, int(failed.Load()), time.Since(started), times), err
}

func each(connections []*connection, work func(*connection) error) error {
	errors := make(chan error, len(connections))
	var group sync.WaitGroup
	for _, c := range connections {
		group.Add(1)
		go func() {
			defer group.Done()
			errors <- work(c)
		}()
	}
	group.Wait()
	close(errors)
	for err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}

func summarize(count int, failed int, took time.Duration, times []float64) result {
	sort.Float64s(times)
	at := func(share float64) float64 { return times[min(len(times)-1, int(share*float64(len(times))))] }
	return result{Requests: count, Failed: failed, Seconds: took.Seconds(), P50: at(0.5), P99: at(0.99), Max: times[len(times)-1]}
}
