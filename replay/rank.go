package replay

import "math"

// tau is Kendall's rank correlation with ties (tau-b; Kendall 1945, doi:10.1093/biomet/33.3.239) of two lists of equal length, in [-1, 1];
// false where one of them is all ties.
func tau(a, b []float64) (float64, bool) {
	var agree, tiesA, tiesB, pairs float64
	for i := range a {
		for j := range i {
			x, y := sign(a[i]-a[j]), sign(b[i]-b[j])
			pairs++
			agree += x * y
			if x == 0 {
				tiesA++
			}
			if y == 0 {
				tiesB++
			}
		}
	}
	if pairs == tiesA || pairs == tiesB {
		return 0, false
	}
	return agree / math.Sqrt((pairs-tiesA)*(pairs-tiesB)), true
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// rank is how many of the list are greater than its i-th.
func rank(list []float64, i int) int {
	above := 0
	for _, v := range list {
		if v > list[i] {
			above++
		}
	}
	return above
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}

// moments are the running mean and spread of numbers (Welford 1962, doi:10.1080/00401706.1962.10490022).
type moments struct {
	n           int
	mean, other float64
}

func (m *moments) add(v float64) {
	m.n++
	d := v - m.mean
	m.mean += d / float64(m.n)
	m.other += d * (v - m.mean)
}

// deviation is with n - 1; 0 for fewer than two.
func (m *moments) deviation() float64 {
	if m.n < 2 {
		return 0
	}
	return math.Sqrt(m.other / float64(m.n-1))
}
