package kernel

// panelSets are the instruction sets that the processor has, the widest first.
func panelSets() []*panels {
	var found []*panels
	if hasWide() {
		found = append(found, &panels{
			name: NameAVX512, columns: 32,
			product: []productFunc{
				nil, product1x32AVX512, product2x32AVX512, product3x32AVX512, product4x32AVX512, product5x32AVX512, product6x32AVX512,
				product7x32AVX512, product8x32AVX512, product9x32AVX512, product10x32AVX512, product11x32AVX512, product12x32AVX512,
			},
			packRows: func(dst, src []float32, stride, k, columns int) {
				packRowsAVX512(&dst[0], &src[0], 4*stride, k, columns)
			},
			packColumns: func(dst, src []float32, stride, k, columns int) {
				packColumns(dst, src, stride, k, columns, 32, 16, transposeAVX512)
			},
			packStrip: func(dst, src []float32, stride, k, rows int) { packStripAVX512(&dst[0], &src[0], 4*stride, k, rows) },
		})
	}
	if hasSIMD() {
		found = append(found, &panels{
			name: NameAVX2, columns: 16,
			product: []productFunc{
				nil, product1x16AVX2, product2x16AVX2, product3x16AVX2, product4x16AVX2, product5x16AVX2, product6x16AVX2,
			},
			packRows: func(dst, src []float32, stride, k, columns int) { packRowsAVX2(&dst[0], &src[0], 4*stride, k, columns) },
			packColumns: func(dst, src []float32, stride, k, columns int) {
				packColumns(dst, src, stride, k, columns, 16, 8, transposeAVX2)
			},
			packStrip: func(dst, src []float32, stride, k, rows int) {
				for i := range k {
					copy(dst[i*rows:(i+1)*rows], src[i*stride:])
				}
			},
		})
	}
	return found
}

// packColumns fills a panel of width columns by squares of side elements, and one by one what is beyond them.
func packColumns(dst, src []float32, stride, k, columns, width, side int, transpose func(dst, src *float32, stride, k int)) {
	squares := k &^ (side - 1)
	for from := 0; from < width; from += side {
		done := 0
		if from+side <= columns && squares > 0 {
			transpose(&dst[from], &src[from*stride], 4*stride, squares)
			done = squares
		}
		for j := from; j < from+side; j++ {
			if j >= columns {
				for i := range k {
					dst[i*width+j] = 0
				}
				continue
			}
			column := src[j*stride : j*stride+k]
			for i := done; i < k; i++ {
				dst[i*width+j] = column[i]
			}
		}
	}
}
