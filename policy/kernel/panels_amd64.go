package kernel

// panelSets are the instruction sets that the processor has, the widest first.
func panelSets() []*panels {
	var found []*panels
	if hasWide() {
		found = append(found, &panels{
			name: NameAVX512, columns: 32, side: 16,
			product: []productFunc{
				nil, product1x32AVX512, product2x32AVX512, product3x32AVX512, product4x32AVX512, product5x32AVX512, product6x32AVX512,
				product7x32AVX512, product8x32AVX512, product9x32AVX512, product10x32AVX512, product11x32AVX512, product12x32AVX512,
				product13x32AVX512, product14x32AVX512,
			},
			row:       rowAVX512,
			packRows:  packRowsAVX512,
			transpose: transposeAVX512, copyStrips: copyStripsAVX512, copyPanels: copyPanelsAVX512,
		})
	}
	if hasSIMD() {
		found = append(found, &panels{
			name: NameAVX2, columns: 16, side: 8,
			product: []productFunc{
				nil, product1x16AVX2, product2x16AVX2, product3x16AVX2, product4x16AVX2, product5x16AVX2, product6x16AVX2,
			},
			row:       rowAVX2,
			packRows:  packRowsAVX2,
			transpose: transposeAVX2, copyStrips: copyStripsAVX2, copyPanels: copyPanelsAVX2,
		})
	}
	return found
}
