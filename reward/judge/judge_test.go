package judge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/judge"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/task/choice"
)

// posted is a generic request.
type posted struct {
	Items []struct {
		ID         string   `json:"id"`
		Completion string   `json:"completion"`
		Steps      []string `json:"steps"`
	} `json:"items"`
}

// score is what the honest endpoint gives: 1 for a completion that holds "good".
func honest(w http.ResponseWriter, r *http.Request) {
	var p posted
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var items []map[string]any
	for _, it := range p.Items {
		score := 0.0
		if strings.Contains(it.Completion, "good") {
			score = 1
		}
		items = append([]map[string]any{{"id": it.ID, "score": score, "reason": "read it"}}, items...) // in another order
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"items": items}) //nolint:errchkjson // a reader that has gone is part of the test
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func config(url string) judge.Config {
	return judge.Config{URL: url, Protocol: judge.ProtocolGeneric, Timeout: 2000, Tries: 3, Pause: 1, Linger: 1}
}

func trajectory(text string) (hone.Problem, hone.Trajectory) {
	tk := choice.New()
	p, _ := tk.Pose("Which?", "A")
	return p, rewardtest.Trajectory(tk, p, text)
}

func ask(t *testing.T, l *judge.Layer, text string) (float64, error) {
	t.Helper()
	p, traj := trajectory(text)
	j, err := l.Judge(t.Context(), p, traj)
	if err != nil {
		return 0, err
	}
	require.Len(t, j.Terms, 1)
	require.NotEmpty(t, j.Terms[0].Reason)
	return j.Terms[0].Score, nil
}

func TestConformance(t *testing.T) {
	t.Parallel()
	l, err := judge.New(config(serve(t, honest)), judge.Options{})
	require.NoError(t, err)
	tk := choice.New()
	p, err := tk.Pose("Which?", "A")
	require.NoError(t, err)
	rewardtest.Run(t, l, tk, p, "good\n#### A\n")
}

func TestBatchesAndCache(t *testing.T) {
	t.Parallel()
	var requests, items atomic.Int64
	l, err := judge.New(judge.Config{
		URL: serve(t, func(w http.ResponseWriter, r *http.Request) { requests.Add(1); honest(w, r) }), Protocol: judge.ProtocolGeneric,
		Batch: 8, Linger: 20000,
	}, judge.Options{})
	require.NoError(t, err)
	for range 2 { // the second time from memory
		var group sync.WaitGroup
		for i := range 32 {
			group.Go(func() {
				text := fmt.Sprintf("bad %d", i)
				if i%2 == 0 {
					text = fmt.Sprintf("good %d", i)
				}
				p, traj := trajectory(text)
				j, err := l.Judge(t.Context(), p, traj)
				if err == nil && j.Terms[0].Score == float64((i+1)%2) {
					items.Add(1)
				}
			})
		}
		group.Wait()
	}
	require.EqualValues(t, 64, items.Load())
	require.EqualValues(t, 4, requests.Load(), "32 items in batches of 8")
}

func TestEndpointsThatMisbehave(t *testing.T) {
	t.Parallel()
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    error
		tries   int64
		says    string
	}{
		"slow": {hang, hone.ErrUnavailable, 3, "deadline"},
		"500": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
		}, hone.ErrUnavailable, 3, "500"},
		"429": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTooManyRequests)
		}, hone.ErrUnavailable, 3, "429"},
		"400": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no such model", http.StatusBadRequest)
		}, hone.ErrInvalid, 1, "no such model"},
		"garbage":      {text("<html>"), hone.ErrUnavailable, 3, "no judgement"},
		"missing item": {text(`{"items":[]}`), hone.ErrUnavailable, 3, "lacks item 0"},
		"item twice": {
			text(`{"items":[{"id":"0","score":1,"reason":"x"},{"id":"0","score":0,"reason":"x"}]}`), hone.ErrUnavailable, 3, "item 0 twice",
		},
		"no score":     {text(`{"items":[{"id":"0","reason":"fine"}]}`), hone.ErrUnavailable, 3, "no score"},
		"score beyond": {text(`{"items":[{"id":"0","score":7}]}`), hone.ErrUnavailable, 3, "no score from 0 to 1"},
		"endless":      {func(w http.ResponseWriter, _ *http.Request) { flood(w) }, hone.ErrUnavailable, 3, "longer than"},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		}, hone.ErrUnavailable, 3, "breaks off"},
		"dies": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, hone.ErrUnavailable, 3, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int64
			cfg := config(serve(t, func(w http.ResponseWriter, r *http.Request) { tries.Add(1); c.handler(w, r) }))
			cfg.Timeout = 2000
			if name == "slow" {
				cfg.Timeout = 400
			}
			l, err := judge.New(cfg, judge.Options{})
			require.NoError(t, err)
			_, err = ask(t, l, "x")
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, c.tries, tries.Load())
		})
	}
	gone := httptest.NewServer(http.HandlerFunc(honest))
	gone.Close()
	l, err := judge.New(config(gone.URL), judge.Options{})
	require.NoError(t, err)
	_, err = ask(t, l, "x")
	require.ErrorIs(t, err, hone.ErrUnavailable)
}

// hang reads the request, without which a server doesn't notice that the caller has gone, and answers nothing.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// flood writes more than is read.
func flood(w http.ResponseWriter) {
	line := []byte(strings.Repeat("x", 1<<16))
	for range 64 {
		if _, err := w.Write(line); err != nil {
			return
		}
	}
}

func TestAnEndpointThatRecoversIsAskedAgain(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	l, err := judge.New(config(serve(t, func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) < 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		honest(w, r)
	})), judge.Options{})
	require.NoError(t, err)
	score, err := ask(t, l, "good")
	require.NoError(t, err)
	require.InDelta(t, 1, score, 0)
}

func TestAnEndpointThatAsksForTimeGetsIt(t *testing.T) {
	t.Parallel()
	var first, second time.Time
	l, err := judge.New(config(serve(t, func(w http.ResponseWriter, r *http.Request) {
		if first.IsZero() {
			first = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		second = time.Now()
		honest(w, r)
	})), judge.Options{})
	require.NoError(t, err)
	_, err = ask(t, l, "good")
	require.NoError(t, err)
	require.GreaterOrEqual(t, second.Sub(first), time.Second)
}

func TestOneWhoGivesUpTakesNobodyWithHim(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	l, err := judge.New(config(serve(t, func(w http.ResponseWriter, r *http.Request) { <-release; honest(w, r) })), judge.Options{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, traj := trajectory("good")
	_, err = l.Judge(ctx, p, traj)
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	score, err := ask(t, l, "good too")
	require.NoError(t, err)
	require.InDelta(t, 1, score, 0)
}

func TestChat(t *testing.T) {
	t.Parallel()
	var body, key, path string
	content := `I think it is fine. {"score": 0.25, "reason": "short"}`
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			Messages []struct{ Content string } `json:"messages"`
		}
		_ = json.NewDecoder(r.Body).Decode(&m)
		body, key, path = m.Messages[0].Content+m.Messages[1].Content, r.Header.Get("Authorization"), r.URL.Path
		message := map[string]any{"role": "assistant", "content": content}
		_ = json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"message": message}}})
	})
	cfg := config(url + "/v1")
	cfg.Protocol, cfg.Model, cfg.Rubric, cfg.Tries = judge.ProtocolOpenAI, "m", "Be strict.", 1
	l, err := judge.New(cfg, judge.Options{Key: "secret"})
	require.NoError(t, err)
	score, err := ask(t, l, "step one")
	require.NoError(t, err)
	require.InDelta(t, 0.25, score, 0)
	require.Equal(t, "/v1/chat/completions", path)
	require.Equal(t, "Bearer secret", key)
	require.Contains(t, body, "Be strict.")
	require.Contains(t, body, "step one")
	content = "I would rather not."
	_, err = ask(t, l, "step two")
	require.ErrorIs(t, err, hone.ErrUnavailable)
	require.ErrorContains(t, err, "holds no judgement")
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	_, err := judge.New(judge.Config{URL: "ftp://x", Protocol: "morse", Tries: 99, Timeout: -1}, judge.Options{})
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, want := range []string{`url "ftp://x"`, `protocol "morse"`, "tries 99", "timeout_ms -1"} {
		require.ErrorContains(t, err, want)
	}
	_, err = judge.New(judge.Config{URL: "http://x", Protocol: judge.ProtocolOpenAI}, judge.Options{})
	require.ErrorContains(t, err, "want a model and a rubric")
}
