// Go's net/http as a server and as a client.
//
//	serve PORT LOG          answers with the request's body length, in chunks for /chunked; /missing is a 404. Writes
//	                        to LOG, for every request: status, method, two unknowns, seconds in the handler.
//	serve ask URL N REPORT  N requests, every fourth a POST. Writes to REPORT how many answers had each status.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

func main() {
	if os.Args[1] == "ask" {
		ask(os.Args[2], os.Args[3], os.Args[4])
	} else {
		serve(os.Args[1], os.Args[2])
	}
}

func serve(port, file string) {
	account, err := os.Create(file)
	must(err)
	var turn sync.Mutex
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		status := answer(w, r)
		turn.Lock()
		defer turn.Unlock()
		fmt.Fprintf(account, "%d %s - - %.6f\n", status, r.Method, time.Since(begin).Seconds())
	})
	must(http.ListenAndServe("127.0.0.1:"+port, nil))
}

func answer(w http.ResponseWriter, r *http.Request) int {
	length, err := io.Copy(io.Discard, r.Body)
	must(err)
	status := http.StatusOK
	if r.URL.Path == "/missing" {
		status = http.StatusNotFound
	}
	w.WriteHeader(status)
	if r.URL.Path == "/chunked" {
		// Without a length Go answers in chunks from the first flush on.
		w.(http.Flusher).Flush()
	}
	fmt.Fprintln(w, length)
	return status
}

func ask(url, number, file string) {
	n, err := strconv.Atoi(number)
	must(err)
	statuses := map[int]int{}
	for i := 0; i < n; i++ {
		var response *http.Response
		if i%4 == 3 {
			response, err = http.Post(url, "text/plain", bytes.NewReader(make([]byte, 3000)))
		} else {
			response, err = http.Get(url)
		}
		must(err)
		_, err = io.Copy(io.Discard, response.Body)
		must(err)
		must(response.Body.Close())
		statuses[response.StatusCode]++
	}
	report, err := os.Create(file)
	must(err)
	for status, count := range statuses {
		fmt.Fprintf(report, "%d %d\n", status, count)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
