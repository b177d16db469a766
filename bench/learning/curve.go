package main

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// The size of a picture.
const (
	pictureWidth  = 20 * vg.Centimeter
	pictureHeight = 12 * vg.Centimeter
)

// palette is that of Okabe and Ito 2008, "Color Universal Design", which colour-blind readers can tell apart.
func palette() []color.NRGBA {
	return []color.NRGBA{
		{0, 0, 0, 255}, {230, 159, 0, 255}, {86, 180, 233, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {213, 94, 0, 255},
	}
}

// draw writes the curves as PNG: accuracy over tokens, a thin line a seed and a thick one for their mean, which ends where the first
// of them does.
func (c comparison) draw(path string) error {
	p := plot.New()
	p.Title.Text = c.task.title + ": held-out accuracy, greedy"
	p.X.Label.Text = "tokens generated (supervised only: of demonstrations), millions"
	p.Y.Label.Text = "right, %"
	p.Y.Min = 0
	p.X.Min = 0
	p.Y.Tick.Marker = every(5)
	p.X.Tick.Marker = every(0.2)
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	for _, e := range c.entries {
		shade := palette()[indexOf(e.method)%len(palette())]
		for _, r := range e.runs {
			faint := shade
			faint.A = 70
			if err := addLine(p, curveOf(r), faint, vg.Points(0.7), ""); err != nil {
				return err
			}
		}
		if err := addLine(p, meanCurve(e.runs), shade, vg.Points(2), e.method.title); err != nil {
			return err
		}
	}
	if err := p.Save(pictureWidth, pictureHeight, path); err != nil {
		return fmt.Errorf("picture %s: %w", path, err)
	}
	return nil
}

// every puts a labelled mark at each multiple of a step; more than twenty of them become fewer.
func every(step float64) plot.Ticker {
	return plot.TickerFunc(func(low, high float64) []plot.Tick {
		apart := step
		for (high-low)/apart > 20 {
			apart *= 2
		}
		var out []plot.Tick
		for i := math.Ceil(low / apart); i*apart <= high; i++ {
			out = append(out, plot.Tick{Value: i * apart, Label: strconv.FormatFloat(i*apart, 'g', 3, 64)})
		}
		return out
	})
}

func addLine(p *plot.Plot, points plotter.XYs, shade color.Color, width vg.Length, legend string) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return fmt.Errorf("line of %d points: %w", len(points), err)
	}
	line.Color, line.Width = shade, width
	p.Add(line)
	if legend != "" {
		p.Legend.Add(legend, line)
	}
	return nil
}

// curveOf is a run's accuracies in percent over millions of tokens.
func curveOf(r record) plotter.XYs {
	out := make(plotter.XYs, len(r.Points))
	for i, p := range r.Points {
		out[i] = plotter.XY{X: p.Tokens / 1e6, Y: 100 * p.accuracy()}
	}
	return out
}

// meanCurve is the mean over runs at the tokens of the first run's evaluations, up to the end of the shortest.
func meanCurve(runs []record) plotter.XYs {
	end := runs[0].last().Tokens
	for _, r := range runs {
		end = min(end, r.last().Tokens)
	}
	var out plotter.XYs
	add := func(tokens float64) {
		sum := 0.0
		for _, r := range runs {
			sum += r.at(tokens)
		}
		out = append(out, plotter.XY{X: tokens / 1e6, Y: 100 * sum / float64(len(runs))})
	}
	for _, p := range runs[0].Points {
		if p.Tokens < end {
			add(p.Tokens)
		}
	}
	add(end)
	return out
}

// indexOf is the method's place among all, so that it has one colour in all pictures.
func indexOf(m method) int {
	for i, other := range methodsAll() {
		if other.name == m.name {
			return i
		}
	}
	return 0
}
