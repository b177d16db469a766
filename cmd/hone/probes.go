package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hone-rl/hone"
)

// probes answer a supervisor over HTTP:
//
//	/healthz  200 while the process lives
//	/readyz   200 while it takes work and reaches its servers, otherwise 503; both with what was found, as JSON
type probes struct {
	mux    *http.ServeMux
	server *http.Server
	// checks are what readiness asks; nil while there is nothing to ask yet.
	checks atomic.Pointer[[]check]
	// leaving is set once no new work is taken.
	leaving atomic.Bool
}

// check is one thing that must be so for work to be done.
type check struct {
	name string
	ask  func(context.Context) error
}

// checkPatience is how long one check may take.
const checkPatience = 3 * time.Second

// newProbes listens at the address until ctx ends and close is called; an empty one listens nowhere.
func newProbes(ctx context.Context, address string) (*probes, error) {
	h := &probes{mux: http.NewServeMux()}
	if address == "" {
		return h, nil
	}
	h.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, map[string]string{}) })
	h.mux.HandleFunc("GET /readyz", h.ready)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("health address %s: %w: %w", address, hone.ErrInvalid, err)
	}
	h.server = &http.Server{Addr: listener.Addr().String(), Handler: h.mux, ReadHeaderTimeout: checkPatience}
	go func() { _ = h.server.Serve(listener) }() // which ends with close
	return h, nil
}

// address is where it listens, "" for nowhere.
func (h *probes) address() string {
	if h.server == nil {
		return ""
	}
	return h.server.Addr
}

func (h *probes) close() {
	if h.server != nil {
		_ = h.server.Close()
	}
}

// ready asks all checks at once.
func (h *probes) ready(w http.ResponseWriter, r *http.Request) {
	checks := h.checks.Load()
	found, status := make(map[string]string), http.StatusOK
	switch {
	case h.leaving.Load():
		found["worker"] = "draining"
	case checks == nil:
		found["worker"] = "starting"
	default:
		ctx, cancel := context.WithTimeout(r.Context(), checkPatience)
		defer cancel()
		answers := make([]chan error, len(*checks))
		for i, c := range *checks {
			answers[i] = make(chan error, 1)
			go func() { answers[i] <- c.ask(ctx) }()
		}
		for i, c := range *checks {
			if err := <-answers[i]; err != nil {
				found[c.name] = err.Error()
			}
		}
	}
	if len(found) > 0 {
		status = http.StatusServiceUnavailable
	}
	answer(w, status, found)
}

// answer writes what is wrong, by name; nothing is.
func answer(w http.ResponseWriter, status int, wrong map[string]string) {
	raw, err := json.Marshal(struct {
		OK    bool              `json:"ok"`
		Wrong map[string]string `json:"wrong,omitempty"`
	}{status == http.StatusOK, wrong})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n')) // who asked may have gone
}
