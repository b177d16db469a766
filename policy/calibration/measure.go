package calibration

import (
	"fmt"

	"github.com/hone-rl/hone"
)

// Forecast is a probability that was said of something, in [0, 1], and whether it came true.
type Forecast struct {
	Prob float64
	True bool
}

// Bin is the forecasts of one range.
type Bin struct {
	// Low and High bound the range, which holds Low and not High; the last one holds 1, too.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// Count is the number of forecasts, Said their mean, and Came the share of them that came true; 0 where there are none.
	Count int     `json:"count"`
	Said  float64 `json:"said"`
	Came  float64 `json:"came"`
}

// Report is what forecasts were worth.
type Report struct {
	Count int `json:"count"`
	// Said is the mean of all forecasts, Came the share that came true.
	Said float64 `json:"said"`
	Came float64 `json:"came"`
	// Brier is the mean of (probability - truth)^2, in [0, 1]: 0 knows everything, and 0.25 is what saying 1/2 comes to. Brier 1950.
	Brier float64 `json:"brier"`
	// Climate is the Brier score of saying Came each time, Came * (1 - Came). Skill is 1 - Brier/Climate: 1 knows everything, 0 no more
	// than the share that came true, and below that it misleads; 0 where all or none came true.
	Climate float64 `json:"climate"`
	Skill   float64 `json:"skill"`
	// ECE is the expected calibration error: the mean over forecasts of |Said - Came| of their bin, in [0, 1]. Guo et al. 2017,
	// arXiv:1706.04599, eq. 3.
	ECE  float64 `json:"ece"`
	Bins []Bin   `json:"bins"`
}

// Measure compares forecasts with what came true, in bins of equal width, at least 1. No forecasts at all, fewer bins, and
// probabilities outside of [0, 1] are [hone.ErrInvalid].
func Measure(forecasts []Forecast, bins int) (Report, error) {
	if len(forecasts) == 0 || bins < 1 {
		return Report{}, fmt.Errorf("calibration of %d forecasts in %d bins: want at least 1 of each: %w", len(forecasts), bins, hone.ErrInvalid)
	}
	out := Report{Count: len(forecasts), Bins: make([]Bin, bins)}
	for i := range out.Bins {
		out.Bins[i].Low, out.Bins[i].High = float64(i)/float64(bins), float64(i+1)/float64(bins)
	}
	for i, f := range forecasts {
		if !(f.Prob >= 0 && f.Prob <= 1) {
			return Report{}, fmt.Errorf("calibration: forecast %d is %v: want a number in [0, 1]: %w", i, f.Prob, hone.ErrInvalid)
		}
		came := 0.0
		if f.True {
			came = 1
		}
		b := &out.Bins[min(int(f.Prob*float64(bins)), bins-1)]
		b.Count++
		b.Said += f.Prob
		b.Came += came
		out.Said += f.Prob
		out.Came += came
		out.Brier += (f.Prob - came) * (f.Prob - came)
	}
	n := float64(len(forecasts))
	for i := range out.Bins {
		b := &out.Bins[i]
		if b.Count == 0 {
			continue
		}
		out.ECE += max(b.Said-b.Came, b.Came-b.Said) / n
		b.Said /= float64(b.Count)
		b.Came /= float64(b.Count)
	}
	out.Said /= n
	out.Came /= n
	out.Brier /= n
	out.Climate = out.Came * (1 - out.Came)
	if out.Climate > 0 {
		out.Skill = 1 - out.Brier/out.Climate
	}
	return out, nil
}
